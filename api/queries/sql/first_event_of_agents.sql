with quarter_hours_of_agents as (
    select
        agent_id,
        bucket_start,
    from marts.usage_quarter_hourly
    where customer_id = $customer_id

    union all

    select
        agent_id,
        bucket_start,
    from marts.compliance_quarter_hourly
    where customer_id = $customer_id

    union all

    select
        agent_id,
        bucket_start,
    from marts.feedback_quarter_hourly
    where customer_id = $customer_id
)

select min(bucket_start) as first_event_at
from quarter_hours_of_agents
where list_contains($agent_ids::bigint[], agent_id)
