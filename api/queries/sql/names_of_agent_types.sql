select
    agent_type_id,
    agent_type_name,
    model,
from marts.agent_types
where customer_id = $customer_id
