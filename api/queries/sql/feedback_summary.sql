with ratings_in_window as (
    {{ rows_in_window(
        daily='load_bucket_daily',
        quarter_hourly='feedback_quarter_hourly',
        columns=[
            'rating_count', 'rating_sum', 'rating_1_count', 'rating_2_count', 'rating_3_count',
            'rating_4_count', 'rating_5_count',
        ],
    ) | indent(4) }}
),

ratings_summed as (
    select
        coalesce(sum(rating_count), 0) as rating_count,
        coalesce(sum(rating_sum), 0) as rating_sum,
        coalesce(sum(rating_1_count), 0) as rating_1_count,
        coalesce(sum(rating_2_count), 0) as rating_2_count,
        coalesce(sum(rating_3_count), 0) as rating_3_count,
        coalesce(sum(rating_4_count), 0) as rating_4_count,
        coalesce(sum(rating_5_count), 0) as rating_5_count,
    from ratings_in_window
)

select
    rating_count as total_feedback,
    {{ average_rating('rating_sum', 'rating_count') | indent(4) }} as average_rating,
    rating_sum,
    rating_1_count,
    rating_2_count,
    rating_3_count,
    rating_4_count,
    rating_5_count,
from ratings_summed
