-- What came of the rows of one customer, three times over: in all, by stream, and by date.
with days as (
    select
        unnest($labels) as label,
        unnest($day_starts) as starts_at,
        unnest($day_ends) as ends_at,
),

counts_of_customer as (
    select
        stream,
        reason,
        is_dated,
        delivered,
        accepted,
        duplicates,
        rejected,
        total_mismatches,
        conflicting_duplicates,
        received_in_future,
        withdrawn,
        newest_event_at,
        bucket_start,
    from marts.delivery_quarter_hourly
    where
        customer_id = $customer_id
        and bucket_start >= $window_from
        and bucket_start < $window_to
),

counts_per_day as (
    select
        days.label,
        counts_of_customer.*,
    from days
    inner join counts_of_customer
        on
            counts_of_customer.bucket_start >= days.starts_at
            and counts_of_customer.bucket_start < days.ends_at
),

summed_by_reason as (
    select
        label,
        stream,
        reason,
        sum(delivered) as delivered,
        sum(accepted) as accepted,
        sum(duplicates) as duplicates,
        sum(rejected) as rejected,
        coalesce(sum(rejected) filter (not is_dated), 0) as rejected_undated,
        sum(total_mismatches) as total_mismatches,
        sum(conflicting_duplicates) as conflicting_duplicates,
        sum(received_in_future) as received_in_future,
        sum(withdrawn) as withdrawn,
        max(newest_event_at) as newest_event_at,
    from counts_per_day
    group by grouping sets ((reason), (stream, reason), (label, reason))
),

summed as (
    select
        label,
        stream,
        sum(delivered) as delivered,
        sum(accepted) as accepted,
        sum(duplicates) as duplicates,
        sum(rejected) as rejected,
        map_from_entries(
            list((reason, rejected) order by rejected desc, reason)
            filter (reason is not null)
        ) as rejected_by_reason,
        sum(rejected_undated) as rejected_undated,
        sum(total_mismatches) as total_mismatches,
        sum(conflicting_duplicates) as conflicting_duplicates,
        sum(received_in_future) as received_in_future,
        sum(withdrawn) as withdrawn,
        max(newest_event_at) as newest_event_at,
    from summed_by_reason
    group by label, stream
),

-- What is asked about, with data or without.
places as (
    select
        0 as place,
        cast(null as varchar) as label,
        cast(null as varchar) as stream,
    union all
    select
        1 as place,
        null as label,
        unnest(['agent_usage_events', 'audit_events', 'feedback_events']) as stream,
    union all
    select
        2 as place,
        label,
        null as stream,
    from days
)

select
    places.label as date,
    places.stream,
    coalesce(summed.delivered, 0) as delivered,
    coalesce(summed.accepted, 0) as accepted,
    coalesce(summed.duplicates, 0) as duplicates,
    coalesce(summed.rejected, 0) as rejected,
    coalesce(summed.rejected_by_reason, map {}) as rejected_by_reason,
    coalesce(summed.rejected_undated, 0) as rejected_undated,
    coalesce(summed.total_mismatches, 0) as total_mismatches,
    coalesce(summed.conflicting_duplicates, 0) as conflicting_duplicates,
    coalesce(summed.received_in_future, 0) as received_in_future,
    coalesce(summed.withdrawn, 0) as withdrawn,
    summed.newest_event_at,
from places
left join summed
    on
        places.label is not distinct from summed.label
        and places.stream is not distinct from summed.stream
order by places.place, places.label, places.stream
