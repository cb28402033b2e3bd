with

source as (
    select * from {{ source('raw', 'customers') }}
),

newest_first as (
    select
        customer_id,
        customer_name,
        tier,
        retention_days,
        created_at,
        time_zone,
        updated_at,
        row_number() over (
            partition by customer_id
            order by
                {{ newest_first('customers') }}
        ) as place
    from source
),

newest_that_is_given as (
    select
        customer_id,
        min_by(created_at, case when created_at is not null then place end) as created_at,
        min_by(time_zone, case when time_zone is not null then place end) as time_zone
    from newest_first
    group by customer_id
),

newest_rows as (
    select
        newest_first.customer_id,
        newest_first.customer_name,
        newest_first.tier,
        newest_that_is_given.time_zone,
        newest_first.retention_days,
        newest_that_is_given.created_at,
        newest_first.updated_at
    from newest_first
    inner join newest_that_is_given
        on newest_first.customer_id = newest_that_is_given.customer_id
    where newest_first.place = 1
)

select * from newest_rows
