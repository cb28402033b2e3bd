{# Response times as numbers of logarithmic buckets, so that percentiles can be had from marts. All in
   whole numbers, and the same on every engine.

   Up to 99 ms a bucket is one millisecond. From there on a bucket is as wide as a fiftieth of its
   beginning allows: 2 ms from 100, 3 from 150, 4 from 200, 6 from 300, 8 from 400 and so on, to
   24 hours. A bucket stands for `from + width // 2`, which is off by at most half a width: 1 %. #}

{% macro longest_response_time_ms() %}{{ return(86400000) }}{% endmacro %}

{# The stretches of equal width, each with where it begins, where the next one does, and the number
   of its first bucket. #}
{% macro response_time_stretches() %}
    {%- set widths = [1] -%}
    {%- for power in range(1, 21) -%}
        {%- do widths.extend([2 ** power, 3 * 2 ** (power - 1)]) -%}
    {%- endfor -%}
    {%- set stretches = [] -%}
    {%- set next = namespace(from_ms=0, bucket=0) -%}
    {%- for width in widths -%}
        {%- set to_ms = longest_response_time_ms() + 1 if loop.last else 50 * loop.nextitem -%}
        {%- do stretches.append(
            {'from_ms': next.from_ms, 'to_ms': to_ms, 'width': width, 'bucket': next.bucket}
        ) -%}
        {%- set next.bucket = next.bucket + (to_ms - next.from_ms + width - 1) // width -%}
        {%- set next.from_ms = to_ms -%}
    {%- endfor -%}
    {{- return(stretches) -}}
{% endmacro %}

{# Every bucket: its number, its first and last millisecond, and the one that stands for it. #}
{% macro response_time_bucket_rows() %}
    {%- set rows = [] -%}
    {%- for stretch in response_time_stretches() -%}
        {%- for from_ms in range(stretch.from_ms, stretch.to_ms, stretch.width) -%}
            {%- do rows.append({
                'bucket': stretch.bucket + loop.index0,
                'from_ms': from_ms,
                'to_ms': [from_ms + stretch.width, stretch.to_ms] | min - 1,
                'middle_ms': from_ms + stretch.width // 2,
            }) -%}
        {%- endfor -%}
    {%- endfor -%}
    {{- return(rows) -}}
{% endmacro %}

{# The bucket of a response time in whole milliseconds; NULL for none. #}
{% macro response_time_bucket(response_time_ms) -%}
    case
        {%- for stretch in response_time_stretches() %}
        when {{ response_time_ms }} < {{ stretch.to_ms }}
            then
                {%- set steps = stretch.from_ms // stretch.width %}
                cast({{ whole_quotient(response_time_ms, stretch.width) }} as int)
                + {{ stretch.bucket - steps }}
        {%- endfor %}
    end
{%- endmacro %}
