-- The tokens of one customer in each quarter hour of a window that has any.
select
    bucket_start,
    cast(sum(total_tokens) as bigint) as total_tokens,
from marts.usage_quarter_hourly
where
    customer_id = $customer_id
    and bucket_start >= $window_from
    and bucket_start < $window_to
group by bucket_start
