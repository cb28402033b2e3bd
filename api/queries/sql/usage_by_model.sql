with usage_in_window as (
    {{ rows_in_window(
        daily='model_daily',
        quarter_hourly='usage_quarter_hourly',
        columns=[
            'model', 'message_count', 'input_tokens', 'output_tokens', 'total_tokens',
            'response_time_ms_sum', 'response_time_count', 'timed_output_tokens',
        ],
    ) | indent(4) }}
),

usage_summed_per_model as (
    select
        model,
        sum(message_count) as message_count,
        sum(total_tokens) as total_tokens,
        sum(input_tokens) as input_tokens,
        sum(output_tokens) as output_tokens,
        sum(response_time_ms_sum) as response_time_ms_sum,
        sum(response_time_count) as response_time_count,
        sum(timed_output_tokens) as timed_output_tokens,
    from usage_in_window
    group by model
    having sum(message_count) > 0
)

select
    model,
    message_count,
    total_tokens,
    input_tokens as total_input_tokens,
    output_tokens as total_output_tokens,
    {{ avg_response_time_ms('response_time_ms_sum', 'response_time_count') | indent(4) }}
        as avg_response_time_ms,
    {{ tokens_per_second('timed_output_tokens', 'response_time_ms_sum') | indent(4) }}
        as tokens_per_second,
    count(*) over () as rows_in_all,
from usage_summed_per_model
qualify
    row_number() over (order by usage_summed_per_model.total_tokens desc, model) <= {{ most_rows }}
order by usage_summed_per_model.total_tokens desc, model
