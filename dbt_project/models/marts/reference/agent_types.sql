with

newest_rows as (
    select * from {{ ref('stg_agent_types') }}
)

select * from newest_rows
