with events_in_window as (
    {{ response_times_in_window('agent_id') | indent(4) }}
),

{{ response_time_percentiles('agent_id') }},

agents_seen as (
    select distinct agent_id,
    from events_in_window
),

agents_of_customer as (
    select
        agent_id,
        agent_name,
    from marts.agents
    where customer_id = $customer_id
),

agents_named as (
    select
        agents_seen.agent_id,
        coalesce(agents_of_customer.agent_name, 'Agent ' || agents_seen.agent_id) as agent_name,
        {{ percentile_columns() | indent(8) }}
    from agents_seen
    left join percentiles
        on agents_seen.agent_id = percentiles.agent_id
    left join agents_of_customer
        on agents_seen.agent_id = agents_of_customer.agent_id
)

select
    *,
    count(*) over () as rows_in_all,
from agents_named
qualify row_number() over (order by count desc, agent_id) <= {{ most_rows }}
order by count desc, agent_id
