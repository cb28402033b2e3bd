with

lake_counts as (
    {% for stream, identity in [
        ('agent_usage_events', 'event_id'),
        ('audit_events', 'audit_id'),
        ('feedback_events', 'feedback_id'),
    ] %}
    select
        '{{ stream }}' as stream,
        customer_id,
        count(distinct {{ identity }}) as accepted,
        count(*) - count(distinct {{ identity }}) as other_versions,
        0 as in_marts,
        occurred_date
    from {{ source('raw', stream) }}
    group by customer_id, occurred_date
    {{ 'union all' if not loop.last }}
    {% endfor %}
),

mart_counts as (
    {% for stream, mart, measure in [
        ('agent_usage_events', 'usage_quarter_hourly', 'message_count'),
        ('audit_events', 'compliance_quarter_hourly', 'scan_count'),
        ('feedback_events', 'feedback_quarter_hourly', 'rating_count'),
    ] %}
    select
        '{{ stream }}' as stream,
        customer_id,
        0 as accepted,
        0 as other_versions,
        sum({{ measure }}) as in_marts,
        occurred_date
    from {{ ref(mart) }}
    group by customer_id, occurred_date
    {{ 'union all' if not loop.last }}
    {% endfor %}
),

both_counts as (
    select * from lake_counts
    union all
    select * from mart_counts
),

compared as (
    select
        stream,
        customer_id,
        cast(sum(accepted) as bigint) as accepted,
        cast(sum(other_versions) as bigint) as other_versions,
        cast(sum(in_marts) as bigint) as in_marts,
        cast(sum(in_marts) - sum(accepted) as bigint) as difference,
        occurred_date
    from both_counts
    group by stream, customer_id, occurred_date
)

select * from compared
