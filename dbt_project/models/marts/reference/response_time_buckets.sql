with

buckets as (
    select
        cast(listed.response_time_bucket as bigint) as response_time_bucket,
        cast(listed.from_ms as bigint) as from_ms,
        cast(listed.to_ms as bigint) as to_ms,
        cast(listed.middle_ms as bigint) as middle_ms
    from (
        values
        {% for row in response_time_bucket_rows() -%}
            ({{ row.bucket }}, {{ row.from_ms }}, {{ row.to_ms }}, {{ row.middle_ms }})
            {{- ',' if not loop.last }}
        {% endfor %}
    ) as listed (response_time_bucket, from_ms, to_ms, middle_ms)
)

select * from buckets
