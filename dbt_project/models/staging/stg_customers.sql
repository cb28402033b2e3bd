with

source as (
    select * from {{ source('raw', 'customers') }}
),

newest_rows as (
    select
        customer_id,
        customer_name,
        tier,
        retention_days,
        updated_at
    from source
    qualify row_number() over (
        partition by customer_id
        order by
            {{ newest_first('customers') }}
    ) = 1
)

select * from newest_rows
