{# How many days of a customer's data are kept. Pure Jinja: rendered by dbt for the customers mart,
   and with bare Jinja by landing, which rejects what is older before it gets anywhere.

   `policy` is a row of retention_policies for the customer's tier. NULL where there is no valid
   policy (unknown tier, days out of range): then nothing of it is deleted and the nightly job says so. #}
{% macro retention_days(policy, customer) -%}
case
    when {{ policy }}.retention_days is not null then {{ policy }}.retention_days
    when
        coalesce({{ customer }}.retention_days, {{ policy }}.default_retention_days)
        between 1 and {{ policy }}.max_retention_days
        then coalesce({{ customer }}.retention_days, {{ policy }}.default_retention_days)
end
{%- endmacro %}
