{{ config(meta={'dagster': {'ref': {'name': 'usage_quarter_hourly'}}}) }}

-- For each stream, customer and date of this run: what the marts count is the number of distinct
-- identities in the lake that are not withdrawn, counted without staging.
{% set families = [
    ('agent_usage_events', 'event_id', 'usage_quarter_hourly', 'event_count'),
    ('audit_events', 'audit_id', 'compliance_quarter_hourly', 'scan_count'),
    ('feedback_events', 'feedback_id', 'feedback_quarter_hourly', 'rating_count'),
] %}
{% for stream, identity, mart, measure in families %}
select '{{ stream }}' as stream, customer_id, occurred_date, sum(event_count) as difference
from (
    select customer_id, occurred_date, sum(is_counted) as event_count
    from ({{ ids_in_lake(stream, identity) }}) as ids
    group by customer_id, occurred_date
    union all
    select customer_id, occurred_date, -{{ measure }} as event_count
    from {{ ref(mart) }}
    where {{ is_touched(stream) }}
    -- Of these nothing was read.
    and not (
        '{{ stream }}' = 'agent_usage_events'
        and occurred_date in (select occurred_date from {{ source('raw', 'repriced_dates') }})
    )
) as both_counts
group by customer_id, occurred_date
having sum(event_count) <> 0
{{ 'union all' if not loop.last }}
{% endfor %}
