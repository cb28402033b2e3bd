-- Reads the tables customers, agents, agent_types, models, model_families and zone_hours, and the
-- variables seed, events, now, started_at (where the sample begins) and incident_date.
-- Makes usage (good events, one row each, with the load at that time) and the flawed rows.

-- One row per customer and hour of its span. Weights are integers, because sums of integers do
-- not depend on the order of adding.
create table hours as
with

hours_of_customers as (
    select
        customers.customer_id,
        zone_hours.hour_start,
        least(
            3600000, epoch_ms(getvariable('now')) - epoch_ms(zone_hours.hour_start)
        ) as duration_ms,
        [2, 1, 1, 1, 1, 2, 5, 12, 35, 70, 92, 100, 85, 80, 95, 98, 90, 75, 48, 28, 18, 12, 8, 4]
        [zone_hours.local_hour + 1]
        * case when zone_hours.is_weekend then customers.weekend_factor else 1 end
        -- Two thirds at the beginning grow to four thirds today.
        * (
            2 / 3
            + 2 / 3
            * date_diff('hour', getvariable('started_at'), zone_hours.hour_start)
            / date_diff('hour', getvariable('started_at'), getvariable('now'))
        )
        * exp(
            0.15 * draw_normal(
                'day', concat(customers.customer_id, '/', cast(zone_hours.hour_start as date))
            )
        )
        -- People gave up and came back later on the day of the incident.
        * case
            when cast(zone_hours.hour_start as date) = getvariable('incident_date') then 0.55
            else 1
        end as intensity
    from zone_hours
    inner join customers
        on
            zone_hours.zone = customers.zone
            and zone_hours.hour_start >= customers.kept_from
)

select
    customer_id,
    hour_start,
    duration_ms,
    intensity / max(intensity) over (partition by customer_id) as relative_intensity,
    greatest(1, cast(intensity * duration_ms as bigint)) as weight
from hours_of_customers
where duration_ms > 0;

create table hour_ranges as
select
    *,
    cast(
        sum(weight) over (partition by customer_id order by hour_start) - weight as bigint
    ) as weight_from,
    cast(sum(weight) over (partition by customer_id) as bigint) as total_weight
from hours;

create table usage as
with

-- Who, then when, then which agent: each a draw on a line cut into weighted pieces.
customer_draws as (
    select
        range as number,
        cast(
            floor(draw('customer', range) * (select sum(weight) from customers)) as bigint
        ) as customer_draw
    from range(getvariable('events'))
),

customers_drawn as (
    select
        customer_draws.number,
        customers.customer_id,
        cast(
            floor(draw('hour', customer_draws.number) * totals.total_weight) as bigint
        ) as hour_draw,
        cast(
            floor(draw('agent', customer_draws.number) * customers.agents_weight) as bigint
        ) as agent_draw
    from customer_draws
    asof inner join customers on customer_draws.customer_draw >= customers.weight_from
    inner join (select distinct customer_id, total_weight from hour_ranges) as totals
        on customers.customer_id = totals.customer_id
),

hours_drawn as (
    select
        customers_drawn.number,
        customers_drawn.customer_id,
        customers_drawn.agent_draw,
        hour_ranges.relative_intensity,
        plus_ms(
            hour_ranges.hour_start,
            draw('instant', customers_drawn.number) * hour_ranges.duration_ms
        ) as occurred_at
    from customers_drawn
    asof inner join hour_ranges
        on
            customers_drawn.customer_id = hour_ranges.customer_id
            and customers_drawn.hour_draw >= hour_ranges.weight_from
),

agents_drawn as (
    select
        hours_drawn.*,
        agents.agent_id,
        agent_types.agent_type_id,
        agent_types.family,
        agent_types.small_model_share,
        agent_types.pii_factor,
        agent_types.stars
        - by_load(
            running.running_instances,
            0,
            agent_types.stars_lost_medium,
            agent_types.stars_lost_high
        ) as mean_stars,
        running.running_instances,
        cast(
            greatest(1, agent_types.input_tokens * exp(0.7 * draw_normal('input', number)))
            as bigint
        ) as input_tokens,
        cast(
            greatest(1, agent_types.output_tokens * exp(0.6 * draw_normal('output', number)))
            as bigint
        ) as written_tokens
    from hours_drawn
    asof inner join agents
        on
            hours_drawn.customer_id = agents.customer_id
            and hours_drawn.agent_draw >= agents.weight_from
    inner join agent_types
        on agents.agent_type_id = agent_types.agent_type_id
    -- The platform scales a type's running agents with the traffic of the hour.
    cross join lateral (
        select
            cast(
                greatest(
                    1,
                    least(
                        agent_types.agent_count,
                        round(
                            agent_types.agent_count * hours_drawn.relative_intensity
                            + 0.6 * draw_normal('running', number)
                        )
                    )
                ) as integer
            ) as running_instances
    ) as running
),

models_drawn as (
    select
        agents_drawn.*,
        case
            when draw('small model', number) < small_model_share then model_families.small_model
            -- A successor takes over within five days, not at once.
            when occurred_at >= model_families.replaced_at
                + to_seconds(cast(draw('replaced', number) * 432000 as bigint))
                then model_families.successor
            else model_families.model
        end as model
    from agents_drawn
    inner join model_families
        on agents_drawn.family = model_families.family
),

responses as (
    select
        models_drawn.*,
        cast(
            least(
                600000,
                greatest(
                    20,
                    (models.first_token_ms + models_drawn.written_tokens * models.ms_per_token)
                    * exp(models.spread * draw_normal('latency', number))
                    * (1 + 0.25 * relative_intensity)
                    * case
                        when cast(occurred_at as date) = getvariable('incident_date') then 3.5
                        else 1
                    end
                )
            ) as bigint
        ) as measured_ms,
        -- More attempts failed on the day of the incident.
        case
            when draw('failed', number) < case
                when cast(occurred_at as date) = getvariable('incident_date') then 0.09
                else 0.008
            end
                then ['timeout', 'rate_limit', 'overloaded'][
                    1 + cast(floor(3 * draw('failure', number)) as integer)
                ]
        end as error_type,
        case
            when models_drawn.model like 'claude%' then 'anthropic'
            when models_drawn.model like 'gpt%' or models_drawn.model like 'o%' then 'openai'
            when models_drawn.model like 'gemini%' then 'google'
            else 'azure'
        end as provider,
        -- From one hour to five days, short delays more often than long ones.
        plus_ms(occurred_at, 3600000 * power(120, draw('delay', number))) as late_received_at
    from models_drawn
    inner join models
        on models_drawn.model = models.model
)

select
    number,
    draw_id('usage', number) as event_id,
    customer_id,
    agent_id,
    agent_type_id,
    case when draw('model lost', number) >= 0.003 then model end as model_used,
    input_tokens,
    case when error_type is null then written_tokens else 0 end as output_tokens,
    case
        when draw('total', number) < 0.15 then null
        when draw('total', number) < 0.152 then input_tokens
        else input_tokens + output_tokens
    end as total_tokens,
    -- Half of the platform's clients tell what came from a prompt cache.
    case
        when draw('cache reported', number) < 0.5
            then cast(
                floor(input_tokens * greatest(0, 1.3 * draw('cached', number) - 0.5)) as bigint
            )
    end as cache_read_input_tokens,
    case when cache_read_input_tokens is not null then true end as input_includes_cache,
    case
        when provider = 'openai'
            then cast(floor(output_tokens * 0.6 * draw('reasoning', number)) as bigint)
    end as reasoning_output_tokens,
    case when draw('provider reported', number) >= 0.02 then provider end as provider,
    case when draw('batch', number) < 0.04 then 'batch' end as processing,
    error_type,
    case
        when draw('unmeasured', number) >= 0.02
            then cast(floor(measured_ms * (0.1 + 0.3 * draw('first token', number))) as bigint)
    end as time_to_first_token_ms,
    cast(floor(4 * power(draw('tools', number), 4)) as bigint) as tool_calls,
    concat(
        'session-', customer_id, '-', agent_id, '-', cast(occurred_at as date), '-',
        cast(floor(20 * draw('session', number)) as integer)
    ) as session_id,
    concat('user-', customer_id, '-', cast(floor(400 * power(draw('user', number), 2)) as integer))
        as end_user_id,
    map {
        'environment': case when draw('staging', number) < 0.05 then 'staging' else 'production' end,
        'team': ['support', 'sales', 'research'][
            1 + cast(floor(3 * draw('team', agent_id)) as integer)
        ]
    } as attributes,
    case when draw('unmeasured', number) >= 0.02 then measured_ms end as response_time_ms,
    draw('late', number) < 0.02 and late_received_at < getvariable('now') as is_late,
    occurred_at,
    case
        when is_late then late_received_at
        else least(
            getvariable('now'),
            plus_ms(occurred_at, coalesce(measured_ms, 0) + 200 + 4000 * draw('received', number))
        )
    end as received_at,
    pii_factor,
    mean_stars,
    running_instances
from responses;

-- Sent again by a client that never saw the answer, some of them after the count was corrected.
create table usage_redelivered as
with

redelivered as (
    select
        *,
        row_number() over (order by draw('repeat', number), number) as position
    from usage
    where draw('repeat', number) < 0.007 or number < 10
)

select
    * exclude (position) replace (
        case when position <= 6 then output_tokens + 7 else output_tokens end as output_tokens,
        case when position <= 6 then input_tokens + output_tokens + 7 else total_tokens end
            as total_tokens,
        case
            when position <= 6
                then least(getvariable('now'), received_at + interval 30 second)
            else received_at
        end as received_at
    )
from redelivered;

-- Past the retention of their customer when they arrive.
create table usage_expired as
with

short_lived_customers as (
    select
        customers.customer_id,
        customers.retention_cutoff,
        (
            select min(agents.agent_id) from agents
            where agents.customer_id = customers.customer_id
        ) as agent_id
    from customers
    where customers.tier in ('free', 'starter')
    order by customers.customer_id
    limit 12
)

select
    draw_id('expired', short_lived_customers.customer_id) as event_id,
    short_lived_customers.customer_id,
    short_lived_customers.agent_id,
    agents.agent_type_id,
    'gpt-4o' as model_used,
    800 as input_tokens,
    120 as output_tokens,
    920 as total_tokens,
    1400 as response_time_ms,
    plus_ms(
        short_lived_customers.retention_cutoff,
        -3600000 * (1 + 40 * draw('expired by', short_lived_customers.customer_id))
    ) as occurred_at,
    getvariable('now') - interval 2 hour as received_at
from short_lived_customers
inner join agents
    on short_lived_customers.agent_id = agents.agent_id;

-- What a faulty client sends: each row breaks one rule.
create table usage_bad as
with

spoiled as (
    select
        *,
        row_number() over (order by draw('spoil', number), number) as position
    from usage
    order by position
    limit 9
)

select
    * exclude (position) replace (
        case when position <> 1 then draw_id('spoiled', number) end as event_id,
        case when position = 2 then 0 else customer_id end as customer_id,
        case when position = 3 then -input_tokens else input_tokens end as input_tokens,
        case when position in (4, 5) then -1 else output_tokens end as output_tokens,
        case when position = 6 then 90000000 else response_time_ms end as response_time_ms,
        case
            when position = 7 then null
            when position in (8, 9) then getvariable('now') + to_days(cast(position as integer))
            else occurred_at
        end as occurred_at
    )
from spoiled;
