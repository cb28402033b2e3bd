{{ config(meta={'dagster': {'ref': {'name': 'pii_quarter_hourly'}}}) }}

-- For each customer, agent, agent type, model and quarter hour of this run: the redactions by
-- entity type sum to the redactions in all.
select customer_id, agent_id, agent_type_id, model, bucket_start
from (
    select
        customer_id, agent_id, agent_type_id, model, bucket_start, pii_redactions
    from {{ ref('compliance_quarter_hourly') }}
    where {{ is_touched('audit_events') }}
    union all
    select
        customer_id, agent_id, agent_type_id, model, bucket_start, -pii_redactions as pii_redactions
    from {{ ref('pii_quarter_hourly') }}
    where {{ is_touched('audit_events') }}
) as both_marts
group by customer_id, agent_id, agent_type_id, model, bucket_start
having sum(pii_redactions) <> 0
