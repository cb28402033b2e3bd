{# With a `stream`, both look at the dates that this run rebuilds of it: older dates were tested
   when they were built, and the cost of a run must not grow with history. #}

{# No two rows agree in all the columns: the grain. #}
{% test one_row_per(model, columns, stream=none) %}
    select {{ columns | join(', ') }}, count(*) as row_count
    from {{ model }}
    {{ 'where ' ~ is_touched(stream) if stream }}
    group by {{ columns | join(', ') }}
    having count(*) > 1
{% endtest %}

{# No column of the model is ever null. #}
{% test never_null(model, stream) %}
    {%- set columns = adapter.get_columns_in_relation(model) if execute else [] -%}
    select *
    from {{ model }}
    where
        {{ is_touched(stream) }}
        and (
            {%- for column in columns %}
            {{ column.name }} is null{{ ' or' if not loop.last }}
            {%- else %}
            false
            {%- endfor %}
        )
{% endtest %}
