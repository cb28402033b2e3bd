with

source as (
    select * from {{ source('raw', 'audit_events') }}
),

run_context as (
    select * from {{ source('raw', 'run_context') }}
),

unique_scans as (
    {{ newest_versions('audit_events', 'audit_id') }}
),

renamed as (
    select
        -- ids
        unique_scans.customer_id,
        unique_scans.audit_id,
        unique_scans.agent_id,
        unique_scans.agent_type_id,
        -- A scan of no known response stands for a message of its own; the prefix keeps its id
        -- apart from those of responses.
        coalesce(
            'response ' || unique_scans.event_id, 'scan ' || unique_scans.audit_id
        ) as message_id,

        unique_scans.event_id,

        -- strings
        unique_scans.model_used as model,

        -- numerics
        unique_scans.pii_redactions as entity_counts,
        coalesce(
            {{ sum_of_entity_counts('unique_scans.pii_redactions') }}, 0
        ) as pii_redactions,

        -- booleans
        coalesce(
            unique_scans.is_toxic,
            unique_scans.toxicity_score >= run_context.toxicity_threshold,
            false
        ) as is_toxic,

        -- times
        unique_scans.occurred_at,
        {{ quarter_hour('unique_scans.occurred_at') }} as bucket_start,
        unique_scans.occurred_date,
        unique_scans.received_at
    from unique_scans
    cross join run_context
)

select * from renamed
