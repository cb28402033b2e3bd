{# The additive measures of each family, by their names: what a daily mart sums over its quarter
   hours, and what tests regroup. Their definitions are in the quarter-hourly models, those of usage in
   `usage_sums`. #}
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

{# Events, each with what of it is of messages: a failed attempt has tokens, and is no message. #}
{% macro with_message_parts(events) -%}
    select
        *,
        case when is_message then input_tokens + output_tokens else 0 end as message_tokens,
        case when is_message then input_tokens else 0 end as message_input_tokens,
        case when is_message then response_time_ms end as message_time_ms,
        case when is_message then time_to_first_token_ms end as first_token_time_ms
    from {{ events }}
{%- endmacro %}

{# What the measures of usage are, but for costs: select items over events with their parts. #}
{% macro usage_sums() -%}
    count(*) as event_count,
    count(case when is_message then 1 end) as message_count,
    count(error_type) as error_count,
    {{ sum_of('input_tokens') }} as input_tokens,
    {{ sum_of('output_tokens') }} as output_tokens,
    {{ sum_of('input_tokens + output_tokens') }} as total_tokens,
    {{ sum_of('message_tokens') }} as message_tokens,
    {{ sum_of('message_input_tokens') }} as message_input_tokens,
    {{ sum_of('message_time_ms') }} as response_time_ms_sum,
    count(message_time_ms) as response_time_count,
    {{ sum_of('case when message_time_ms > 0 then output_tokens end') }} as timed_output_tokens,
    {{ sum_of('uncached_input_tokens') }} as uncached_input_tokens,
    {{ summed_token_parts() }},
    {{ sum_of('case when cache_read_input_tokens is not null then input_tokens end') }}
        as cache_reported_input_tokens,
    {{ sum_of('tool_calls') }} as tool_calls,
    {{ summed_token_classes() }},
    count(case when token_classes_exceed_total then 1 end) as token_classes_exceed_total,
    {{ sum_of_usd('reported_cost_usd') }} as reported_cost_usd,
    count(reported_cost_usd) as reported_cost_events
{%- endmacro %}
