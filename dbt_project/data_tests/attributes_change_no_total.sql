{{ config(meta={'dagster': {'ref': {'name': 'usage_attribute_daily'}}}) }}

-- By each attribute there is as much as there is at all, of every customer, model and date of this
-- run, whatever is with the other values or has none.
{% set measures = usage_measures() + cost_measures() %}
select customer_id, attribute, agent_type_id, model, occurred_date
from (
    select
        customer_id, attribute, agent_type_id, model, occurred_date,
        {{ measures | join(', ') }}, 1 as sign
    from {{ ref('usage_attribute_daily') }}
    where {{ is_touched('agent_usage_events') }}
    union all
    select
        customer_id, asked.name as attribute, agent_type_id, model, occurred_date,
        {{ measures | join(', ') }}, -1 as sign
    from {{ ref('agent_type_model_daily') }}
    cross join {{ source('raw', 'attributes') }} as asked
    where {{ is_touched('agent_usage_events') }}
) as by_attribute_and_in_all
group by customer_id, attribute, agent_type_id, model, occurred_date
having
{% for measure in measures %}
    sum(sign * {{ measure }}) <> 0{{ ' or' if not loop.last }}
{% endfor %}
