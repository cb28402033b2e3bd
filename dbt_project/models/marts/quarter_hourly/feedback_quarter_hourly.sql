with

ratings as (
    select * from {{ ref('stg_feedback_events') }}
),

counted_per_bucket as (
    select
        customer_id,
        agent_id,
        agent_type_id,
        model,
        load_bucket,
        count(*) as rating_count,
        cast(sum(rating) as bigint) as rating_sum,
        count(case when rating = 1 then 1 end) as rating_1_count,
        count(case when rating = 2 then 1 end) as rating_2_count,
        count(case when rating = 3 then 1 end) as rating_3_count,
        count(case when rating = 4 then 1 end) as rating_4_count,
        count(case when rating = 5 then 1 end) as rating_5_count,
        bucket_start,
        occurred_date
    from ratings
    group by customer_id, agent_id, agent_type_id, model, load_bucket, bucket_start, occurred_date
)

select * from counted_per_bucket
