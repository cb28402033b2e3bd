with events_in_window as (
    {{ response_times_in_window('model') | indent(4) }}
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

select
    *,
    count(*) over () as rows_in_all,
from models
qualify row_number() over (order by count desc, model) <= {{ most_rows }}
order by count desc, model
