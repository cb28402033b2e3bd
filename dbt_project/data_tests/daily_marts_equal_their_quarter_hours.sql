{{ config(meta={'dagster': {'ref': {'name': 'load_bucket_daily'}}}) }}

-- For each daily mart: every measure, summed over customer and date, is what the quarter hours sum
-- to, for the dates of this run.
{% set families = [
    ('usage_quarter_hourly', 'agent_usage_events', usage_measures(),
        ['customer_daily', 'agent_daily', 'model_daily', 'agent_type_model_daily',
         'provider_daily']),
    ('usage_attribute_quarter_hourly', 'agent_usage_events', usage_measures(),
        ['usage_attribute_daily']),
    ('errors_quarter_hourly', 'agent_usage_events', error_measures(), ['errors_daily']),
    ('compliance_quarter_hourly', 'audit_events', compliance_measures(), ['compliance_daily', 'compliance_agent_type_daily']),
    ('pii_quarter_hourly', 'audit_events', ['pii_redactions'], ['pii_daily', 'pii_agent_type_daily']),
    ('feedback_quarter_hourly', 'feedback_events', feedback_measures(), ['load_bucket_daily', 'feedback_daily']),
] %}
{% for quarter_hourly, stream, measures, dailies in families %}
    {% for daily in dailies %}
select '{{ daily }}' as mart, customer_id, occurred_date
from (
    select customer_id, occurred_date, {{ measures | join(', ') }}, 1 as sign
    from {{ ref(daily) }}
    where {{ is_touched(stream) }}
    union all
    select customer_id, occurred_date, {{ measures | join(', ') }}, -1 as sign
    from {{ ref(quarter_hourly) }}
    where {{ is_touched(stream) }}
) as both_grains
group by customer_id, occurred_date
having
        {% for measure in measures %}
    sum(sign * {{ measure }}) <> 0{{ ' or' if not loop.last }}
        {% endfor %}
        {{ 'union all' if not loop.last }}
    {% endfor %}
    {{ 'union all' if not loop.last }}
{% endfor %}
