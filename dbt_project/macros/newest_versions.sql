{# Of the rows of `source`, the one of each event that counts: the one received last; of those received
   at the same time the one whose content has the greater hash, so that the order in which they came
   does not matter. `identity` is the event's id, `contents` are what its versions may differ in.

   Landing has marked the rows that came beside another of their event (`is_repeat`), so that only the
   rows with those ids pay for a sort; an id on another date is another event, and is sorted along.
   Where a mark is NULL, an older version has landed the row, and its event is looked for among all
   rows. #}
{% macro newest_versions(identity, contents) %}
    {%- set ids = ['customer_id', identity] -%}
    {%- set keys = ids + ['occurred_date'] -%}
    with

    unmarked as (
        select distinct {{ keys | join(', ') }}
        from source
        where is_repeat is null
    ),

    repeated as (
        select {{ ids | join(', ') }}
        from source
        where is_repeat
        union
        select {{ ids | join(', ') }}
        from source
        where exists (
            select 1 from unmarked
            where {{ keys_are_equal('unmarked', keys) }}
        )
        group by {{ keys | join(', ') }}
        having count(*) > 1
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
        partition by {{ keys | join(', ') }}
        order by
            source.received_at desc nulls last,
            {{ content_hash(contents) }} desc
    ) = 1
{% endmacro %}

{% macro keys_are_equal(relation, keys) -%}
    {%- for key in keys -%}
        {{ 'and ' if not loop.first }}source.{{ key }} = {{ relation }}.{{ key }}{{ ' ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}
