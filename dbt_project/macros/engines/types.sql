{# Types are written in YAML as DuckDB calls them; this is what the engine calls the same type. #}
{% macro engine_type(data_type) %}
    {{- return(adapter.dispatch('engine_type')(data_type)) -}}
{% endmacro %}

{% macro duckdb__engine_type(data_type) %}
    {{- return(data_type) -}}
{% endmacro %}

{% macro spark__engine_type(data_type) %}
    {{- return({
        'varchar': 'string',
        'integer[]': 'array<int>',
        'map(varchar, bigint)': 'map<string, bigint>',
        'map(varchar, varchar)': 'map<string, string>',
    }.get(data_type, data_type)) -}}
{% endmacro %}

{# The contract of a mart, as a query of no rows, in the engine's types. #}
{% macro spark__get_empty_schema_sql(columns) %}
    {%- set translated = {} -%}
    {%- for name, column in columns.items() -%}
        {%- do translated.update({name: {
            'name': column['name'],
            'quote': column.get('quote'),
            'data_type': engine_type(column['data_type']),
        }}) -%}
    {%- endfor -%}
    {{- return(default__get_empty_schema_sql(translated)) -}}
{% endmacro %}
