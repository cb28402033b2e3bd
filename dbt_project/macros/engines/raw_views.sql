{# The lake as dbt sees it, for one run.

   The run writes tables before dbt starts: raw.run_context (one row of settings),
   raw.touched_dates (stream, occurred_date), raw.repriced_dates (those of them that are not read),
   raw.lake_files (stream, path: the files of the touched
   dates, and all files of reference streams) and raw.lake_losses (what was given up). From these
   come the views raw.<stream>, so that a model reads the dates it rebuilds and no others, without a
   word about it in its SQL.
   The paths are literals in the view: the engine then opens those files only. #}
{% macro create_raw_views() %}
    {%- if execute and flags.WHICH in ['build', 'run', 'test'] -%}
        {%- do adapter.dispatch('show_what_was_handed_over')() -%}
        {%- for source_node in graph.sources.values() if source_node.meta.get('lake') -%}
            {%- set paths = run_query(
                "select path from " ~ source('raw', 'lake_files')
                ~ " where stream = '" ~ source_node.name ~ "' order by path"
            ).columns[0].values() -%}
            {%- do run_query(
                "create or replace view " ~ source('raw', source_node.name) ~ " as "
                ~ lake_rows(source_node.name, source_node.columns.values(), paths)
            ) -%}
        {%- endfor -%}
    {%- endif -%}
{% endmacro %}

{# Those tables are in the warehouse that dbt writes, … #}
{% macro duckdb__show_what_was_handed_over() %}
{% endmacro %}

{# … or in files beside it. Dropping a table over them deletes nothing. #}
{% macro spark__show_what_was_handed_over() %}
    {%- do create_schema(source('raw', 'lake_files')) -%}
    {%- for node in graph.sources.values()
        if node.source_name == 'raw' and not node.meta.get('lake') -%}
        {%- set table = source('raw', node.name) -%}
        {%- do run_query('drop table if exists ' ~ table) -%}
        {%- do run_query(
            'create table ' ~ table ~ ' (' ~ columns_with_types(node.columns.values())
            ~ ") using parquet location '" ~ env_var('SPARK_EXCHANGE') ~ '/handed_over/'
            ~ node.name ~ "'"
        ) -%}
    {%- endfor -%}
{% endmacro %}

{# One row per row of the given Parquet files; no row, but typed columns, without files. #}
{% macro lake_rows(stream, columns, paths) %}
    {{- return(adapter.dispatch('lake_rows')(stream, columns, paths)) -}}
{% endmacro %}

{% macro duckdb__lake_rows(stream, columns, paths) %}
    {#- A file may be old, and lack the columns that came later. -#}
    {%- set rows -%}
        {% if paths -%}
            with lake_files as (
                select
                {%- for column in columns if column.name != 'occurred_date' %}
                    cast(null as {{ column.data_type }}) as {{ column.name }}{{ ',' if not loop.last }}
                {%- endfor %}
                where false
                union all by name
                select *
                from read_parquet([
                {%- for path in paths %}'{{ path | replace("'", "''") }}'{{ ', ' if not loop.last }}{% endfor -%}
                ], hive_partitioning = false, union_by_name = true)
            )

        {% endif -%}
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
            from lake_files
        {%- else %}
            where false
        {%- endif %}
    {%- endset -%}
    {{- return(rows) -}}
{% endmacro %}

{# A view of Spark cannot list thousands of files. So a table knows the folders of the dates, and the
   view leaves out by name what else is in them: what a load that was cut off has left. #}
{% macro spark__lake_rows(stream, columns, paths) %}
    {%- set table = source('raw', stream) ~ '_files' -%}
    {%- if paths -%}
        {%- do open_lake_folder(table, stream, columns, paths) -%}
    {%- endif -%}
    {%- set rows -%}
        select
        {%- for column in columns %}
            {% set type = engine_type(column.data_type) -%}
            {% if not paths -%}
                cast(null as {{ type }}) as {{ column.name }}
            {%- elif type == 'timestamp' -%}
                cast({{ column.name }} as timestamp) as {{ column.name }}
            {%- else -%}
                {{ column.name }}
            {%- endif -%}
            {{ ',' if not loop.last }}
        {%- endfor %}
        {%- if paths %}
            from {{ table }}
            where substring_index(_metadata.file_path, '/lake/', -1) in (
                select lake_files.path from {{ source('raw', 'lake_files') }} as lake_files
                where lake_files.stream = '{{ stream }}'
            )
        {%- else %}
            where false
        {%- endif %}
    {%- endset -%}
    {{- return(rows) -}}
{% endmacro %}

{# Columns as a table over files of DuckDB has them: the types are given, not looked up in the files,
   and instants have no zone there. #}
{% macro columns_with_types(columns) %}
    {%- for column in columns %}
        {{- column.name }} {{ engine_type(column.data_type) | replace('timestamp', 'timestamp_ntz') }}
        {{- ', ' if not loop.last }}
    {%- endfor -%}
{% endmacro %}

{# A table over the folders of the lake that the paths are in; dropping it deletes nothing. #}
{% macro open_lake_folder(table, stream, columns, paths) %}
    {%- set dates = [] -%}
    {%- for path in paths if 'occurred_date=' in path and (path.split('occurred_date=') | last)[:10] not in dates -%}
        {%- do dates.append((path.split('occurred_date=') | last)[:10]) -%}
    {%- endfor -%}
    {%- do run_query('drop table if exists ' ~ table) -%}
    {%- set definition -%}
        create table {{ table }} ({{ columns_with_types(columns) }})
        using parquet {{ 'partitioned by (occurred_date)' if dates }}
        location '{{ env_var('SPARK_LAKE') }}/{{ stream }}'
    {%- endset -%}
    {%- do run_query(definition) -%}
    {%- if dates -%}
        {%- set partitions -%}
            {%- for day in dates %} partition (occurred_date = date '{{ day }}'){% endfor -%}
        {%- endset -%}
        {%- do run_query('alter table ' ~ table ~ ' add' ~ partitions) -%}
    {%- endif -%}
{% endmacro %}
