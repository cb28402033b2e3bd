{# A hash of what a row says, to choose between versions of one event that came at the same time.
   `texts` are columns or expressions; NULL and the empty text stay apart. #}
{% macro content_hash(texts) -%}
    md5(concat_ws(
        '|'
        {%- for text in texts %},
        coalesce('=' || cast({{ text }} as {{ dbt.type_string() }}), '-')
        {%- endfor %}
    ))
{%- endmacro %}
