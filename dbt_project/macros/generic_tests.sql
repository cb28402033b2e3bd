{# No two rows agree in all of `columns`, the grain; and where `never_null`, no column of the model's
   contract is null in any row. One test of both, since each one of a run costs more than its query.

   With a `stream` it looks at the dates that this run rebuilds of it: older dates were tested when
   they were built, and the cost of a run must not grow with history. #}
{% test one_row_per(model, columns, stream=none, never_null=false) %}
    {%- set contracted = columns_of_contract(model) if never_null and execute else [] %}
    select
        {{ columns | join(', ') }},
        {% if contracted -%}
            sum(
                case
                    when
                        {%- for column in contracted %}
                        {{ column }} is null{{ ' or' if not loop.last }}
                        {%- endfor %}
                    then 1
                    else 0
                end
            ) as rows_with_nulls,
        {%- endif %}
        count(*) as row_count
    from {{ model }}
    {{ 'where ' ~ is_touched(stream) if stream }}
    group by {{ columns | join(', ') }}
    having row_count > 1 {{ 'or rows_with_nulls > 0' if contracted }}
{% endtest %}

{# The names of all columns of a model, whose contract dbt holds it to: no query has to ask. #}
{% macro columns_of_contract(relation) %}
    {%- for node in graph.nodes.values()
        if node.resource_type == 'model' and node.contract.enforced
        and node.schema == relation.schema and node.alias == relation.identifier -%}
        {{- return(node.columns.keys() | list) -}}
    {%- endfor -%}
    {%- do exceptions.raise_compiler_error(relation ~ ' has no contract to take its columns from') -%}
{% endmacro %}
