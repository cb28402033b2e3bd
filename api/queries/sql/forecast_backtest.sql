-- How far off forecasts were, by metric and how many dates ahead, over all customers: nothing in
-- it is of one of them.
select
    metric,
    days_ahead,
    forecast_count,
    covered_count,
    low_bound,
    high_bound,
from marts.forecast_backtest
order by metric, days_ahead
