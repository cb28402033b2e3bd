{# The additive measures of each family, by their names: what a daily mart sums over its quarter
   hours, and what tests regroup. Their definitions are in the quarter-hourly models. #}
{% macro usage_measures() -%}
    {{ return([
        'event_count', 'message_count', 'error_count', 'input_tokens', 'output_tokens',
        'total_tokens', 'message_tokens', 'message_input_tokens', 'response_time_ms_sum',
        'response_time_count', 'timed_output_tokens', 'uncached_input_tokens',
        'cache_read_input_tokens', 'cache_write_input_tokens', 'cache_write_1h_input_tokens',
        'audio_input_tokens', 'image_input_tokens', 'cache_read_audio_input_tokens',
        'cache_read_image_input_tokens', 'reasoning_output_tokens', 'audio_output_tokens',
        'image_output_tokens', 'cache_reported_input_tokens', 'tool_calls',
        'class_cache_read_audio_input_tokens', 'class_cache_read_image_input_tokens',
        'class_cache_read_input_tokens', 'class_cache_write_1h_input_tokens',
        'class_cache_write_input_tokens', 'class_audio_input_tokens', 'class_image_input_tokens',
        'class_input_tokens', 'class_reasoning_output_tokens', 'class_audio_output_tokens',
        'class_image_output_tokens', 'class_output_tokens', 'unclassed_input_tokens',
        'unclassed_output_tokens', 'token_classes_exceed_total',
    ]) }}
{%- endmacro %}

{% macro error_measures() -%}
    {{ return(['error_count', 'input_tokens', 'output_tokens', 'total_tokens']) }}
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
        'conflicting_duplicates', 'received_in_future', 'withdrawn',
    ]) }}
{%- endmacro %}

{# A sum as the marts have it; 0 of nothing. #}
{% macro sum_of(amount) -%}
    cast(coalesce(sum({{ amount }}), 0) as bigint)
{%- endmacro %}

{# The sum of each measure under its own name, as a list of select items. #}
{% macro summed(measures) -%}
    {%- for measure in measures %}
    cast(sum({{ measure }}) as bigint) as {{ measure }}{{ ',' if not loop.last }}
    {%- endfor %}
{%- endmacro %}
