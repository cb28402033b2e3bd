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
    select
        *,
        case when is_message then input_tokens + output_tokens else 0 end as message_tokens,
        case when is_message then input_tokens else 0 end as message_input_tokens,
        case when is_message then response_time_ms end as message_time_ms,
        case when is_message then time_to_first_token_ms end as first_token_time_ms
    from in_contexts
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
        count(*) as event_count,
        count(case when is_message then 1 end) as message_count,
        count(error_type) as error_count,
        {{ sum_of('input_tokens') }} as input_tokens,
        {{ sum_of('output_tokens') }} as output_tokens,
        {{ sum_of('input_tokens + output_tokens') }} as total_tokens,
        {{ sum_of('message_tokens') }} as message_tokens,
        {{ sum_of('message_input_tokens') }} as message_input_tokens,
        {{ sum_of('message_time_ms') }} as response_time_ms_sum,
        count(message_time_ms) as response_time_count,
        {{ sum_of('case when message_time_ms > 0 then output_tokens end') }} as timed_output_tokens,
        {{ sum_of('uncached_input_tokens') }} as uncached_input_tokens,
        {{ summed_token_parts() }},
        {{ sum_of('case when cache_read_input_tokens is not null then input_tokens end') }}
            as cache_reported_input_tokens,
        {{ sum_of('tool_calls') }} as tool_calls,
        {{ summed_token_classes() }},
        count(case when token_classes_exceed_total then 1 end) as token_classes_exceed_total,
        {{ sum_of_usd('reported_cost_usd') }} as reported_cost_usd,
        count(reported_cost_usd) as reported_cost_events,
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
