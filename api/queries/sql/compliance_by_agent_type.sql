with messages_in_window as (
    {{ rows_in_window(
        daily='agent_type_model_daily',
        quarter_hourly='usage_quarter_hourly',
        columns=['agent_type_id', 'message_count'],
    ) | indent(4) }}
),

scans_in_window as (
    {{ rows_in_window(
        daily='compliance_daily',
        quarter_hourly='compliance_quarter_hourly',
        columns=[
            'agent_type_id', 'scan_count', 'scanned_messages', 'toxic_messages', 'pii_redactions',
        ],
    ) | indent(4) }}
),

agent_types_of_customer as (
    select
        agent_type_id,
        agent_type_name,
    from marts.agent_types
    where customer_id = $customer_id
),

messages_summed_per_type as (
    select
        agent_type_id,
        sum(message_count) as total_messages,
    from messages_in_window
    group by agent_type_id
    having sum(message_count) > 0
),

scans_summed_per_type as (
    select
        agent_type_id,
        sum(scanned_messages) as scanned_messages,
        sum(toxic_messages) as toxic_messages,
        sum(pii_redactions) as pii_redactions,
    from scans_in_window
    group by agent_type_id
    having sum(scan_count) > 0
),

messages_and_scans_per_type as (
    select
        coalesce(messages_summed_per_type.agent_type_id, scans_summed_per_type.agent_type_id)
            as agent_type_id,
        coalesce(messages_summed_per_type.total_messages, 0) as total_messages,
        coalesce(scans_summed_per_type.scanned_messages, 0) as scanned_messages,
        coalesce(scans_summed_per_type.toxic_messages, 0) as toxic_messages,
        coalesce(scans_summed_per_type.pii_redactions, 0) as pii_redactions,
    from messages_summed_per_type
    full outer join scans_summed_per_type
        on messages_summed_per_type.agent_type_id = scans_summed_per_type.agent_type_id
),

agent_types_named as (
    select
        messages_and_scans_per_type.agent_type_id,
        coalesce(
            agent_types_of_customer.agent_type_name,
            'Agent type ' || messages_and_scans_per_type.agent_type_id
        ) as agent_type_name,
        messages_and_scans_per_type.total_messages,
        messages_and_scans_per_type.toxic_messages,
        {{ toxic_rate_percent(
            'messages_and_scans_per_type.toxic_messages',
            'messages_and_scans_per_type.total_messages',
        ) | indent(8) }} as toxic_rate_percent,
        messages_and_scans_per_type.pii_redactions as pii_redactions_total,
        {{ pii_per_message(
            'messages_and_scans_per_type.pii_redactions',
            'messages_and_scans_per_type.total_messages',
        ) | indent(8) }} as pii_per_message,
        messages_and_scans_per_type.scanned_messages,
    from messages_and_scans_per_type
    left join agent_types_of_customer
        on messages_and_scans_per_type.agent_type_id = agent_types_of_customer.agent_type_id
)

select
    *,
    count(*) over () as rows_in_all,
from agent_types_named
qualify row_number() over (order by total_messages desc, agent_type_id) <= {{ most_rows }}
order by total_messages desc, agent_type_id
