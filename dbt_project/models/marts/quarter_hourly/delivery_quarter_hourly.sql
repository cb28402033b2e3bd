with

counts as (
    select
        *,
        case when reason is null then occurred_at end as newest_event_at,
        {{ quarter_hour('occurred_at') }} as bucket_start
    from {{ source('raw', 'delivery_counts') }}
),

summed_per_bucket as (
    select
        stream,
        customer_id,
        reason,
        is_dated,
        {% for measure in delivery_measures() %}
        {{ sum_of(measure) }} as {{ measure }},
        {% endfor %}
        max(newest_event_at) as newest_event_at,
        bucket_start,
        occurred_date
    from counts
    group by stream, customer_id, reason, is_dated, bucket_start, occurred_date
)

select * from summed_per_bucket
