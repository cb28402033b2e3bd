with

quarter_hours as (
    select * from {{ ref('errors_quarter_hourly') }}
    where {{ is_touched('agent_usage_events') }}
),

summed_per_date as (
    select
        customer_id,
        agent_id,
        agent_type_id,
        model,
        provider,
        processing,
        error_type,
        {{ summed(error_measures()) }},
        {{ summed_costs(error_cost_measures()) }},
        occurred_date
    from quarter_hours
    group by
        customer_id, agent_id, agent_type_id, model, provider, processing, error_type, occurred_date
)

select * from summed_per_date
