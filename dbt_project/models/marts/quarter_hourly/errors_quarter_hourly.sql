with

failed_attempts as (
    select * from {{ ref('stg_agent_usage_events') }}
    where error_type is not null
),

in_contexts as (
    {{ with_contexts('failed_attempts') }}
),

summed_per_bucket as (
    select
        customer_id,
        agent_id,
        agent_type_id,
        model,
        provider,
        processing,
        context_over_tokens,
        is_context_assumed,
        error_type,
        count(*) as error_count,
        {{ sum_of('input_tokens') }} as input_tokens,
        {{ sum_of('output_tokens') }} as output_tokens,
        {{ sum_of('input_tokens + output_tokens') }} as total_tokens,
        {{ summed_token_classes() }},
        bucket_start,
        -- A quarter hour is of one date, so the group needs no date.
        cast(bucket_start as date) as occurred_date
    from in_contexts
    group by
        customer_id, agent_id, agent_type_id, model, provider, processing, context_over_tokens,
        is_context_assumed, error_type, bucket_start
),

priced as (
    {{ with_costs(with_repriced('summed_per_bucket'), 'error_count') }}
)

select * from priced
