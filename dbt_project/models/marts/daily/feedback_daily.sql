with

quarter_hours as (
    select * from {{ ref('feedback_quarter_hourly') }}
    where {{ is_touched('feedback_events') }}
),

summed_per_date as (
    select
        customer_id,
        agent_id,
        agent_type_id,
        model,
        load_bucket,
        {{ summed(feedback_measures()) }},
        occurred_date
    from quarter_hours
    group by customer_id, agent_id, agent_type_id, model, load_bucket, occurred_date
)

select * from summed_per_date
