{# The value of a key in a map of texts; NULL where there is none, or no map. #}
{% macro value_of_key(map, key) %}
    {{- return(adapter.dispatch('value_of_key')(map, key)) -}}
{% endmacro %}

{% macro duckdb__value_of_key(map, key) -%}
    {{ map }}[{{ key }}]
{%- endmacro %}

{% macro spark__value_of_key(map, key) -%}
    try_element_at({{ map }}, {{ key }})
{%- endmacro %}

{# A delivered text as marts have it beside the labels (none) and (other): one that is itself such a
   label, or one in more brackets, gets one more pair of them, so that no two texts become one. #}
{% macro apart_from_labels(text) %}
    {{- return(adapter.dispatch('apart_from_labels')(text)) -}}
{% endmacro %}

{% macro duckdb__apart_from_labels(text) -%}
    case
        when regexp_full_match({{ text }}, '[(]+(none|other)[)]+') then concat('(', {{ text }}, ')')
        else {{ text }}
    end
{%- endmacro %}

{% macro spark__apart_from_labels(text) -%}
    case
        when {{ text }} rlike '^[(]+(none|other)[)]+$' then concat('(', {{ text }}, ')')
        else {{ text }}
    end
{%- endmacro %}
