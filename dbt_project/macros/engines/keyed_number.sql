{# A number that stands for an id of a customer's, and from which the id is not found without
   this installation's key: the first 60 bits of a hash of the key, what the id is of, the customer and the
   id. The key has a fixed length and the others no colon before the id, so nothing else hashes as
   the same text. #}
{% macro keyed_number(id) -%}
    {%- set text = "concat((select identity_key.secret from " ~ source('raw', 'identity_key')
        ~ " as identity_key), ':" ~ id ~ ":', cast(customer_id as " ~ dbt.type_string() ~ "), ':', "
        ~ id ~ ")" -%}
    {{- return(adapter.dispatch('first_bits_of_hash')(text)) -}}
{%- endmacro %}

{% macro duckdb__first_bits_of_hash(text) -%}
    cast(concat('0x', substr(sha256({{ text }}), 1, 15)) as bigint)
{%- endmacro %}

{% macro spark__first_bits_of_hash(text) -%}
    cast(conv(substr(sha2({{ text }}, 256), 1, 15), 16, 10) as bigint)
{%- endmacro %}
