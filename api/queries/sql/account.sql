with customer_of_the_key as (
    select
        customer_name,
        tier,
        retention_days,
        data_from,
        first_event_at,
        newest_event_at,
    from marts.customers
    where customer_id = $customer_id
),

-- Of a customer that was never delivered nothing is ever deleted: what was accepted is all there
-- is. Its first event is given to the quarter hour.
accepted_by_quarter_hour as (
    select
        min(bucket_start) as first_event_at,
        max(newest_event_at) as newest_event_at,
    from marts.delivery_quarter_hourly
    where customer_id = $customer_id and accepted > 0
)

select
    customer_of_the_key.customer_name,
    customer_of_the_key.tier,
    customer_of_the_key.retention_days,
    tiers.daily_token_budget,
    coalesce(
        customer_of_the_key.data_from, cast(accepted_by_quarter_hour.first_event_at as date) + 1
    ) as data_from,
    coalesce(customer_of_the_key.first_event_at, accepted_by_quarter_hour.first_event_at)
        as first_event_at,
    coalesce(customer_of_the_key.newest_event_at, accepted_by_quarter_hour.newest_event_at)
        as newest_event_at,
from accepted_by_quarter_hour
left join customer_of_the_key on true
left join marts.tiers on customer_of_the_key.tier = tiers.tier
