with

customers as (
    select * from {{ ref('stg_customers') }}
),

tiers as (
    select * from {{ ref('tiers') }}
),

customers_with_policy as (
    select
        customers.customer_id,
        customers.customer_name,
        customers.tier,
        customers.time_zone,
        {{ retention_days('tiers', 'customers') }} as retention_days,
        customers.created_at,
        customers.updated_at,
        -- Filled in by publication: a model reads no clock, and not what retention has deleted.
        cast(null as date) as covered_from,
        cast(null as date) as data_from,
        cast(null as date) as retention_from,
        cast(null as timestamp) as first_event_at,
        cast(null as timestamp) as newest_event_at
    from customers
    left join tiers on customers.tier = tiers.tier
)

select * from customers_with_policy
