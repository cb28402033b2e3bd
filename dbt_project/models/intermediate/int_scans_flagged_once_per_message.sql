with

scans as (
    select * from {{ ref('stg_audit_events') }}
),

responses as (
    select
        customer_id,
        event_id,
        model,
        occurred_date
    from {{ ref('stg_agent_usage_events') }}
),

-- A scan that does not tell the model is of that of the response.
scans_with_model as (
    select
        scans.customer_id,
        scans.audit_id,
        scans.agent_id,
        scans.agent_type_id,
        scans.message_id,
        coalesce(scans.model, responses.model, 'unknown') as model,
        scans.entity_counts,
        scans.pii_redactions,
        scans.is_toxic,
        scans.occurred_at,
        scans.bucket_start,
        scans.occurred_date
    from scans
    left join responses
        on
            scans.model is null
            and scans.customer_id = responses.customer_id
            and scans.event_id = responses.event_id
            and scans.occurred_date = responses.occurred_date
),

-- A response may be scanned several times, but is one message: each flag is raised at the first
-- scan that gives cause, so that the flags can be summed over any buckets, types and dates.
flagged as (
    select
        customer_id,
        agent_id,
        agent_type_id,
        model,
        entity_counts,
        pii_redactions,
        row_number() over (
            partition by customer_id, message_id, occurred_date
            order by occurred_at, audit_id
        ) = 1 as is_first_scan,
        is_toxic
        and row_number() over (
            partition by customer_id, message_id, occurred_date, is_toxic
            order by occurred_at, audit_id
        ) = 1 as is_first_toxic_scan,
        pii_redactions > 0
        and row_number() over (
            partition by customer_id, message_id, occurred_date, pii_redactions > 0
            order by occurred_at, audit_id
        ) = 1 as is_first_scan_with_pii,
        bucket_start,
        occurred_date
    from scans_with_model
)

select * from flagged
