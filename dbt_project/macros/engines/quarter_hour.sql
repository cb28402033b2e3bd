{% macro duckdb__quarter_hour(instant) -%}
    time_bucket(interval '15' minute, {{ instant }})
{%- endmacro %}

{% macro spark__quarter_hour(instant) -%}
    date_trunc('hour', {{ instant }})
    + cast(floor(extract(minute from {{ instant }}) / 15) as int) * interval '15' minute
{%- endmacro %}
