with usage_in_window as (
    {{ rows_in_window(
        daily='agent_type_model_daily',
        quarter_hourly='usage_quarter_hourly',
        columns=['agent_type_id', 'model', 'message_count'],
    ) | indent(4) }}
),

messages_summed as (
    select
        agent_type_id,
        model,
        sum(message_count) as message_count,
    from usage_in_window
    group by agent_type_id, model
    having sum(message_count) > 0
)

select
    agent_type_id,
    first(model order by message_count desc, model) as most_used_model,
from messages_summed
group by agent_type_id
