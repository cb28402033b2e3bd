with usage_in_window as (
    {{ rows_in_window(
        daily='agent_type_model_daily',
        quarter_hourly='usage_quarter_hourly',
        columns=[
            'agent_type_id', 'model', 'message_count', 'total_tokens', 'response_time_ms_sum',
            'response_time_count', 'timed_output_tokens',
        ],
    ) | indent(4) }}
),

scans_in_window as (
    {{ rows_in_window(
        daily='compliance_daily',
        quarter_hourly='compliance_quarter_hourly',
        columns=['agent_type_id', 'scan_count', 'toxic_messages', 'pii_redactions'],
    ) | indent(4) }}
),

ratings_in_window as (
    {{ rows_in_window(
        daily='load_bucket_daily',
        quarter_hourly='feedback_quarter_hourly',
        columns=[
            'agent_type_id', 'load_bucket', 'rating_count', 'rating_sum', 'rating_1_count',
            'rating_2_count', 'rating_3_count', 'rating_4_count', 'rating_5_count',
        ],
    ) | indent(4) }}
),

agent_types_of_customer as (
    select
        agent_type_id,
        agent_type_name,
        model,
    from marts.agent_types
    where customer_id = $customer_id
),

instances_by_load as (
    select
        {{ min_instances_by_load() | indent(8) }}
    from marts.load_buckets
),

usage_summed_per_type_and_model as (
    select
        agent_type_id,
        model,
        sum(message_count) as message_count,
        sum(total_tokens) as total_tokens,
        sum(response_time_ms_sum) as response_time_ms_sum,
        sum(response_time_count) as response_time_count,
        sum(timed_output_tokens) as timed_output_tokens,
    from usage_in_window
    group by agent_type_id, model
    having sum(message_count) > 0
),

usage_summed_per_type as (
    select
        agent_type_id,
        first(model order by message_count desc, model) as most_used_model,
        sum(message_count) as message_count,
        sum(total_tokens) as total_tokens,
        sum(response_time_ms_sum) as response_time_ms_sum,
        sum(response_time_count) as response_time_count,
        sum(timed_output_tokens) as timed_output_tokens,
    from usage_summed_per_type_and_model
    group by agent_type_id
),

scans_summed_per_type as (
    select
        agent_type_id,
        sum(toxic_messages) as toxic_messages,
        sum(pii_redactions) as pii_redactions,
    from scans_in_window
    group by agent_type_id
    having sum(scan_count) > 0
),

ratings_summed_per_type as (
    select
        agent_type_id,
        sum(rating_count) as rating_count,
        sum(rating_sum) as rating_sum,
        {{ rating_counts_by_load() | indent(8) }}
    from ratings_in_window
    group by agent_type_id
    having sum(rating_count) > 0
),

types_seen as (
    select agent_type_id from usage_summed_per_type
    union
    select agent_type_id from scans_summed_per_type
    union
    select agent_type_id from ratings_summed_per_type
),

measures_per_type as (
    select
        types_seen.agent_type_id,
        usage_summed_per_type.most_used_model,
        coalesce(usage_summed_per_type.message_count, 0) as message_count,
        coalesce(usage_summed_per_type.total_tokens, 0) as total_tokens,
        coalesce(usage_summed_per_type.response_time_ms_sum, 0) as response_time_ms_sum,
        coalesce(usage_summed_per_type.response_time_count, 0) as response_time_count,
        coalesce(usage_summed_per_type.timed_output_tokens, 0) as timed_output_tokens,
        coalesce(scans_summed_per_type.toxic_messages, 0) as toxic_messages,
        coalesce(scans_summed_per_type.pii_redactions, 0) as pii_redactions,
        coalesce(ratings_summed_per_type.rating_count, 0) as rating_count,
        coalesce(ratings_summed_per_type.rating_sum, 0) as rating_sum,
        ratings_summed_per_type.low_rating_counts,
        ratings_summed_per_type.medium_rating_counts,
        ratings_summed_per_type.high_rating_counts,
    from types_seen
    left join usage_summed_per_type
        on types_seen.agent_type_id = usage_summed_per_type.agent_type_id
    left join scans_summed_per_type
        on types_seen.agent_type_id = scans_summed_per_type.agent_type_id
    left join ratings_summed_per_type
        on types_seen.agent_type_id = ratings_summed_per_type.agent_type_id
),

agent_types_compared as (
    select
        measures_per_type.agent_type_id,
        coalesce(
            agent_types_of_customer.agent_type_name,
            'Agent type ' || measures_per_type.agent_type_id
        ) as name,
        coalesce(measures_per_type.most_used_model, agent_types_of_customer.model) as model,
        measures_per_type.message_count as total_messages,
        measures_per_type.total_tokens,
        {{ avg_response_time_ms(
            'measures_per_type.response_time_ms_sum', 'measures_per_type.response_time_count'
        ) | indent(8) }} as avg_response_time_ms,
        {{ tokens_per_second(
            'measures_per_type.timed_output_tokens', 'measures_per_type.response_time_ms_sum'
        ) | indent(8) }} as tokens_per_second,
        {{ avg_tokens_per_message(
            'measures_per_type.total_tokens', 'measures_per_type.message_count'
        ) | indent(8) }} as avg_tokens_per_message,
        {{ toxic_rate_percent(
            'measures_per_type.toxic_messages', 'measures_per_type.message_count'
        ) | indent(8) }} as toxic_rate_percent,
        {{ pii_redactions_per_message(
            'measures_per_type.pii_redactions', 'measures_per_type.message_count'
        ) | indent(8) }} as pii_redactions_per_message,
        measures_per_type.rating_count as feedback_count,
        {{ average_rating(
            'measures_per_type.rating_sum', 'measures_per_type.rating_count'
        ) | indent(8) }} as average_rating,
        measures_per_type.low_rating_counts,
        measures_per_type.medium_rating_counts,
        measures_per_type.high_rating_counts,
        instances_by_load.medium_min_instances,
        instances_by_load.high_min_instances,
    from measures_per_type
    left join agent_types_of_customer
        on measures_per_type.agent_type_id = agent_types_of_customer.agent_type_id
    cross join instances_by_load
)

select
    *,
    count(*) over () as rows_in_all,
from agent_types_compared
qualify row_number() over (order by total_messages desc, agent_type_id) <= {{ most_rows }}
order by total_messages desc, agent_type_id
