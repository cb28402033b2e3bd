with

quarter_hours as (
    select * from {{ ref('usage_quarter_hourly') }}
    where {{ is_touched('agent_usage_events') }}
),

by_class as (
    {{ costs_by_class('quarter_hours', source('raw', 'rates'), priced_classes()) }}
),

summed_per_date as (
    select
        customer_id,
        agent_type_id,
        model,
        provider,
        processing,
        context_over_tokens,
        token_class,
        usd_per_token,
        is_price_assumed,
        cast(sum(tokens) as bigint) as tokens,
        {{ sum_of_usd('cost_usd') }} as cost_usd,
        cast(sum(unpriced_tokens) as bigint) as unpriced_tokens,
        cast(sum(assumed_price_tokens) as bigint) as assumed_price_tokens,
        occurred_date
    from by_class
    group by
        customer_id, agent_type_id, model, provider, processing, context_over_tokens, token_class,
        usd_per_token, is_price_assumed, occurred_date
)

select * from summed_per_date
