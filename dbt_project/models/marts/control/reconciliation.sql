{% set streams = [
    ('agent_usage_events', 'event_id', 'usage_quarter_hourly', 'message_count + error_count'),
    ('audit_events', 'audit_id', 'compliance_quarter_hourly', 'scan_count'),
    ('feedback_events', 'feedback_id', 'feedback_quarter_hourly', 'rating_count'),
] %}
{% set counts = {
    'delivery_counts': delivery_measures() | list,
    'lake_counts': ['in_lake', 'withdrawn_in_lake', 'other_versions'],
    'mart_counts': ['in_marts'],
    'ids_counted': ['ids_on_two_dates'],
    'losses': ['lost'],
} %}
{% set measures = counts.values() | sum(start=[]) %}
with

-- What landing said of each row that was delivered.
delivery_counts as (
    select * from {{ source('raw', 'delivery_counts') }}
),

-- What the lake holds, counted without staging. First one row for each id, which may spill to disk.
lake_counts as (
    {% for stream, identity, _, _ in streams %}
    select
        '{{ stream }}' as stream,
        customer_id,
        sum(is_delivered + is_withdrawn) as in_lake,
        sum(is_delivered + is_withdrawn - is_counted) as withdrawn_in_lake,
        sum(version_count - is_delivered - is_withdrawn) as other_versions,
        occurred_date
    from (
        {{ ids_in_lake(stream, identity) }}
    ) as versions_per_id
    group by customer_id, occurred_date
    {{ 'union all' if not loop.last }}
    {% endfor %}
),

mart_counts as (
    {% for stream, _, mart, measure in streams %}
    select
        '{{ stream }}' as stream,
        customer_id,
        {{ measure }} as in_marts,
        occurred_date
    from {{ ref(mart) }}
    {{ 'union all' if not loop.last }}
    {% endfor %}
),

-- An id counts on each of its dates but the first, so that the sum over dates is how often the rule
-- was broken.
ids_counted as (
    select
        stream,
        customer_id,
        1 as ids_on_two_dates,
        occurred_date
    from {{ ref('int_ids_on_two_dates') }}
    where occurred_date > first_date
),

-- What was given up with lake files that were damaged or lost.
losses as (
    select * from {{ source('raw', 'lake_losses') }}
    where measure = 'events'
),

all_counts as (
    {% for relation, present in counts.items() %}
    select
        stream,
        customer_id,
        {% for measure in measures %}
        {{ measure ~ ' as ' if measure in present else '0 as ' }}{{ measure }},
        {% endfor %}
        occurred_date
    from {{ relation }}
    {{ 'union all' if not loop.last }}
    {% endfor %}
),

summed_per_date as (
    select
        stream,
        customer_id,
        {% for measure in measures %}
        {{ sum_of(measure) }} as {{ measure }},
        {% endfor %}
        occurred_date
    from all_counts
    group by stream, customer_id, occurred_date
),

compared as (
    select
        stream,
        customer_id,
        delivered,
        accepted,
        duplicates,
        rejected,
        lost,
        in_lake,
        other_versions,
        in_marts,
        abs(delivered - accepted - duplicates - rejected)
        + abs(accepted - lost - in_lake)
        + abs(in_lake - withdrawn_in_lake - in_marts) as difference,
        total_mismatches,
        conflicting_duplicates,
        received_in_future,
        ids_on_two_dates,
        withdrawn,
        withdrawn_in_lake,
        occurred_date
    from summed_per_date
)

select * from compared
