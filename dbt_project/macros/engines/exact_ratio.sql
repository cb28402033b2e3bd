{#
    scale * numerator / denominator in units of 10^-digits, as a bigint (digits = 0) or a double; null
    for a denominator of zero. Rounded half away from zero by integer division in hugeint, because a
    double would put 0.125 or 2.675 on either side of the half at random.
    (Beyond 2^53 units of the last decimal the double that is shown has no room for more.)
#}
{% macro exact_ratio(numerator, denominator, digits, scale=1) -%}
case
    when {{ denominator }} > 0
        then cast(
            (2 * cast({{ numerator }} as hugeint) * {{ scale * 10 ** digits }} + {{ denominator }})
            // (2 * cast({{ denominator }} as hugeint))
            as {% if digits == 0 %}bigint{% else %}double{% endif %}
        ){% if digits > 0 %} / {{ 10 ** digits }}.0::double{% endif %}
end
{%- endmacro %}
