with

newest_rows as (
    select * from {{ ref('stg_agents') }}
)

select * from newest_rows
