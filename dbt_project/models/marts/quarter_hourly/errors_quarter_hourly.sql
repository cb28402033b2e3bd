with

failed_attempts as (
    select * from {{ ref('stg_agent_usage_events') }}
    where error_type is not null
),

summed_per_bucket as (
    select
        customer_id,
        agent_id,
        agent_type_id,
        model,
        provider,
        processing,
        error_type,
        count(*) as error_count,
        {{ sum_of('input_tokens') }} as input_tokens,
        {{ sum_of('output_tokens') }} as output_tokens,
        {{ sum_of('input_tokens + output_tokens') }} as total_tokens,
        bucket_start,
        cast(bucket_start as date) as occurred_date
    from failed_attempts
    group by
        customer_id, agent_id, agent_type_id, model, provider, processing, error_type, bucket_start
)

select * from summed_per_bucket
