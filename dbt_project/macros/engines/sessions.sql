{# A session in another zone would put events on the wrong date, and pass every test; one that cuts
   times or turns errors into NULL would change numbers as quietly. #}
{% macro refuse_other_sessions() %}
    {%- if execute and flags.WHICH in ['build', 'run', 'test'] -%}
        {%- set problems = adapter.dispatch('problems_of_session')() -%}
        {%- if problems -%}
            {%- do exceptions.raise_compiler_error(problems | join(' ')) -%}
        {%- endif -%}
    {%- endif -%}
{% endmacro %}

{% macro duckdb__problems_of_session() %}
    {%- set zone = run_query("select current_setting('TimeZone')").columns[0].values()[0] -%}
    {%- if zone != 'UTC' -%}
        {{- return([
            "The session's time zone is " ~ zone ~ ", not UTC: dates would be wrong. "
            ~ "Set TimeZone: UTC under settings in profiles.yml."
        ]) -}}
    {%- endif -%}
    {{- return([]) -}}
{% endmacro %}

{% macro spark__problems_of_session() %}
    {%- set wanted = [
        ('spark.sql.session.timeZone', 'UTC', 'dates would be wrong'),
        ('spark.sql.ansi.enabled', 'true', 'an overflow or a bad cast would pass as a number'),
        ('spark.sql.parquet.outputTimestampType', 'TIMESTAMP_MICROS', 'times would change'),
        (
            'spark.sql.sources.partitionOverwriteMode', 'DYNAMIC',
            'rebuilding a date would empty all others'
        ),
    ] -%}
    {%- set problems = [] -%}
    {%- for name, value, consequence in wanted -%}
        {%- set found = run_query('set ' ~ name).columns[1].values()[0] -%}
        {%- if found | lower != value | lower -%}
            {%- do problems.append(
                "The Spark session has " ~ name ~ " = " ~ found ~ ", not " ~ value ~ ": "
                ~ consequence ~ ". The Thrift server must let a session set it; profiles.yml asks "
                ~ "for it under server_side_parameters."
            ) -%}
        {%- endif -%}
    {%- endfor -%}
    {{- return(problems) -}}
{% endmacro %}
