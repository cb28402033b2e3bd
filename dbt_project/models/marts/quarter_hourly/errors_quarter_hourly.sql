with

failed_attempts as (
    select * from {{ ref('stg_agent_usage_events') }}
    where error_type is not null
),

in_contexts as (
    {{ with_contexts('failed_attempts') }}
),

summed_per_context as (
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
        count(*) as event_count,
        {{ sum_of('input_tokens') }} as input_tokens,
        {{ sum_of('output_tokens') }} as output_tokens,
        {{ sum_of('input_tokens + output_tokens') }} as total_tokens,
        {{ summed_token_classes() }},
        bucket_start
    from in_contexts
    group by
        customer_id, agent_id, agent_type_id, model, provider, processing, context_over_tokens,
        is_context_assumed, error_type, bucket_start
),

priced as (
    {{ with_costs('summed_per_context') }}
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
        cast(sum(event_count) as bigint) as error_count,
        {{ summed(['input_tokens', 'output_tokens', 'total_tokens']) }},
        {{ summed_costs(error_cost_measures()) }},
        bucket_start,
        cast(bucket_start as date) as occurred_date
    from priced
    group by
        customer_id, agent_id, agent_type_id, model, provider, processing, error_type, bucket_start
)

select * from summed_per_bucket
