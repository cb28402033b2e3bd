{# The lake as dbt sees it, for one run.

   The run writes three tables before dbt starts: raw.run_context (one row of settings),
   raw.touched_dates (stream, occurred_date) and raw.lake_files (stream, path: the files of the
   touched dates, and all files of reference streams). From these come the views raw.<stream>, so
   that a model reads the dates it rebuilds and no others, without a word about it in its SQL.
   The paths are literals in the view: the engine then opens those files only. #}
{% macro create_raw_views() %}
    {%- if execute and flags.WHICH in ['build', 'run', 'test'] -%}
        {%- for source_node in graph.sources.values() if source_node.meta.get('lake') -%}
            {%- set paths = run_query(
                "select path from " ~ source('raw', 'lake_files')
                ~ " where stream = '" ~ source_node.name ~ "' order by path"
            ).columns[0].values() -%}
            {%- do run_query(
                "create or replace view " ~ source('raw', source_node.name) ~ " as "
                ~ lake_rows(source_node.columns.values(), paths)
            ) -%}
        {%- endfor -%}
    {%- endif -%}
{% endmacro %}

{# One row per row of the given Parquet files; no row, but typed columns, without files. #}
{% macro lake_rows(columns, paths) %}
    {{- return(adapter.dispatch('lake_rows')(columns, paths)) -}}
{% endmacro %}

{% macro duckdb__lake_rows(columns, paths) %}
    {%- set rows -%}
        select
        {%- for column in columns %}
            {% if column.name == 'occurred_date' -%}
                cast({{ 'occurred_at' if paths else 'null' }} as date) as occurred_date
            {%- elif paths -%}
                {{ column.name }}
            {%- else -%}
                cast(null as {{ column.data_type }}) as {{ column.name }}
            {%- endif -%}
            {{ ',' if not loop.last }}
        {%- endfor %}
        {%- if paths %}
            from read_parquet([
            {%- for path in paths %}'{{ path | replace("'", "''") }}'{{ ', ' if not loop.last }}{% endfor -%}
            ], hive_partitioning = false)
        {%- else %}
            where false
        {%- endif %}
    {%- endset -%}
    {{- return(rows) -}}
{% endmacro %}
