{% set usage = {
    'rows': 'message_count + error_count', 'input_tokens': 'input_tokens', 'output_tokens': 'output_tokens',
    'response_time_ms': 'response_time_ms_sum',
} %}
{% set scans = {'rows': 'scan_count', 'pii_redactions': 'pii_redactions'} %}
{% set redactions = {'pii_redactions': 'pii_redactions'} %}
{% set ratings = {'rows': 'rating_count', 'rating': 'rating_sum'} %}
{# Of each stream: the measures, as staging has them, and in which column of which mart they are
   summed, the quarter-hourly mart first. #}
{% set families = {
    'agent_usage_events': {
        'staging': 'stg_agent_usage_events',
        'measures': ['rows', 'input_tokens', 'output_tokens', 'response_time_ms'],
        'marts': {
            'usage_quarter_hourly': usage, 'customer_daily': usage, 'agent_daily': usage,
            'model_daily': usage, 'agent_type_model_daily': usage,
            'provider_daily': usage,
        },
    },
    'audit_events': {
        'staging': 'stg_audit_events',
        'measures': ['rows', 'pii_redactions'],
        'marts': {
            'compliance_quarter_hourly': scans, 'compliance_daily': scans,
            'compliance_agent_type_daily': scans, 'pii_quarter_hourly': redactions,
            'pii_daily': redactions, 'pii_agent_type_daily': redactions,
        },
    },
    'feedback_events': {
        'staging': 'stg_feedback_events',
        'measures': ['rows', 'rating'],
        'marts': {
            'feedback_quarter_hourly': ratings, 'load_bucket_daily': ratings,
            'feedback_daily': ratings,
        },
    },
} %}
{% set in_raw_rows = {'rows': '1', 'pii_redactions': sum_of_entity_counts('pii_redactions')} %}
{# A mart has the times of messages only. #}
{% set in_staged_rows = {
    'rows': '1', 'response_time_ms': 'case when is_message then response_time_ms end',
} %}
{% set amounts = ['written', 'lost', 'in_lake', 'newest_in_lake', 'in_marts', 'apart'] %}
with

{% for stream, family in families.items() %}
-- What landing recorded as it wrote the rows, every version of an event.
{{ stream }}_written as (
    select
        customer_id,
        {% for measure in family.measures %}
        {{ wide_sum('written_' ~ measure) }} as {{ measure }},
        {% endfor %}
        occurred_date
    from {{ source('raw', 'delivery_counts') }}
    where stream = '{{ stream }}' and reason is null
    group by customer_id, occurred_date
),

-- The same rows as the lake has them now.
{{ stream }}_in_lake as (
    select
        customer_id,
        {% for measure in family.measures %}
        {{ wide_sum(in_raw_rows.get(measure, measure)) }} as {{ measure }},
        {% endfor %}
        occurred_date
    from {{ source('raw', stream) }}
    group by customer_id, occurred_date
),

-- Of each event the version that counts.
{{ stream }}_newest_in_lake as (
    select
        customer_id,
        {% for measure in family.measures %}
        {{ wide_sum(in_staged_rows.get(measure, measure)) }} as {{ measure }},
        {% endfor %}
        occurred_date
    from {{ ref(family.staging) }}
    group by customer_id, occurred_date
),

{{ stream }}_measures as (
    {% for measure in family.measures %}
    select '{{ measure }}' as measure
    {{ 'union all' if not loop.last }}
    {% endfor %}
),

{{ stream }}_in_each_mart as (
    {% for mart, columns in family.marts.items() %}
    {% set last_mart = loop.last %}
    {% for measure in columns %}
    select
        '{{ mart }}' as mart,
        '{{ measure }}' as measure
    {{ 'union all' if not (last_mart and loop.last) }}
    {% endfor %}
    {% endfor %}
),

{% for mart, columns in family.marts.items() %}
in_{{ mart }} as (
    select
        customer_id,
        {% for measure, column in columns.items() %}
        {{ wide_sum(column) }} as {{ measure }},
        {% endfor %}
        occurred_date
    from {{ ref(mart) }}
    group by customer_id, occurred_date
),

{% endfor %}
{% endfor %}
-- For each mart, what it should hold beside what it holds. Each step is read once for all of its
-- measures: an engine that does not keep a step makes it anew for each reader.
each_mart as (
    {% for stream, family in families.items() %}
    {% set last_family = loop.last %}
    select
        '{{ stream }}' as stream,
        expected.customer_id,
        compared.measure,
        compared.mart,
        case compared.measure
            {% for measure in family.measures %}
            when '{{ measure }}' then expected.{{ measure }}
            {% endfor %}
        end as expected,
        0 as in_mart,
        expected.occurred_date
    from {{ stream }}_newest_in_lake as expected
    cross join {{ stream }}_in_each_mart as compared
    {% for mart, columns in family.marts.items() %}
    union all
    select
        '{{ stream }}' as stream,
        summed.customer_id,
        compared.measure,
        '{{ mart }}' as mart,
        0 as expected,
        case compared.measure
            {% for measure in columns %}
            when '{{ measure }}' then summed.{{ measure }}
            {% endfor %}
        end as in_mart,
        summed.occurred_date
    from in_{{ mart }} as summed
    inner join {{ stream }}_in_each_mart as compared
        on compared.mart = '{{ mart }}'
    {% endfor %}
    {{ 'union all' if not last_family }}
    {% endfor %}
),

marts_compared as (
    select
        stream,
        customer_id,
        measure,
        mart,
        abs(sum(expected) - sum(in_mart)) as apart,
        occurred_date
    from each_mart
    group by stream, customer_id, measure, mart, occurred_date
),

every_amount as (
    {% for stream, family in families.items() %}
    {% set quarter_hourly = family.marts.keys() | first %}
    {% for amount, relation in [
        ('written', stream ~ '_written'),
        ('in_lake', stream ~ '_in_lake'),
        ('newest_in_lake', stream ~ '_newest_in_lake'),
        ('in_marts', 'in_' ~ quarter_hourly),
    ] %}
    select
        '{{ stream }}' as stream,
        summed.customer_id,
        compared.measure,
        '' as mart_that_differs,
        {% for name in amounts %}
        {% if name == amount %}
        case compared.measure
            {% for measure in family.measures %}
            when '{{ measure }}' then summed.{{ measure }}
            {% endfor %}
        end as {{ name }},
        {% else %}
        0 as {{ name }},
        {% endif %}
        {% endfor %}
        summed.occurred_date
    from {{ relation }} as summed
    cross join {{ stream }}_measures as compared
    union all
    {% endfor %}
    {% endfor %}
    select
        stream,
        customer_id,
        measure,
        '' as mart_that_differs,
        {% for name in amounts %}
        {{ name ~ ' as ' if name == 'lost' else '0 as ' }}{{ name }},
        {% endfor %}
        occurred_date
    from {{ source('raw', 'lake_losses') }}
    where measure <> 'events'
    union all
    select
        stream,
        customer_id,
        measure,
        case when apart <> 0 then mart else '' end as mart_that_differs,
        {% for name in amounts %}
        {{ name ~ ' as ' if name == 'apart' else '0 as ' }}{{ name }},
        {% endfor %}
        occurred_date
    from marts_compared
),

summed_per_date as (
    select
        stream,
        customer_id,
        measure,
        nullif(max(mart_that_differs), '') as mart_that_differs,
        {% for amount in amounts %}
        {{ wide_sum(amount) }} as {{ amount }},
        {% endfor %}
        occurred_date
    from every_amount
    group by stream, customer_id, measure, occurred_date
),

compared as (
    select
        stream,
        customer_id,
        measure,
        written,
        lost,
        in_lake,
        newest_in_lake,
        in_marts,
        mart_that_differs,
        cast(abs(written - lost - in_lake) + apart as decimal(38, 0)) as difference,
        occurred_date
    from summed_per_date
)

select * from compared
