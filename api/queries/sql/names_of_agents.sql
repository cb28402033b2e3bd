select
    agent_id,
    agent_name,
from marts.agents
where customer_id = $customer_id
