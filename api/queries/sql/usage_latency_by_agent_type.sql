with events_in_window as (
    {{ response_times_in_window('agent_type_id') | indent(4) }}
),

{{ response_time_percentiles('agent_type_id') }},

types_seen as (
    select distinct agent_type_id,
    from events_in_window
),

agent_types_of_customer as (
    select
        agent_type_id,
        agent_type_name,
    from marts.agent_types
    where customer_id = $customer_id
),

agent_types_named as (
    select
        types_seen.agent_type_id,
        coalesce(
            agent_types_of_customer.agent_type_name, 'Agent type ' || types_seen.agent_type_id
        ) as agent_type_name,
        {{ percentile_columns() | indent(8) }}
    from types_seen
    left join percentiles
        on types_seen.agent_type_id = percentiles.agent_type_id
    left join agent_types_of_customer
        on types_seen.agent_type_id = agent_types_of_customer.agent_type_id
)

select
    *,
    count(*) over () as rows_in_all,
from agent_types_named
qualify row_number() over (order by count desc, agent_type_id) <= {{ most_rows }}
order by count desc, agent_type_id
