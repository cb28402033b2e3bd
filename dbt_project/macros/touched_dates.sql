{# Incremental strategy `touched_dates`: the dates that this run rebuilds are emptied, then filled
   from the model. A date or a group whose events are all gone is thereby gone from the mart too,
   which no strategy by key can do. The dates are literals, so that the delete skips all others. #}
{% macro get_incremental_touched_dates_sql(arg_dict) %}
    {%- set stream = config.get('meta').get('stream') -%}
    {%- set days = run_query(
        "select cast(occurred_date as varchar) from " ~ source('raw', 'touched_dates')
        ~ " where stream = '" ~ stream ~ "' order by 1"
    ).columns[0].values() -%}
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

{# A condition: the row's date is one that this run rebuilds for the stream. #}
{% macro is_touched(stream) -%}
    occurred_date in (
        select touched_dates.occurred_date from {{ source('raw', 'touched_dates') }} as touched_dates
        where touched_dates.stream = '{{ stream }}'
    )
{%- endmacro %}
