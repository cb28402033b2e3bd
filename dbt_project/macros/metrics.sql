{#
    One definition per ratio or average: rendered by dbt, and once at start by the API with bare
    jinja2, so it must stay pure Jinja (no ref, no var, no adapter).

    Each macro takes sums, already summed over the rows asked about, never other ratios. All sums are
    integers >= 0. A ratio of a zero denominator is null: no data is not a rate of zero.
    Rounding is half away from zero, once, at the end, and exact: engines/exact_ratio.sql does it, and
    api/queries/formulas.py, which answers from memory by these same macros.
#}

{# Mean latency of the events that have one. Unit: ms. Whole number. #}
{% macro avg_response_time_ms(response_time_ms_sum, response_time_count) -%}
{{ exact_ratio(response_time_ms_sum, response_time_count, 0) }}
{%- endmacro %}

{# Output tokens per second of response time, both over the events with a response time > 0
   (an event of 0 ms adds nothing to the sum of times). Unit: tokens per second. 1 decimal. #}
{% macro tokens_per_second(timed_output_tokens, response_time_ms_sum) -%}
{{ exact_ratio(timed_output_tokens, response_time_ms_sum, 1, scale=1000) }}
{%- endmacro %}

{# Input and output tokens per accepted usage event. Unit: tokens. Whole number. #}
{% macro avg_tokens_per_message(total_tokens, total_messages) -%}
{{ exact_ratio(total_tokens, total_messages, 0) }}
{%- endmacro %}

{# Messages with a toxic scan per 100 messages, scanned or not. Unit: percent. 2 decimals. #}
{% macro toxic_rate_percent(toxic_messages, total_messages) -%}
{{ exact_ratio(toxic_messages, total_messages, 2, scale=100) }}
{%- endmacro %}

{# Messages with at least one redaction per 100 messages, scanned or not. Unit: percent.
   2 decimals. #}
{% macro pii_rate_percent(messages_with_pii, total_messages) -%}
{{ exact_ratio(messages_with_pii, total_messages, 2, scale=100) }}
{%- endmacro %}

{# Redactions per accepted usage event. Unit: redactions. 3 decimals. #}
{% macro pii_per_message(pii_redactions, total_messages) -%}
{{ exact_ratio(pii_redactions, total_messages, 3) }}
{%- endmacro %}

{# pii_per_message, under the name it has in the comparison of agent types. #}
{% macro pii_redactions_per_message(pii_redactions, total_messages) -%}
{{ pii_per_message(pii_redactions, total_messages) }}
{%- endmacro %}

{# Mean of the star ratings. Unit: stars, 1 to 5. 2 decimals. #}
{% macro average_rating(rating_sum, rating_count) -%}
{{ exact_ratio(rating_sum, rating_count, 2) }}
{%- endmacro %}

{# average_rating, under the name it has within one load bucket. #}
{% macro avg_rating(rating_sum, rating_count) -%}
{{ average_rating(rating_sum, rating_count) }}
{%- endmacro %}
