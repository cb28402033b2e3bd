{# The additive measures of each family, by their names: what a daily mart sums over its quarter
   hours, and what tests regroup. Their definitions are in the quarter-hourly models. #}
{% macro usage_measures() -%}
    {{ return([
        'message_count', 'input_tokens', 'output_tokens', 'total_tokens',
        'response_time_ms_sum', 'response_time_count', 'timed_output_tokens',
    ]) }}
{%- endmacro %}

{% macro compliance_measures() -%}
    {{ return([
        'scan_count', 'scanned_messages', 'toxic_messages', 'messages_with_pii', 'pii_redactions',
    ]) }}
{%- endmacro %}

{% macro feedback_measures() -%}
    {{ return([
        'rating_count', 'rating_sum', 'rating_1_count', 'rating_2_count', 'rating_3_count',
        'rating_4_count', 'rating_5_count',
    ]) }}
{%- endmacro %}

{% macro delivery_measures() -%}
    {{ return([
        'delivered', 'accepted', 'duplicates', 'rejected', 'total_mismatches',
        'conflicting_duplicates', 'received_in_future',
    ]) }}
{%- endmacro %}

{# The sum of each measure under its own name, as a list of select items. #}
{% macro summed(measures) -%}
    {%- for measure in measures %}
    cast(sum({{ measure }}) as bigint) as {{ measure }}{{ ',' if not loop.last }}
    {%- endfor %}
{%- endmacro %}
