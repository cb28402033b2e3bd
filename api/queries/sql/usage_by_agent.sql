with usage_in_window as (
    {{ rows_in_window(
        daily='agent_daily',
        quarter_hourly='usage_quarter_hourly',
        columns=[
            'agent_id', 'message_count', 'input_tokens', 'output_tokens', 'total_tokens',
            'response_time_ms_sum', 'response_time_count',
        ],
    ) | indent(4) }}
),

agents_of_customer as (
    select
        agent_id,
        agent_name,
    from marts.agents
    where customer_id = $customer_id
),

usage_summed_per_agent as (
    select
        agent_id,
        sum(message_count) as message_count,
        sum(total_tokens) as total_tokens,
        sum(input_tokens) as input_tokens,
        sum(output_tokens) as output_tokens,
        sum(response_time_ms_sum) as response_time_ms_sum,
        sum(response_time_count) as response_time_count,
    from usage_in_window
    group by agent_id
    having sum(message_count) > 0
),

agents_named as (
    select
        usage_summed_per_agent.agent_id,
        coalesce(agents_of_customer.agent_name, 'Agent ' || usage_summed_per_agent.agent_id)
            as agent_name,
        usage_summed_per_agent.message_count,
        usage_summed_per_agent.total_tokens,
        usage_summed_per_agent.input_tokens as total_input_tokens,
        usage_summed_per_agent.output_tokens as total_output_tokens,
        {{ avg_response_time_ms(
            'usage_summed_per_agent.response_time_ms_sum',
            'usage_summed_per_agent.response_time_count',
        ) | indent(8) }} as avg_response_time_ms,
    from usage_summed_per_agent
    left join agents_of_customer
        on usage_summed_per_agent.agent_id = agents_of_customer.agent_id
)

select
    *,
    count(*) over () as rows_in_all,
from agents_named
qualify row_number() over (order by total_tokens desc, agent_id) <= {{ most_rows }}
order by total_tokens desc, agent_id
