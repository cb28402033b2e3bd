with messages_in_window as (
    {{ rows_in_window(
        daily='customer_daily',
        quarter_hourly='usage_quarter_hourly',
        columns=['message_count'],
    ) | indent(4) }}
),

scans_in_window as (
    {{ rows_in_window(
        daily='compliance_daily',
        quarter_hourly='compliance_quarter_hourly',
        columns=['scanned_messages', 'toxic_messages', 'messages_with_pii', 'pii_redactions'],
    ) | indent(4) }}
),

redactions_in_window as (
    {{ rows_in_window(
        daily='pii_daily',
        quarter_hourly='pii_quarter_hourly',
        columns=['entity_type', 'pii_redactions'],
    ) | indent(4) }}
),

messages_summed as (
    select coalesce(sum(message_count), 0) as total_messages,
    from messages_in_window
),

scans_summed as (
    select
        coalesce(sum(scanned_messages), 0) as scanned_messages,
        coalesce(sum(toxic_messages), 0) as toxic_messages,
        coalesce(sum(messages_with_pii), 0) as messages_with_pii,
        coalesce(sum(pii_redactions), 0) as pii_redactions,
    from scans_in_window
),

redactions_summed_per_type as (
    select
        entity_type,
        sum(pii_redactions) as pii_redactions,
    from redactions_in_window
    group by entity_type
    having sum(pii_redactions) > 0
),

greatest_redactions as (
    select
        *,
        count(*) over () as rows_in_all,
    from redactions_summed_per_type
    qualify row_number() over (order by pii_redactions desc, entity_type) <= {{ most_rows }}
),

redactions_listed as (
    select
        coalesce(list(entity_type order by pii_redactions desc, entity_type), []) as entity_types,
        coalesce(list(pii_redactions order by pii_redactions desc, entity_type), []) as redactions,
        coalesce(max(rows_in_all), 0) as rows_in_all,
    from greatest_redactions
)

select
    messages_summed.total_messages,
    scans_summed.toxic_messages,
    {{ toxic_rate_percent('scans_summed.toxic_messages', 'messages_summed.total_messages')
        | indent(4) }} as toxic_rate_percent,
    scans_summed.pii_redactions as pii_redactions_total,
    redactions_listed.entity_types,
    redactions_listed.redactions,
    redactions_listed.rows_in_all,
    scans_summed.messages_with_pii,
    {{ pii_rate_percent('scans_summed.messages_with_pii', 'messages_summed.total_messages')
        | indent(4) }} as pii_rate_percent,
    scans_summed.scanned_messages,
from messages_summed
cross join scans_summed
cross join redactions_listed
