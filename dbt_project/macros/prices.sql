{# What a quarter hour costs: the price of each token class is worked out before the models run, and
   looked up here. See docs/money.md. #}

{# The token classes that have a price each. #}
{% macro priced_classes() -%}
    {{ return(token_classes().keys() | list) }}
{%- endmacro %}

{# Events with the greatest threshold of their model's prices that their input exceeds. The tokens of
   a row that sums up several requests may be of requests that exceed nothing. #}
{% macro with_contexts(events) -%}
    select
        found.*,
        case when model_requests > 1 then 0 else exceeded_tokens end as context_over_tokens,
        coalesce(model_requests > 1 and exceeded_tokens > 0, false) as is_context_assumed
    from (
        select
            events.*,
            coalesce(own.context_over_tokens, everybodys.context_over_tokens, 0) as exceeded_tokens
        from {{ events }} as events
        left join {{ source('raw', 'price_contexts') }} as everybodys
            on everybodys.customer_id = 0
            and events.provider = everybodys.provider
            and events.model = everybodys.model
            and events.input_tokens >= everybodys.from_tokens
            and events.input_tokens <= everybodys.to_tokens
        left join {{ source('raw', 'price_contexts') }} as own
            on events.customer_id = own.customer_id
            and events.provider = own.provider
            and events.model = own.model
            and events.input_tokens >= own.from_tokens
            and events.input_tokens <= own.to_tokens
    ) as found
{%- endmacro %}

{# Sums of this run's events, and those of the mart itself for the dates of which only prices changed:
   what is counted is the same, and the lake need not be read for it. Spark drops a date before it
   writes it, so there the dates are read from the lake. #}
{% macro with_repriced(sums) -%}
    {%- if is_incremental() and target.type == 'duckdb' -%}
    (
        select * from {{ sums }}
        union all by name
        select * exclude ({{ error_cost_measures() | join(', ') }}, rate_id) from {{ this }}
        where occurred_date in (select occurred_date from {{ source('raw', 'repriced_dates') }})
    )
    {%- else -%}
    {{ sums }}
    {%- endif -%}
{%- endmacro %}

{# Rows of this run's events, and those that the mart has of the dates of which only prices changed:
   prices change nothing in them, and the lake is not read for those dates. #}
{% macro with_rows_of_repriced_dates(rows) -%}
    select * from {{ rows }}
    {%- if is_incremental() and target.type == 'duckdb' %}
    union all by name
    select * from {{ this }}
    where occurred_date in (select occurred_date from {{ source('raw', 'repriced_dates') }})
    {%- endif -%}
{%- endmacro %}

{# Sums of quarter hours, of so many `events` each, with the rate that holds for them and what they
   cost by it. #}
{% macro with_costs(quarter_hours, events) -%}
    {%- set joined -%}
        on {owner}
            and sums.provider = {name}.provider
            and sums.model = {name}.model
            and sums.processing = {name}.processing
            and sums.context_over_tokens = {name}.context_over_tokens
            and sums.bucket_start >= {name}.valid_from
            and sums.bucket_start < {name}.valid_to
            and {{ quarter_of_day('sums.bucket_start') }} >= {name}.quarter_from
            and {{ quarter_of_day('sums.bucket_start') }} < {name}.quarter_to
    {%- endset -%}
    select
        rated.*,
        {{ cost_of_classes('rated', 'rates') }} as cost_usd,
        {{ unpriced_tokens_of_classes('rated', 'rates') }} as unpriced_tokens,
        {{ assumed_tokens_of_classes('rated', 'rates') }} as assumed_price_tokens,
        cast(case when rates.has_left_out_fee then rated.{{ events }} else 0 end as bigint)
            as left_out_fee_events
    from (
        select
            sums.*,
            coalesce(own.rate_id, everybodys.rate_id, 0) as rate_id
        from {{ quarter_hours }} as sums
        left join {{ source('raw', 'rates') }} as everybodys
            {{ joined | replace('{owner}', 'everybodys.customer_id = 0') | replace('{name}', 'everybodys') }}
        left join {{ source('raw', 'rates') }} as own
            {{ joined | replace('{owner}', 'sums.customer_id = own.customer_id') | replace('{name}', 'own') }}
    ) as rated
    left join ({{ prices_of_rates(source('raw', 'rates'), priced_classes()) }}) as rates
        on rated.rate_id = rates.rate_id
{%- endmacro %}

{# The prices that a `rate_id` stands for, once, however often they hold. #}
{% macro prices_of_rates(rates, token_classes) -%}
    select distinct
        rate_id,
        {%- for class in token_classes %}
        usd_{{ class }},
        assumed_{{ class }},
        {%- endfor %}
        has_left_out_fee
    from {{ rates }}
{%- endmacro %}

{# The number of a quarter hour in its UTC day, from 0. #}
{% macro quarter_of_day(bucket_start) -%}
    cast(extract(hour from {{ bucket_start }}) as int) * 4
    + cast(floor(extract(minute from {{ bucket_start }}) / 15) as int)
{%- endmacro %}

{# US dollars; what has no price costs nothing here, and is counted as unpriced. Each step is cast, or
   an engine would give decimals away for digits before the point. #}
{% macro cost_of_classes(sums, rates) -%}
    {%- set cost = namespace(so_far='') -%}
    {%- for class in priced_classes() -%}
        {%- set of_class -%}
            cast({{ sums }}.class_{{ class }}_tokens as decimal(19, 0))
            * coalesce({{ rates }}.usd_{{ class }}, cast(0 as decimal(18, 12)))
        {%- endset -%}
        {%- if cost.so_far -%}
            {%- set cost.so_far = 'cast(' ~ cost.so_far ~ ' + ' ~ of_class ~ ' as decimal(36, 12))' -%}
        {%- else -%}
            {%- set cost.so_far = 'cast(' ~ of_class ~ ' as decimal(36, 12))' -%}
        {%- endif -%}
    {%- endfor -%}
    cast({{ cost.so_far }} as decimal(38, 12))
{%- endmacro %}

{% macro unpriced_tokens_of_classes(sums, rates) -%}
    cast(
        {{ sums }}.unclassed_input_tokens + {{ sums }}.unclassed_output_tokens
        {%- for class in priced_classes() %}
            + case when {{ rates }}.usd_{{ class }} is null then {{ sums }}.class_{{ class }}_tokens else 0 end
        {%- endfor %}
        as bigint
    )
{%- endmacro %}

{# Priced tokens of which the price is that of standard processing instead of their own, or of a
   context that is not known. #}
{% macro assumed_tokens_of_classes(sums, rates) -%}
    cast(
        0
        {%- for class in priced_classes() %}
            + case
                when {{ rates }}.usd_{{ class }} is null then 0
                when {{ sums }}.is_context_assumed or {{ rates }}.assumed_{{ class }} then {{ sums }}.class_{{ class }}_tokens
                else 0
            end
        {%- endfor %}
        as bigint
    )
{%- endmacro %}

{# Additive measures of money, and the sums of each under its own name. #}
{% macro cost_measures() -%}
    {{ return([
        'cost_usd', 'unpriced_tokens', 'assumed_price_tokens', 'left_out_fee_events',
        'reported_cost_usd', 'reported_cost_events',
    ]) }}
{%- endmacro %}

{% macro error_cost_measures() -%}
    {{ return(['cost_usd', 'unpriced_tokens', 'assumed_price_tokens', 'left_out_fee_events']) }}
{%- endmacro %}

{# What senders say that it cost, and of how many events. #}
{% macro reported_cost_measures() -%}
    {{ return(['reported_cost_usd', 'reported_cost_events']) }}
{%- endmacro %}

{% macro summed_costs(measures) -%}
    {%- for measure in measures %}
    {{ sum_of_usd(measure) if measure.endswith('_usd') else 'cast(sum(' ~ measure ~ ') as bigint)' }} as {{ measure }}{{ ',' if not loop.last }}
    {%- endfor %}
{%- endmacro %}

{# A sum of US dollars as the marts have it; 0 of nothing. #}
{% macro sum_of_usd(amount) -%}
    cast(coalesce(sum({{ amount }}), 0) as decimal(38, 12))
{%- endmacro %}

{# Quarter hours by token class and price: one row for each class with tokens. Tokens of no class are
   those of `input` and `output`, without a price.

   Rendered by dbt, and with bare Jinja by publication, which shows it as a view. #}
{% macro costs_by_class(usage, rates, token_classes) -%}
    select
        by_class.*,
        cast(
            cast(tokens as decimal(19, 0)) * coalesce(usd_per_token, cast(0 as decimal(18, 12)))
            as decimal(38, 12)
        ) as cost_usd,
        case when usd_per_token is null then tokens else 0 end as unpriced_tokens,
        case when usd_per_token is not null and is_price_assumed then tokens else 0 end
            as assumed_price_tokens
    from (
        select
            usage.customer_id,
            usage.agent_id,
            usage.agent_type_id,
            usage.model,
            usage.provider,
            usage.processing,
            usage.context_over_tokens,
            classes.token_class,
            case classes.place
                {%- for class in token_classes %}
                when {{ loop.index }} then usage.class_{{ class }}_tokens
                {%- endfor %}
                when 101 then usage.unclassed_input_tokens
                when 102 then usage.unclassed_output_tokens
            end as tokens,
            case classes.place
                {%- for class in token_classes %}
                when {{ loop.index }} then rates.usd_{{ class }}
                {%- endfor %}
            end as usd_per_token,
            usage.is_context_assumed or coalesce(case classes.place
                {%- for class in token_classes %}
                when {{ loop.index }} then rates.assumed_{{ class }}
                {%- endfor %}
            end, false) as is_price_assumed,
            usage.bucket_start,
            usage.occurred_date
        from {{ usage }} as usage
        left join ({{ prices_of_rates(rates, token_classes) }}) as rates
            on usage.rate_id = rates.rate_id
        cross join (
            {%- for class in token_classes %}
            select {{ loop.index }} as place, '{{ class }}' as token_class union all
            {%- endfor %}
            select 101 as place, 'input' as token_class union all
            select 102 as place, 'output' as token_class
        ) as classes
    ) as by_class
    where tokens > 0
{%- endmacro %}
