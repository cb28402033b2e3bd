with

scans as (
    select * from {{ ref('int_scans_flagged_once_per_message') }}
),

counted_per_bucket as (
    select
        customer_id,
        agent_id,
        agent_type_id,
        model,
        count(*) as scan_count,
        count(case when is_first_scan then 1 end) as scanned_messages,
        count(case when is_first_toxic_scan then 1 end) as toxic_messages,
        count(case when is_first_scan_with_pii then 1 end) as messages_with_pii,
        cast(sum(pii_redactions) as bigint) as pii_redactions,
        bucket_start,
        occurred_date
    from scans
    group by customer_id, agent_id, agent_type_id, model, bucket_start, occurred_date
)

select * from counted_per_bucket
