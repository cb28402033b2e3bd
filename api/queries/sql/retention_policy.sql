select
    tier,
    retention_days,
from marts.customers
where customer_id = $customer_id
