{# A model's schema is the one its folder names, and on DuckDB nothing else: the file is ours. #}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{- return(adapter.dispatch('schema_name')(custom_schema_name)) -}}
{%- endmacro %}

{% macro duckdb__schema_name(custom_schema_name) %}
    {{- return(custom_schema_name or target.schema) -}}
{% endmacro %}

{# A metastore is shared: ours have the target's name in front, as sources have. #}
{% macro spark__schema_name(custom_schema_name) %}
    {{- return(target.schema ~ '_' ~ custom_schema_name if custom_schema_name else target.schema) -}}
{% endmacro %}

{# Tables lie below the home folder: where erasure looks for what is left of a customer. #}
{% macro spark__create_schema(relation) %}
    {%- call statement('create_schema') -%}
        create schema if not exists {{ relation.schema }}
        location '{{ env_var('SPARK_TABLES') }}/{{ relation.schema }}'
    {%- endcall -%}
{% endmacro %}

{# Drop every schema of ours with its tables: before a full build, which must not find what one
   that was cut off has left. #}
{% macro drop_schemas_on_spark() %}
    {%- do refuse_by_hand() -%}
    {%- for schema in ['marts', 'intermediate', 'staging', 'raw'] -%}
        {%- do run_query(
            'drop schema if exists ' ~ spark__schema_name(schema) ~ ' cascade'
        ) -%}
    {%- endfor -%}
{% endmacro %}

{# Drop what each build makes anew: a driver that died while it made one may have left files that
   Spark knows nothing of, or a table of which it lost the files. #}
{% macro drop_tables_built_whole() %}
    {%- do refuse_by_hand() -%}
    {%- for node in graph.nodes.values() if node.resource_type in ['model', 'seed'] -%}
        {%- if node.config.materialized in ['table', 'seed'] -%}
            {%- do run_query('drop table if exists ' ~ node.schema ~ '.' ~ node.alias) -%}
        {%- endif -%}
    {%- endfor -%}
{% endmacro %}
