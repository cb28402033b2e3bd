with

events as (
    select * from {{ ref('stg_agent_usage_events') }}
),

-- Prices may depend on how much is read at once.
in_contexts as (
    {{ with_contexts('events') }}
),

-- A failed attempt has tokens, and is no message: its times are averaged nowhere.
of_messages as (
    {{ with_message_parts('in_contexts') }}
),

with_buckets_of_times as (
    select
        *,
        {{ response_time_bucket('message_time_ms') }} as response_time_bucket,
        {{ response_time_bucket('first_token_time_ms') }} as time_to_first_token_bucket
    from of_messages
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
        {{ usage_sums() }},
        {{ ascending_list('response_time_bucket') }} as response_time_buckets,
        {{ ascending_list('time_to_first_token_bucket') }} as time_to_first_token_buckets,
        bucket_start,
        -- A quarter hour is of one date, so the group needs no date.
        cast(bucket_start as date) as occurred_date
    from with_buckets_of_times
    group by
        customer_id, agent_id, agent_type_id, model, provider, processing, context_over_tokens,
        is_context_assumed, bucket_start
),

priced as (
    {{ with_costs(with_repriced('summed_per_bucket'), 'event_count') }}
)

select * from priced
