-- An event keeps its time, so an id belongs to one date. Here are those that came under more than
-- one, found over all dates that the run reads: in the nightly recount, all of the lake.
{% set streams = [
    ('agent_usage_events', 'event_id'),
    ('audit_events', 'audit_id'),
    ('feedback_events', 'feedback_id'),
] %}
with

{% for stream, identity in streams %}
{{ stream }}_by_id as (
    select
        customer_id,
        {{ identity }} as id,
        min(occurred_date) as first_date
    from {{ source('raw', stream) }}
    group by customer_id, {{ identity }}
    having min(occurred_date) <> max(occurred_date)
),

{% endfor %}
every_date_of_them as (
    {% for stream, identity in streams %}
    select distinct
        '{{ stream }}' as stream,
        events.customer_id,
        events.{{ identity }} as id,
        {{ stream }}_by_id.first_date,
        events.occurred_date
    from {{ source('raw', stream) }} as events
    inner join {{ stream }}_by_id
        on
            events.customer_id = {{ stream }}_by_id.customer_id
            and events.{{ identity }} = {{ stream }}_by_id.id
    {{ 'union all' if not loop.last }}
    {% endfor %}
)

select * from every_date_of_them
