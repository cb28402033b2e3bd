-- For windows whose days are all UTC days: the daily mart has one row for each.
with days as (
    select
        unnest($labels) as label,
        unnest($day_starts) as starts_at,
        unnest($day_ends) as ends_at,
),

usage_of_customer as (
    select
        message_count,
        total_tokens,
        occurred_date,
    from marts.customer_daily
    where
        customer_id = $customer_id
        and occurred_date >= cast($window_from as date)
        and occurred_date < cast($window_to as date)
),

usage_per_day as (
    select
        days.label,
        coalesce(usage_of_customer.message_count, 0) as messages,
        coalesce(usage_of_customer.total_tokens, 0) as tokens,
    from days
    left join usage_of_customer
        on
            cast(days.starts_at as date) = usage_of_customer.occurred_date
            -- A day before retention is empty: it starts and ends where the kept days begin.
            and days.starts_at < days.ends_at
)

select * from usage_per_day
order by label
