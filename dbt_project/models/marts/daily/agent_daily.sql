with

quarter_hours as (
    select * from {{ ref('usage_quarter_hourly') }}
    where {{ is_touched('agent_usage_events') }}
),

summed_per_date as (
    select
        customer_id,
        agent_id,
        {{ summed(usage_measures()) }},
        {{ summed_costs(cost_measures()) }},
        occurred_date
    from quarter_hours
    group by customer_id, agent_id, occurred_date
)

select * from summed_per_date
