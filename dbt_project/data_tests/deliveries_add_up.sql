{{ config(meta={'dagster': {'ref': {'name': 'delivery_quarter_hourly'}}}) }}

-- Every delivered row is accepted, a duplicate or rejected, and what is rejected has a reason.
select *
from {{ ref('delivery_quarter_hourly') }}
where
    {{ is_touched('delivery_counts') }}
    and (
        delivered <> accepted + duplicates + rejected
        or (reason is null and (rejected <> 0 or newest_event_at is null or not is_dated))
        or (reason is not null and (rejected <> delivered or newest_event_at is not null))
    )
