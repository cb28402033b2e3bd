with

source as (
    select * from {{ source('raw', 'agent_usage_events') }}
),

unique_events as (
    {{ newest_versions('event_id', [
        'agent_id', 'agent_type_id', 'model_used', 'input_tokens', 'output_tokens',
        'response_time_ms', 'occurred_at',
    ]) }}
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
