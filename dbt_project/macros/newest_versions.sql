{# Of the rows of `source`, the one of each event that counts (see `newest_first`), unless that
   withdraws the event. `identity` is the event's id.

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
    where not coalesce(source.deleted, false) and not exists (
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
    ) = 1 and not coalesce(source.deleted, false)
{% endmacro %}

{# One row per id and date that the lake has of a stream, found without staging, so that staging can
   be compared with it: how many versions there are, whether it came as an event and whether a row
   withdraws it (each 0 or 1), and whether it is counted: not withdrawn at the same time or later. #}
{% macro ids_in_lake(stream, identity) %}
    {%- set received_at = "coalesce(received_at, timestamp '0001-01-01')" -%}
    select
        customer_id,
        {{ identity }},
        occurred_date,
        count(*) as version_count,
        max(case when deleted then 0 else 1 end) as is_delivered,
        max(case when deleted then 1 else 0 end) as is_withdrawn,
        case
            when max(case when deleted then 1 else 0 end) = 0 then 1
            when
                max(case when not coalesce(deleted, false) then {{ received_at }} end)
                > max(case when deleted then {{ received_at }} end)
                then 1
            else 0
        end as is_counted
    from {{ source('raw', stream) }}
    group by customer_id, {{ identity }}, occurred_date
{% endmacro %}

{% macro keys_are_equal(relation, keys) -%}
    {%- for key in keys -%}
        {{ 'and ' if not loop.first }}source.{{ key }} = {{ relation }}.{{ key }}{{ ' ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}
