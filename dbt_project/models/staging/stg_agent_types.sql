with

source as (
    select * from {{ source('raw', 'agent_types') }}
),

newest_rows as (
    select
        customer_id,
        agent_type_id,
        agent_type_name,
        model,
        updated_at
    from source
    qualify row_number() over (
        partition by customer_id, agent_type_id
        order by
            {{ newest_first('agent_types') }}
    ) = 1
)

select * from newest_rows
