with

source as (
    select * from {{ source('raw', 'feedback_events') }}
),

load_buckets as (
    select * from {{ ref('load_buckets') }}
),

unique_ratings as (
    {{ newest_versions('feedback_events', 'feedback_id') }}
),

renamed as (
    select
        -- ids
        unique_ratings.customer_id,
        unique_ratings.feedback_id,
        coalesce(unique_ratings.agent_id, 0) as agent_id,
        unique_ratings.agent_type_id,

        -- strings
        coalesce(unique_ratings.model_used, 'unknown') as model,
        coalesce(load_buckets.load_bucket, 'unknown') as load_bucket,

        -- numerics
        unique_ratings.rating,
        unique_ratings.running_instances,

        -- times
        unique_ratings.occurred_at,
        {{ quarter_hour('unique_ratings.occurred_at') }} as bucket_start,
        unique_ratings.occurred_date,
        unique_ratings.received_at
    from unique_ratings
    left join load_buckets
        on
            unique_ratings.running_instances >= load_buckets.min_instances
            and (
                unique_ratings.running_instances <= load_buckets.max_instances
                or load_buckets.max_instances is null
            )
)

select * from renamed
