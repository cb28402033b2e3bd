with

entities as (
    {{ explode_entity_counts(
        ['customer_id', 'agent_id', 'agent_type_id', 'model', 'bucket_start', 'occurred_date'],
        'entity_counts',
        ref('int_scans_flagged_once_per_message'),
    ) }}
),

summed_per_bucket as (
    select
        customer_id,
        agent_id,
        agent_type_id,
        model,
        entity_type,
        cast(sum(pii_redactions) as bigint) as pii_redactions,
        bucket_start,
        occurred_date
    from entities
    where pii_redactions > 0
    group by
        customer_id, agent_id, agent_type_id, model, entity_type, bucket_start, occurred_date
)

select * from summed_per_bucket
