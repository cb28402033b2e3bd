with

source as (
    select * from {{ source('raw', 'agent_usage_events') }}
),

unique_events as (
    {{ newest_versions('agent_usage_events', 'event_id') }}
),

-- All that was written to a cache holds what lives for an hour, which may be all that was reported.
with_all_writes as (
    select
        *,
        coalesce(cache_write_input_tokens, cache_write_1h_input_tokens) as all_cache_writes
    from unique_events
),

-- What was not reported is no part.
parts as (
    select
        *,
        {{ token_parts_or_none() }}
    from with_all_writes
),

-- What no other class has is of the class `input` or `output`.
classed as (
    select
        *,
        {{ token_classes_of_parts() }}
    from parts
),

-- Parts that exceed their whole are parts of nothing: which of them is wrong cannot be said.
compared as (
    select
        *,
        {{ parts_exceed('input') }} as exceeds_input,
        {{ parts_exceed('output') }} as exceeds_output
    from classed
),

renamed as (
    select
        -- ids
        customer_id,
        event_id,
        agent_id,
        agent_type_id,

        -- strings, and maps of them
        model_used as model,
        coalesce(provider, 'unknown') as provider,
        coalesce(processing, 'standard') as processing,
        {{ apart_from_labels('error_type') }} as error_type,
        session_id,
        end_user_id,
        attributes,
        extra,

        -- numerics
        input_tokens,
        output_tokens,
        {{ reported_token_parts() }},
        greatest(input_tokens - cache_read_input - cache_write_input, 0) as uncached_input_tokens,
        {{ token_classes_that_fit('input') }},
        {{ token_classes_that_fit('output') }},
        response_time_ms,
        time_to_first_token_ms,
        tool_calls,
        model_requests,
        reported_cost_usd,

        -- booleans
        is_total_mismatch,
        error_type is null as is_message,
        exceeds_input or exceeds_output as token_classes_exceed_total,

        -- times
        occurred_at,
        {{ quarter_hour('occurred_at') }} as bucket_start,
        occurred_date,
        received_at
    from compared
)

select * from renamed
