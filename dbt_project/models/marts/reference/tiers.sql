with

retention_policies as (
    select * from {{ ref('retention_policies') }}
),

delivered as (
    select * from {{ ref('stg_tiers') }}
),

tiers as (
    {{ tiers_that_hold('retention_policies', 'delivered') }}
)

select * from tiers
