with usage_in_window as (
    {{ rows_in_window(
        daily='agent_daily',
        quarter_hourly='usage_quarter_hourly',
        columns=[
            'agent_id', 'message_count', 'input_tokens', 'output_tokens', 'total_tokens',
            'response_time_ms_sum', 'response_time_count',
        ],
    ) | indent(4) }}
),

usage_summed as (
    select
        coalesce(sum(message_count), 0) as message_count,
        coalesce(sum(total_tokens), 0) as total_tokens,
        coalesce(sum(input_tokens), 0) as input_tokens,
        coalesce(sum(output_tokens), 0) as output_tokens,
        count(distinct agent_id) filter (where message_count > 0) as active_agents,
        coalesce(sum(response_time_ms_sum), 0) as response_time_ms_sum,
        coalesce(sum(response_time_count), 0) as response_time_count,
    from usage_in_window
)

select
    message_count as total_messages,
    total_tokens,
    input_tokens as total_input_tokens,
    output_tokens as total_output_tokens,
    active_agents,
    {{ avg_response_time_ms('response_time_ms_sum', 'response_time_count') | indent(4) }}
        as avg_response_time_ms,
    response_time_ms_sum,
    response_time_count,
from usage_summed
