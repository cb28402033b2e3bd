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
            updated_at desc nulls last,
            {{ content_hash(['agent_type_id', 'agent_name']) }} desc
    ) = 1
)

select * from newest_rows
