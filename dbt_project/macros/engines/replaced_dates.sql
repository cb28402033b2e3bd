{# Incremental strategy `touched_dates`: the dates that this run rebuilds are emptied, then filled
   from the model. A date or a group whose events are all gone is thereby gone from the mart too,
   which no strategy by key can do, nor an overwriting of those partitions that have rows. #}

{# On DuckDB, in one transaction. The dates are literals, so that the delete skips all others. #}
{% macro get_incremental_touched_dates_sql(arg_dict) %}
    {%- set days = touched_days(config.get('meta').get('stream')) -%}
    {%- set columns = arg_dict['dest_columns'] | map(attribute='quoted') | join(', ') -%}
    {%- if days %}
    delete from {{ arg_dict['target_relation'] }}
    where occurred_date in (
        {%- for day in days %}date '{{ day }}'{{ ', ' if not loop.last }}{% endfor -%}
    );
    {%- endif %}
    insert into {{ arg_dict['target_relation'] }} ({{ columns }})
    select {{ columns }} from {{ arg_dict['temp_relation'] }}
{% endmacro %}

{# On Spark a date is a partition: dropped with its files, then written. Cut off in between, the
   date is empty until the next run, which rebuilds it; what is published is a copy.

   dbt-spark asks these two by name. Dynamic overwriting, not appending: what an interrupted job
   left in a partition's folder must not count. #}
{% macro dbt_spark_validate_get_incremental_strategy(raw_strategy, file_format) %}
    {%- if raw_strategy != 'touched_dates' -%}
        {%- do exceptions.raise_compiler_error(
            "The incremental strategy is touched_dates, on every engine; not " ~ raw_strategy
        ) -%}
    {%- endif -%}
    {{- return(raw_strategy) -}}
{% endmacro %}

{% macro dbt_spark_get_incremental_sql(
    strategy, source, target, existing, unique_key, incremental_predicates
) %}
    {%- set days = touched_days(config.get('meta').get('stream')) -%}
    {%- if days -%}
        {%- set partitions -%}
            {%- for day in days -%}
                partition (occurred_date = date '{{ day }}'){{ ', ' if not loop.last }}
            {%- endfor -%}
        {%- endset -%}
        {%- do run_query('alter table ' ~ target ~ ' drop if exists ' ~ partitions) -%}
    {%- endif -%}
    insert overwrite table {{ target }} partition (occurred_date)
    select {{ one_task_per_date() }} {{ default__get_column_names() }} from {{ source }}
{%- endmacro %}

{# The model's rows as the contract orders its columns. #}
{% macro spark__get_select_subquery(sql) %}
    select {{ one_task_per_date() if config.get('materialized') == 'incremental' }} {{ default__get_column_names() }}
    from (
        {{ sql }}
    ) as model_subq
{%- endmacro %}

{# What is rebuilt by dates is kept by dates. #}
{% macro spark__partition_cols(label, required=false) %}
    {%- if config.get('materialized') == 'incremental' -%}
        {{ label }} (occurred_date)
    {%- endif -%}
{% endmacro %}

{# Rows of one date together, so that it is written as one file, or as few as its size asks for;
   each task would write a file of its own into every date. #}
{% macro one_task_per_date() -%}
    /*+ rebalance(occurred_date) */
{%- endmacro %}
