{# The start of the UTC quarter hour that holds an instant. #}
{% macro quarter_hour(instant) %}
    {{- return(adapter.dispatch('quarter_hour')(instant)) -}}
{% endmacro %}

{% macro duckdb__quarter_hour(instant) -%}
    time_bucket(interval '15' minute, {{ instant }})
{%- endmacro %}

{% macro spark__quarter_hour(instant) -%}
    date_trunc('hour', {{ instant }})
    + cast(floor(extract(minute from {{ instant }}) / 15) as int) * interval '15' minute
{%- endmacro %}
