{# Of the rows of `source`, the one of each event that counts: the one received last; of those received
   at the same time the one whose content has the greater hash, so that the order in which they came
   does not matter. `identity` is the event's id, `contents` are what its versions may differ in.

   Landing has marked the rows that came beside another of their event (`is_repeat`): only the rows of
   those events pay for a sort, and nobody searches for them again. #}
{% macro newest_versions(identity, contents) %}
    {%- set keys = ['customer_id', identity, 'occurred_date'] -%}
    with

    repeated as (
        select distinct {{ keys | join(', ') }}
        from source
        where is_repeat
    )

    select source.*
    from source
    where not exists (
        select 1 from repeated
        where
            {%- for key in keys %}
            {{ 'and ' if not loop.first }}repeated.{{ key }} = source.{{ key }}
            {%- endfor %}
    )
    union all
    select source.*
    from source
    inner join repeated
        on
            {%- for key in keys %}
            {{ 'and ' if not loop.first }}source.{{ key }} = repeated.{{ key }}
            {%- endfor %}
    qualify row_number() over (
        partition by source.customer_id, source.{{ identity }}, source.occurred_date
        order by
            source.received_at desc nulls last,
            {{ content_hash(contents) }} desc
    ) = 1
{% endmacro %}
