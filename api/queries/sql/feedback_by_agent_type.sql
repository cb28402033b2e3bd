with ratings_in_window as (
    {{ rows_in_window(
        daily='load_bucket_daily',
        quarter_hourly='feedback_quarter_hourly',
        columns=[
            'agent_type_id', 'load_bucket', 'rating_count', 'rating_sum', 'rating_1_count',
            'rating_2_count', 'rating_3_count', 'rating_4_count', 'rating_5_count',
        ],
    ) | indent(4) }}
),

agent_types_of_customer as (
    select
        agent_type_id,
        agent_type_name,
    from marts.agent_types
    where customer_id = $customer_id
),

instances_by_load as (
    select
        max(instances_range) filter (where load_bucket = 'low') as low_instances_range,
        max(instances_range) filter (where load_bucket = 'medium') as medium_instances_range,
        max(instances_range) filter (where load_bucket = 'high') as high_instances_range,
        {{ min_instances_by_load() | indent(8) }}
    from marts.load_buckets
),

ratings_summed_per_type as (
    select
        agent_type_id,
        sum(rating_count) as rating_count,
        sum(rating_sum) as rating_sum,
{%- for bucket in ['low', 'medium', 'high'] %}
        coalesce(sum(rating_count) filter (where load_bucket = '{{ bucket }}'), 0)
            as {{ bucket }}_rating_count,
        coalesce(sum(rating_sum) filter (where load_bucket = '{{ bucket }}'), 0)
            as {{ bucket }}_rating_sum,
{%- endfor %}
        {{ rating_counts_by_load() | indent(8) }}
    from ratings_in_window
    group by agent_type_id
    having sum(rating_count) > 0
),

agent_types_named as (
    select
        ratings_summed_per_type.agent_type_id,
        coalesce(
            agent_types_of_customer.agent_type_name,
            'Agent type ' || ratings_summed_per_type.agent_type_id
        ) as agent_type_name,
        ratings_summed_per_type.rating_count as total_feedback,
        {{ average_rating(
            'ratings_summed_per_type.rating_sum', 'ratings_summed_per_type.rating_count'
        ) | indent(8) }} as average_rating,
{%- for bucket in ['low', 'medium', 'high'] %}
        instances_by_load.{{ bucket }}_instances_range,
        {{ avg_rating(
            'ratings_summed_per_type.' ~ bucket ~ '_rating_sum',
            'ratings_summed_per_type.' ~ bucket ~ '_rating_count',
        ) | indent(8) }} as {{ bucket }}_avg_rating,
        ratings_summed_per_type.{{ bucket }}_rating_count as {{ bucket }}_count,
        ratings_summed_per_type.{{ bucket }}_rating_counts,
{%- endfor %}
        instances_by_load.medium_min_instances,
        instances_by_load.high_min_instances,
    from ratings_summed_per_type
    left join agent_types_of_customer
        on ratings_summed_per_type.agent_type_id = agent_types_of_customer.agent_type_id
    cross join instances_by_load
)

select
    *,
    count(*) over () as rows_in_all,
from agent_types_named
qualify row_number() over (order by total_feedback desc, agent_type_id) <= {{ most_rows }}
order by total_feedback desc, agent_type_id
