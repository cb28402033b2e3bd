with

quarter_hours as (
    select * from {{ ref('pii_quarter_hourly') }}
    where {{ is_touched('audit_events') }}
),

summed_per_date as (
    select
        customer_id,
        agent_type_id,
        entity_type,
        {{ summed(['pii_redactions']) }},
        occurred_date
    from quarter_hours
    group by customer_id, agent_type_id, entity_type, occurred_date
)

select * from summed_per_date
