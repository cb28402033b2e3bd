-- What came of the delivered rows of one customer in a window, and what their recount did not
-- find, by stream. A recount is by UTC date.
with delivered as (
    select
        stream,
        sum(accepted) as accepted,
        sum(duplicates) as duplicates,
        sum(rejected) as rejected,
        sum(withdrawn) as withdrawn,
    from marts.delivery_quarter_hourly
    where
        customer_id = $customer_id
        and bucket_start >= $window_from
        and bucket_start < $window_to
    group by stream
),

recounted as (
    select
        stream,
        sum(difference) as recount_difference,
    from marts.reconciliation
    where
        customer_id = $customer_id
        and occurred_date >= cast($window_from as date)
        and occurred_date < $window_to
    group by stream
)

select
    coalesce(delivered.stream, recounted.stream) as stream,
    coalesce(delivered.accepted, 0) as accepted,
    coalesce(delivered.duplicates, 0) as duplicates,
    coalesce(delivered.rejected, 0) as rejected,
    coalesce(delivered.withdrawn, 0) as withdrawn,
    coalesce(recounted.recount_difference, 0) as recount_difference,
from delivered
-- What a recount found where nothing counts as delivered is a difference, too.
full outer join recounted
    on delivered.stream = recounted.stream
order by 1
