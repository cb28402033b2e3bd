with

quarter_hours as (
    select * from {{ ref('usage_attribute_quarter_hourly') }}
    where {{ is_touched('agent_usage_events') }}
),

summed_per_date as (
    select
        customer_id,
        attribute,
        value,
        agent_type_id,
        model,
        {{ summed(usage_measures()) }},
        {{ summed_costs(cost_measures()) }},
        occurred_date
    from quarter_hours
    group by customer_id, attribute, value, agent_type_id, model, occurred_date
)

select * from summed_per_date
