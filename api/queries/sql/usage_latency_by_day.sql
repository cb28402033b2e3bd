with days as (
    select
        unnest($labels) as label,
        unnest($day_starts) as starts_at,
        unnest($day_ends) as ends_at,
),

-- A day before retention starts and ends where the kept days begin: nothing is in it.
days_kept as (
    select * from days
    where starts_at < ends_at
),

quarter_hours_in_window as (
    select
        bucket_start,
        response_time_buckets,
    from marts.usage_quarter_hourly
    where
        customer_id = $customer_id
        and bucket_start >= $window_from
        and bucket_start < $window_to
),

bucket_starts as (
    select distinct bucket_start,
    from quarter_hours_in_window
),

bucket_starts_by_day as (
    select
        bucket_starts.bucket_start,
        days_kept.starts_at,
    from bucket_starts
    asof inner join days_kept
        on bucket_starts.bucket_start >= days_kept.starts_at
),

events_in_window as (
    select
        bucket_starts_by_day.starts_at,
        quarter_hours_in_window.response_time_buckets,
    from quarter_hours_in_window
    inner join bucket_starts_by_day
        on quarter_hours_in_window.bucket_start = bucket_starts_by_day.bucket_start
),

{{ response_time_percentiles('starts_at') }},

days_in_order as (
    select
        days.label as date,
        {{ percentile_columns() | indent(8) }}
    from days
    left join percentiles
        on
            days.starts_at = percentiles.starts_at
            and days.starts_at < days.ends_at
)

select * from days_in_order
order by date
