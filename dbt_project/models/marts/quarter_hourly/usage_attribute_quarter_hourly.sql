with

events as (
    select * from {{ ref('stg_agent_usage_events') }}
),

in_contexts as (
    {{ with_contexts('events') }}
),

of_messages as (
    {{ with_message_parts('in_contexts') }}
),

-- An event once for each attribute that is asked for.
by_attribute as (
    select
        of_messages.*,
        asked.name as attribute,
        coalesce(
            {{ value_of_key('of_messages.attributes', 'asked.name') }},
            {{ value_of_key('of_messages.extra', 'asked.name') }}
        ) as given_value
    from of_messages
    cross join {{ source('raw', 'attributes') }} as asked
),

summed_per_value as (
    select
        customer_id,
        attribute,
        coalesce({{ apart_from_labels('given_value') }}, '(none)') as value,
        agent_type_id,
        model,
        provider,
        processing,
        context_over_tokens,
        is_context_assumed,
        {{ usage_sums() }},
        bucket_start,
        cast(bucket_start as date) as occurred_date
    from by_attribute
    group by
        customer_id, attribute, given_value, agent_type_id, model, provider, processing,
        context_over_tokens, is_context_assumed, bucket_start
),

tokens_of_values as (
    select
        customer_id,
        attribute,
        value,
        occurred_date,
        sum(total_tokens) as tokens
    from summed_per_value
    where value <> '(none)'
    group by customer_id, attribute, value, occurred_date
),

-- However many values there are, so many have rows of their own.
values_kept as (
    select *
    from tokens_of_values
    qualify row_number() over (
        partition by customer_id, attribute, occurred_date
        order by tokens desc, value asc
    ) <= 200
),

labelled as (
    select
        summed_per_value.*,
        case
            when summed_per_value.value = '(none)' then '(none)'
            else coalesce(values_kept.value, '(other)')
        end as label
    from summed_per_value
    left join values_kept
        on
            summed_per_value.customer_id = values_kept.customer_id
            and summed_per_value.attribute = values_kept.attribute
            and summed_per_value.value = values_kept.value
            and summed_per_value.occurred_date = values_kept.occurred_date
),

summed_per_label as (
    select
        customer_id,
        attribute,
        label as value,
        agent_type_id,
        model,
        provider,
        processing,
        context_over_tokens,
        is_context_assumed,
        {{ summed(usage_measures()) }},
        {{ summed_costs(reported_cost_measures()) }},
        bucket_start,
        occurred_date
    from labelled
    group by
        customer_id, attribute, label, agent_type_id, model, provider, processing,
        context_over_tokens, is_context_assumed, bucket_start, occurred_date
),

priced as (
    {{ with_costs(with_repriced('summed_per_label'), 'event_count') }}
)

select * from priced
