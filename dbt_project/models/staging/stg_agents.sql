with

source as (
    select * from {{ source('raw', 'agents') }}
),

newest_rows as (
    select
        customer_id,
        agent_id,
        agent_type_id,
        agent_name,
        updated_at
    from source
    qualify row_number() over (
        partition by customer_id, agent_id
        order by
            {{ newest_first('agents') }}
    ) = 1
)

select * from newest_rows
