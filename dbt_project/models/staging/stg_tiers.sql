with

source as (
    select * from {{ source('raw', 'tiers') }}
),

newest_rows as (
    select
        tier,
        retention_days,
        default_retention_days,
        max_retention_days,
        daily_token_budget,
        requests_per_minute,
        max_running_agents,
        agent_hour_usd,
        updated_at
    from source
    qualify row_number() over (
        partition by tier
        order by
            {{ newest_first('tiers') }}
    ) = 1
)

select * from newest_rows
