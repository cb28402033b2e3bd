{# The parts of an event's tokens that a sender may tell, without `_tokens`. Parts may overlap: what
   was read from a cache may be audio. #}
{% macro token_parts() -%}
    {{ return([
        'cache_read_input', 'cache_write_input', 'cache_write_1h_input', 'audio_input',
        'image_input', 'cache_read_audio_input', 'cache_read_image_input', 'reasoning_output',
        'audio_output', 'image_output',
    ]) }}
{%- endmacro %}

{# The token classes, which do not overlap and add up to the whole, and how many tokens each has, over
   the parts and the whole. Below 0 where parts exceed what they are parts of. #}
{% macro token_classes(side=none) -%}
    {%- set input = {
        'cache_read_audio_input': 'cache_read_audio_input',
        'cache_read_image_input': 'cache_read_image_input',
        'cache_read_input': 'cache_read_input - cache_read_audio_input - cache_read_image_input',
        'cache_write_1h_input': 'cache_write_1h_input',
        'cache_write_input': 'cache_write_input - cache_write_1h_input',
        'audio_input': 'audio_input - cache_read_audio_input',
        'image_input': 'image_input - cache_read_image_input',
        'input': 'input_tokens - cache_read_input - cache_write_input'
            ~ ' - (audio_input - cache_read_audio_input) - (image_input - cache_read_image_input)',
    } -%}
    {%- set output = {
        'reasoning_output': 'reasoning_output',
        'audio_output': 'audio_output',
        'image_output': 'image_output',
        'output': 'output_tokens - reasoning_output - audio_output - image_output',
    } -%}
    {%- set both = dict(input, **output) -%}
    {{ return({'input': input, 'output': output}.get(side, both)) }}
{%- endmacro %}

{# What was reported of a part. #}
{% macro reported_tokens(part) -%}
    {{ 'all_cache_writes' if part == 'cache_write_input' else part ~ '_tokens' }}
{%- endmacro %}

{# Select items: what was reported of each part. #}
{% macro reported_token_parts() -%}
    {%- for part in token_parts() %}
        {{ reported_tokens(part) }} as {{ part }}_tokens{{ ',' if not loop.last }}
    {%- endfor %}
{%- endmacro %}

{# Select items: each part in tokens; what was not reported is no part. #}
{% macro token_parts_or_none() -%}
    {%- for part in token_parts() %}
        coalesce({{ reported_tokens(part) }}, 0) as {{ part }}{{ ',' if not loop.last }}
    {%- endfor %}
{%- endmacro %}

{# Select items: each class, over those. #}
{% macro token_classes_of_parts() -%}
    {%- for class, tokens in token_classes().items() %}
        {{ tokens }} as class_{{ class }}{{ ',' if not loop.last }}
    {%- endfor %}
{%- endmacro %}

{# Whether parts of the input or output exceed it. #}
{% macro parts_exceed(side) -%}
    least({% for class in token_classes(side) %}class_{{ class }}{{ ', ' if not loop.last }}{% endfor %}) < 0
{%- endmacro %}

{# Select items: each class of a side where its parts do not exceed it, and what is of no class. #}
{% macro token_classes_that_fit(side) -%}
    {%- for class in token_classes(side) %}
        case when exceeds_{{ side }} then 0 else class_{{ class }} end as class_{{ class }}_tokens,
    {%- endfor %}
        case when exceeds_{{ side }} then {{ side }}_tokens else 0 end as unclassed_{{ side }}_tokens
{%- endmacro %}

{# Select items: the sum of each part, of each class, and of what is of none. #}
{% macro summed_token_parts() -%}
    {%- for part in token_parts() %}
        {{ sum_of(part ~ '_tokens') }} as {{ part }}_tokens{{ ',' if not loop.last }}
    {%- endfor %}
{%- endmacro %}

{% macro summed_token_classes() -%}
    {%- for class in token_classes() %}
        {{ sum_of('class_' ~ class ~ '_tokens') }} as class_{{ class }}_tokens,
    {%- endfor %}
        {{ sum_of('unclassed_input_tokens') }} as unclassed_input_tokens,
        {{ sum_of('unclassed_output_tokens') }} as unclassed_output_tokens
{%- endmacro %}

{# The tokens of all classes, and of none. #}
{% macro all_class_tokens() -%}
    unclassed_input_tokens + unclassed_output_tokens
    {%- for class in token_classes() %} + class_{{ class }}_tokens{% endfor %}
{%- endmacro %}
