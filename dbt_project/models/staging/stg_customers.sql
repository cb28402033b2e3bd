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
            updated_at desc nulls last,
            {{ content_hash(['customer_name', 'tier', 'retention_days']) }} desc
    ) = 1
)

select * from newest_rows
