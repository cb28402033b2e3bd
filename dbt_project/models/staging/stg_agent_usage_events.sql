with

source as (
    select * from {{ source('raw', 'agent_usage_events') }}
),

repeated_events as (
    select customer_id, event_id, occurred_date
    from source
    group by customer_id, event_id, occurred_date
    having count(*) > 1
),

-- Nearly every event came once: only the others pay for a sort.
events_told_once as (
    select source.*
    from source
    where not exists (
        select 1 from repeated_events
        where
            repeated_events.customer_id = source.customer_id
            and repeated_events.event_id = source.event_id
            and repeated_events.occurred_date = source.occurred_date
    )
),

newest_of_repeated_events as (
    select source.*
    from source
    inner join repeated_events
        on
            source.customer_id = repeated_events.customer_id
            and source.event_id = repeated_events.event_id
            and source.occurred_date = repeated_events.occurred_date
    qualify row_number() over (
        partition by source.customer_id, source.event_id, source.occurred_date
        order by
            source.received_at desc nulls last,
            {{ content_hash([
                'source.agent_id', 'source.agent_type_id', 'source.model_used',
                'source.input_tokens', 'source.output_tokens', 'source.response_time_ms',
                'source.occurred_at',
            ]) }} desc
    ) = 1
),

unique_events as (
    select * from events_told_once
    union all
    select * from newest_of_repeated_events
),

renamed as (
    select
        -- ids
        customer_id,
        event_id,
        agent_id,
        agent_type_id,

        -- strings
        model_used as model,

        -- numerics
        input_tokens,
        output_tokens,
        response_time_ms,

        -- booleans
        is_total_mismatch,

        -- times
        occurred_at,
        {{ quarter_hour('occurred_at') }} as bucket_start,
        occurred_date,
        received_at
    from unique_events
)

select * from renamed
