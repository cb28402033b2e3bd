with

customers as (
    select * from {{ ref('stg_customers') }}
),

retention_policies as (
    select * from {{ ref('retention_policies') }}
),

customers_with_policy as (
    select
        customers.customer_id,
        customers.customer_name,
        customers.tier,
        {{ retention_days('retention_policies', 'customers') }} as retention_days,
        customers.updated_at
    from customers
    left join retention_policies on customers.tier = retention_policies.tier
)

select * from customers_with_policy
