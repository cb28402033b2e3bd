with

events as (
    select * from {{ ref('stg_agent_usage_events') }}
),

events_with_response_time_bucket as (
    select
        *,
        {{ response_time_bucket('response_time_ms') }} as response_time_bucket
    from events
),

summed_per_bucket as (
    select
        customer_id,
        agent_id,
        agent_type_id,
        model,
        count(*) as message_count,
        cast(sum(input_tokens) as bigint) as input_tokens,
        cast(sum(output_tokens) as bigint) as output_tokens,
        cast(sum(input_tokens) + sum(output_tokens) as bigint) as total_tokens,
        cast(coalesce(sum(response_time_ms), 0) as bigint) as response_time_ms_sum,
        count(response_time_ms) as response_time_count,
        cast(
            coalesce(sum(case when response_time_ms > 0 then output_tokens end), 0) as bigint
        ) as timed_output_tokens,
        {{ ascending_list('response_time_bucket') }} as response_time_buckets,
        bucket_start,
        -- A quarter hour is of one date, so the group needs no date.
        cast(bucket_start as date) as occurred_date
    from events_with_response_time_bucket
    group by customer_id, agent_id, agent_type_id, model, bucket_start
)

select * from summed_per_bucket
