{# Of the rows of `source`, the one of each event that counts (see `newest_first`). `identity` is the
   event's id.

   Landing has marked the rows that came beside another of their event (`is_repeat`), so that only the
   rows with those ids pay for a sort; an id on another date is another event, and is sorted along. #}
{% macro newest_versions(stream, identity) %}
    {%- set ids = ['customer_id', identity] -%}
    with

    repeated as (
        select distinct {{ ids | join(', ') }}
        from source
        where is_repeat
    )

    select source.*
    from source
    where not exists (
        select 1 from repeated
        where {{ keys_are_equal('repeated', ids) }}
    )
    union all
    select source.*
    from source
    where exists (
        select 1 from repeated
        where {{ keys_are_equal('repeated', ids) }}
    )
    qualify row_number() over (
        partition by {{ (ids + ['occurred_date']) | join(', ') }}
        order by
            {{ newest_first(stream) }}
    ) = 1
{% endmacro %}

{% macro keys_are_equal(relation, keys) -%}
    {%- for key in keys -%}
        {{ 'and ' if not loop.first }}source.{{ key }} = {{ relation }}.{{ key }}{{ ' ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}
