{# A hash of what a row says, to choose between versions of one event that came at the same time.
   `texts` are columns or expressions; NULL and the empty text stay apart.

   `added` are columns that a stream was given later, and what to hash of each: where that is NULL
   the hash is that of a row without it, so that versions of before have the winner that they had. #}
{% macro content_hash(texts, added={}) -%}
    md5(concat_ws(
        '|'
        {%- for text in texts %},
        coalesce('=' || cast({{ text }} as {{ dbt.type_string() }}), '-')
        {%- endfor %}
        {%- for column, text in added.items() %},
        '{{ column }}=' || cast({{ text }} as {{ dbt.type_string() }})
        {%- endfor %}
    ))
{%- endmacro %}
