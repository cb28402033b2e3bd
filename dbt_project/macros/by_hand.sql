{# Which dates are built, and from which files, is handed over by `agentstats run`. A dbt command that
   somebody gives would build those of the last run once more, or, with --full-refresh, those alone;
   so it may look, and run unit tests, which read no data. #}
{% macro refuse_by_hand() %}
    {%- if execute
        and not env_var('WAREHOUSE_HANDED_OVER', '')
        and flags.WHICH not in ['compile', 'generate', 'list', 'parse', 'show']
        and not are_unit_tests(selected_resources | default([])) -%}
        {%- do exceptions.raise_compiler_error(
            "`dbt " ~ flags.WHICH ~ "` is not given by hand here: dbt would not know which dates to "
            ~ "build, and nothing was changed. `agentstats run hourly` builds and tests what has "
            ~ "changed, `agentstats run hourly --full-refresh` all of it, `agentstats reconcile` "
            ~ "recounts it; dbt's own compile, show, list, docs and unit tests work as they are. "
            ~ "docs/operations.md, dbt by hand, says more"
        ) -%}
    {%- endif -%}
{% endmacro %}

{% macro are_unit_tests(resources) %}
    {%- set others = [] -%}
    {%- for resource in resources if not resource.startswith('unit_test.') -%}
        {%- do others.append(resource) -%}
    {%- endfor -%}
    {{- return(resources and not others) -}}
{% endmacro %}
