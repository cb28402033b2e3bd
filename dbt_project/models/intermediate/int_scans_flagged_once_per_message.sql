with

scans as (
    select * from {{ ref('stg_audit_events') }}
),

-- A response may be scanned several times, but is one message: each flag is raised at the first
-- scan that gives cause, so that the flags can be summed over any buckets, types and dates.
flagged as (
    select
        customer_id,
        agent_type_id,
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
    from scans
)

select * from flagged
