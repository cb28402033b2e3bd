with days as (
    select
        unnest($labels) as label,
        unnest($day_starts) as starts_at,
        unnest($day_ends) as ends_at,
),

usage_per_quarter_hour as (
    select
        bucket_start,
        sum(message_count) as message_count,
        sum(total_tokens) as total_tokens,
    from marts.usage_quarter_hourly
    where
        customer_id = $customer_id
        and bucket_start >= $window_from
        and bucket_start < $window_to
    group by bucket_start
),

usage_summed_per_day as (
    select
        days.label,
        sum(usage_per_quarter_hour.message_count) as message_count,
        sum(usage_per_quarter_hour.total_tokens) as total_tokens,
    from days
    inner join usage_per_quarter_hour
        on
            usage_per_quarter_hour.bucket_start >= days.starts_at
            and usage_per_quarter_hour.bucket_start < days.ends_at
    group by days.label
),

usage_per_day as (
    select
        days.label,
        coalesce(usage_summed_per_day.message_count, 0) as messages,
        coalesce(usage_summed_per_day.total_tokens, 0) as tokens,
    from days
    left join usage_summed_per_day
        on days.label = usage_summed_per_day.label
)

select * from usage_per_day
order by label
