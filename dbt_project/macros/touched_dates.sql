{# The dates that this run rebuilds for a stream, as texts. #}
{% macro touched_days(stream) %}
    {{- return(
        run_query(
            "select cast(occurred_date as " ~ dbt.type_string() ~ ") from "
            ~ source('raw', 'touched_dates') ~ " where stream = '" ~ stream ~ "' order by 1"
        ).columns[0].values()
    ) -}}
{% endmacro %}

{# A condition: the row's date is one that this run rebuilds for the stream. #}
{% macro is_touched(stream) -%}
    occurred_date in (
        select touched_dates.occurred_date from {{ source('raw', 'touched_dates') }} as touched_dates
        where touched_dates.stream = '{{ stream }}'
    )
{%- endmacro %}
