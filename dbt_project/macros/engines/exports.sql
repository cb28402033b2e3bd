{# What a mart has new, handed back to the run, which publishes it. On DuckDB nothing: the run reads
   the tables themselves. #}
{% macro hand_back() %}
    {{- return(adapter.dispatch('hand_back')()) -}}
{% endmacro %}

{% macro duckdb__hand_back() %}
{% endmacro %}

{# The rows of the dates rebuilt, or all of them, as Parquet that DuckDB reads as its own types: an
   instant with a zone would come back as another type. #}
{% macro spark__hand_back() %}
    {%- set stream = model.config.get('meta', {}).get('stream') -%}
    {%- set is_part = model.config.materialized == 'incremental' and not should_full_refresh() -%}
    insert overwrite directory
        '{{ env_var('SPARK_EXCHANGE') }}/handed_back/{{ stream if is_part else 'whole' }}/{{ model.config.schema }}.{{ this.identifier }}'
    using parquet
    select
    {%- for column in model.columns.values() %}
        {% if column.data_type == 'timestamp' -%}
            cast({{ column.name }} as timestamp_ntz) as {{ column.name }}
        {%- else -%}
            {{ column.name }}
        {%- endif -%}
        {{ ',' if not loop.last }}
    {%- else %}
        *
    {%- endfor %}
    from {{ this }}
    {%- if is_part %}
    where {{ is_touched(stream) }}
    {%- endif %}
{% endmacro %}
