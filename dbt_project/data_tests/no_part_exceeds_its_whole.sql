{{ config(meta={'dagster': {'ref': {'name': 'feedback_quarter_hourly'}}}) }}

-- What is part of something is never more than it, for the dates of this run.
select 'usage_quarter_hourly' as mart, customer_id, bucket_start
from {{ ref('usage_quarter_hourly') }}
where
    {{ is_touched('agent_usage_events') }}
    and (
        total_tokens <> input_tokens + output_tokens
        or event_count <> message_count + error_count
        or message_tokens > total_tokens
        or message_input_tokens > input_tokens
        or response_time_count > message_count
        or uncached_input_tokens > input_tokens
        or total_tokens <> {{ all_class_tokens() }}
        or timed_output_tokens > output_tokens
        or {{ length_of_list('response_time_buckets') }} <> response_time_count
        or {{ length_of_list('time_to_first_token_buckets') }} > message_count
    )
union all
select 'compliance_quarter_hourly' as mart, customer_id, bucket_start
from {{ ref('compliance_quarter_hourly') }}
where
    {{ is_touched('audit_events') }}
    and (
        scanned_messages > scan_count
        or toxic_messages > scan_count
        or messages_with_pii > scan_count
        or messages_with_pii > pii_redactions
    )
union all
select 'feedback_quarter_hourly' as mart, customer_id, bucket_start
from {{ ref('feedback_quarter_hourly') }}
where
    {{ is_touched('feedback_events') }}
    and (
        rating_count
        <> rating_1_count + rating_2_count + rating_3_count + rating_4_count + rating_5_count
        or rating_sum
        <> rating_1_count + 2 * rating_2_count + 3 * rating_3_count + 4 * rating_4_count
        + 5 * rating_5_count
    )
