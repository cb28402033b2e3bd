{# The values of a group that are not NULL as a list of integers, least first; empty for none. #}
{% macro ascending_list(expression) %}
    {{- return(adapter.dispatch('ascending_list')(expression)) -}}
{% endmacro %}

{% macro duckdb__ascending_list(expression) -%}
    coalesce(
        list({{ expression }} order by {{ expression }}) filter (where {{ expression }} is not null),
        cast([] as integer[])
    )
{%- endmacro %}

{% macro spark__ascending_list(expression) -%}
    array_sort(collect_list({{ expression }}))
{%- endmacro %}

{# How many values a list has. #}
{% macro length_of_list(expression) %}
    {{- return(adapter.dispatch('length_of_list')(expression)) -}}
{% endmacro %}

{% macro duckdb__length_of_list(expression) -%}
    len({{ expression }})
{%- endmacro %}

{% macro spark__length_of_list(expression) -%}
    size({{ expression }})
{%- endmacro %}

{# The distinct values of a group as a list of integers, least first. #}
{% macro ascending_set(expression) %}
    {{- return(adapter.dispatch('ascending_set')(expression)) -}}
{% endmacro %}

{% macro duckdb__ascending_set(expression) -%}
    list_sort(list(distinct cast({{ expression }} as integer)))
{%- endmacro %}

{% macro spark__ascending_set(expression) -%}
    array_sort(collect_set(cast({{ expression }} as int)))
{%- endmacro %}
