{# Which tiers there are: those that were delivered, and of the built-in ones those that were not. A
   delivered row replaces a built-in one as a whole: what it leaves out, the tier does not have.

   Pure Jinja, as all in here: rendered by dbt for the marts, and with bare Jinja by landing and
   deletion. `built_in` has the columns of retention_policies, `delivered` those of the stream. #}
{% macro tiers_that_hold(built_in, delivered) -%}
select
    tier,
    retention_days,
    default_retention_days,
    max_retention_days,
    daily_token_budget,
    cast(null as bigint) as requests_per_minute,
    cast(null as bigint) as max_running_agents,
    cast(null as decimal(38, 12)) as agent_hour_usd,
    true as is_built_in,
    cast(null as timestamp) as updated_at
from {{ built_in }}
where tier not in (select tier from {{ delivered }})
union all
select
    tier,
    retention_days,
    default_retention_days,
    max_retention_days,
    daily_token_budget,
    requests_per_minute,
    max_running_agents,
    agent_hour_usd,
    false as is_built_in,
    updated_at
from {{ delivered }}
{%- endmacro %}

{# How many days of a customer's data are kept: those that its tier fixes; else its own, where the
   tier lets customers have their own; else those that the tier has by default.

   `policy` is the row of the customer's tier. NULL where there is no valid policy (unknown tier,
   days out of range, none at all): then nothing of it is deleted and the jobs say so. #}
{% macro retention_days(policy, customer) -%}
{%- set longest = 2557 -%}
{%- set most = 'least(coalesce(' ~ policy ~ '.max_retention_days, ' ~ longest ~ '), ' ~ longest ~ ')' -%}
case
    when {{ policy }}.retention_days is not null
        then
            case
                when {{ policy }}.retention_days between 1 and {{ longest }}
                    then {{ policy }}.retention_days
            end
    when
        {{ policy }}.max_retention_days is not null
        and {{ customer }}.retention_days is not null
        then
            case
                when {{ customer }}.retention_days between 1 and {{ most }}
                    then {{ customer }}.retention_days
            end
    when {{ policy }}.default_retention_days between 1 and {{ most }}
        then {{ policy }}.default_retention_days
end
{%- endmacro %}
