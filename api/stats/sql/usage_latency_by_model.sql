with events_in_window as (
    select
        model,
        response_time_buckets,
    from marts.usage_quarter_hourly
    where
        customer_id = $customer_id
        and bucket_start >= $window_from
        and bucket_start < $window_to
),

{{ response_time_percentiles('model') }},

models_seen as (
    select distinct model,
    from events_in_window
),

models as (
    select
        models_seen.model,
        {{ percentile_columns() | indent(8) }}
    from models_seen
    left join percentiles
        on models_seen.model = percentiles.model
)

select * from models
order by count desc, model
