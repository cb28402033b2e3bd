{# A session in another zone would put events on the wrong date, and pass every test. #}
{% macro refuse_other_sessions() %}
    {%- if execute and flags.WHICH in ['build', 'run', 'test'] -%}
        {%- set zone = adapter.dispatch('session_time_zone')() -%}
        {%- if zone != 'UTC' -%}
            {%- do exceptions.raise_compiler_error(
                "The session's time zone is " ~ zone ~ ", not UTC: dates would be wrong. "
                ~ "Set TimeZone: UTC under settings in profiles.yml."
            ) -%}
        {%- endif -%}
    {%- endif -%}
{% endmacro %}

{% macro duckdb__session_time_zone() %}
    {{- return(run_query("select current_setting('TimeZone')").columns[0].values()[0]) -}}
{% endmacro %}
