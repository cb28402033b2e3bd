with

source as (
    select * from {{ source('raw', 'agent_usage_events') }}
),

unique_events as (
    {{ newest_versions('agent_usage_events', 'event_id') }}
),

renamed as (
    select
        -- ids
        customer_id,
        event_id,
        agent_id,
        agent_type_id,

        -- strings
        model_used as model,

        -- numerics
        input_tokens,
        output_tokens,
        response_time_ms,

        -- booleans
        is_total_mismatch,

        -- times
        occurred_at,
        {{ quarter_hour('occurred_at') }} as bucket_start,
        occurred_date,
        received_at
    from unique_events
)

select * from renamed
