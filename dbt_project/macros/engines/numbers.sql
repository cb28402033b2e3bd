{# How many times a positive whole number goes into another that is not negative. #}
{% macro whole_quotient(dividend, divisor) %}
    {{- return(adapter.dispatch('whole_quotient')(dividend, divisor)) -}}
{% endmacro %}

{% macro duckdb__whole_quotient(dividend, divisor) -%}
    {{ dividend }} // {{ divisor }}
{%- endmacro %}

{% macro spark__whole_quotient(dividend, divisor) -%}
    {{ dividend }} div {{ divisor }}
{%- endmacro %}

{# A sum that no number of rows overflows; 0 of none, or of NULLs. #}
{% macro wide_sum(amount) %}
    {{- return(adapter.dispatch('wide_sum')(amount)) -}}
{% endmacro %}

{# DuckDB sums whole numbers in 128 bits by itself. #}
{% macro duckdb__wide_sum(amount) -%}
    cast(coalesce(sum({{ amount }}), 0) as decimal(38, 0))
{%- endmacro %}

{% macro spark__wide_sum(amount) -%}
    cast(coalesce(sum(cast({{ amount }} as decimal(38, 0))), 0) as decimal(38, 0))
{%- endmacro %}

{# A number from 0 to 1 as text, the same on every engine: a hash of it decides between versions. #}
{% macro share_as_text(share) %}
    {{- return(adapter.dispatch('share_as_text')(share)) -}}
{% endmacro %}

{% macro duckdb__share_as_text(share) -%}
    cast({{ share }} as varchar)
{%- endmacro %}

{# Java writes 1.0E-4 and 1.5E-5 where DuckDB writes 0.0001 and 1.5e-05. #}
{% macro spark__share_as_text(share) -%}
    {%- set text = 'cast(' ~ share ~ ' as string)' -%}
    {%- set digits = "regexp_replace(substring_index(" ~ text ~ ", 'E', 1), '[.]0$', '')" -%}
    {%- set places = "substring_index(" ~ text ~ ", 'E-', -1)" -%}
    case
        when {{ text }} not like '%E-%' then {{ text }}
        when {{ places }} = '4' then concat('0.000', replace({{ digits }}, '.', ''))
        else concat({{ digits }}, 'e-', lpad({{ places }}, 2, '0'))
    end
{%- endmacro %}
