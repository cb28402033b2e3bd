with

messages as (
    select * from {{ ref('stg_agent_usage_events') }}
    where is_message and session_id is not null
),

in_quarter_hours as (
    select
        customer_id,
        agent_id,
        agent_type_id,
        session_id,
        {{ ascending_set(quarter_of_day('bucket_start')) }} as quarter_hours,
        occurred_date
    from messages
    group by customer_id, agent_id, agent_type_id, session_id, occurred_date
),

-- Hashed here and not before: an id with many messages a day is hashed once.
without_ids as (
    select
        customer_id,
        agent_id,
        agent_type_id,
        {{ keyed_number('session_id') }} as session_key,
        quarter_hours,
        cast({{ length_of_list('quarter_hours') }} as bigint) as active_quarter_hours,
        occurred_date
    from in_quarter_hours
),

of_all_dates as (
    {{ with_rows_of_repriced_dates('without_ids') }}
)

select * from of_all_dates
