{# One row per entity type of a map of entity type to count, beside the other columns. #}
{% macro explode_entity_counts(columns, entity_counts, relation) %}
    {{- return(adapter.dispatch('explode_entity_counts')(columns, entity_counts, relation)) -}}
{% endmacro %}

{% macro duckdb__explode_entity_counts(columns, entity_counts, relation) -%}
    select
        {% for column in columns %}
            {{ column }},
        {% endfor %}
        entry.key as entity_type,
        entry.value as pii_redactions
    from (
        select
            {{ columns | join(', ') }},
            unnest(map_entries({{ entity_counts }})) as entry
        from {{ relation }}
    ) as exploded
{%- endmacro %}

{% macro spark__explode_entity_counts(columns, entity_counts, relation) -%}
    select
        {% for column in columns %}
            {{ column }},
        {% endfor %}
        explode({{ entity_counts }}) as (entity_type, pii_redactions)
    from {{ relation }}
{%- endmacro %}

{# The sum of the counts in a map; NULL for no map. #}
{% macro sum_of_entity_counts(entity_counts) %}
    {{- return(adapter.dispatch('sum_of_entity_counts')(entity_counts)) -}}
{% endmacro %}

{% macro duckdb__sum_of_entity_counts(entity_counts) -%}
    cast(list_sum(map_values({{ entity_counts }})) as bigint)
{%- endmacro %}

{% macro spark__sum_of_entity_counts(entity_counts) -%}
    aggregate(map_values({{ entity_counts }}), cast(null as bigint), (total, count) ->
        coalesce(total, 0) + count)
{%- endmacro %}

{# A map as text that does not depend on the order of its entries. #}
{% macro entries_as_text(entries) %}
    {{- return(adapter.dispatch('entries_as_text')(entries)) -}}
{% endmacro %}

{% macro duckdb__entries_as_text(entries) -%}
    array_to_string(
        list_sort(list_transform(
            map_entries({{ entries }}), lambda entry: entry.key || '=' || entry.value
        )),
        ';'
    )
{%- endmacro %}

{% macro spark__entries_as_text(entries) -%}
    array_join(
        array_sort(transform(
            map_entries({{ entries }}), entry -> concat(entry.key, '=', entry.value)
        )),
        ';'
    )
{%- endmacro %}
