"""How far off forecasts were: what the nightly run measures over all series."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

import duckdb
import pytest

from api.forecasts import NORMAL
from installation import Installation, usage_event
from orchestration.warehouse.backtests import MEASURES, measured
from seasons import LAST, empty_warehouse, seasons, use

FIRST = date(2026, 2, 9)


@pytest.fixture
def warehouse() -> Iterator[duckdb.DuckDBPyConnection]:
    """A warehouse without a row."""
    with empty_warehouse() as connection:
        yield connection


def test_forecasts_of_a_flat_series_are_certain(warehouse: duckdb.DuckDBPyConnection) -> None:
    """20 days: six could be forecast from, of the last of them the day itself alone; today's rows
    are in none."""
    use(warehouse, 1, [[10, 20, 30, 40]] * 20)
    warehouse.execute(
        "insert into marts.usage_quarter_hourly values (1, '2026-03-10', '2026-03-10', 9, 90, 9)"
    )
    found = measured(warehouse, LAST)
    assert {ahead for _, ahead in found} == {1, 2, 3, 4, 5, 6}
    for metric in MEASURES:
        for ahead in range(1, 7):
            errors = found[metric, ahead]
            assert (errors.series, errors.forecasts, errors.covered()) == (1, 7 - ahead, 7 - ahead)
            assert errors.bounds == NORMAL
            assert max(errors.percents) < 1e-9


def test_what_was_sure_and_did_not_come_is_not_covered(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    """Nothing came on the last day of a flat series; every forecast that reaches it missed it."""
    use(warehouse, 1, [[10, 20, 30, 40]] * 19 + [[0, 0, 0, 0]])
    found = measured(warehouse, LAST)
    for ahead in range(1, 7):
        errors = found["total_tokens", ahead]
        assert errors.forecasts - errors.covered() == 1


def test_a_short_or_empty_warehouse_gives_nothing(warehouse: duckdb.DuckDBPyConnection) -> None:
    """14 whole days, from whose end on nothing came yet."""
    assert measured(warehouse, LAST) == {}
    use(warehouse, 1, [[10, 20, 30, 40]] * 14)
    assert measured(warehouse, LAST) == {}


def test_four_of_five_periods_are_inside_their_interval(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    """Of 25 customers with seasons: 75 to 85 %, by the bounds that other customers gave, for a day,
    a week, two and four. The weekdays make days better than the mean of 28 days does; and looking
    for a trend where there is none makes the months worse by little."""
    for seed in range(25):
        use(warehouse, seed + 1, seasons(seed, 100))
    found = measured(warehouse, LAST)
    for metric in MEASURES:
        for ahead in (1, 2, 7, 14, 28):
            errors = found[metric, ahead]
            assert errors.series == 25
            assert errors.forecasts == 25 * (100 - 14 - ahead + 1)
            coverage = errors.covered() / errors.forecasts
            assert 0.75 <= coverage <= 0.85, (metric, ahead, coverage)
            median, of_mean = (
                sorted(percents)[len(percents) // 2]
                for percents in (errors.percents, errors.percents_of_mean)
            )
            assert median <= 1.15 * of_mean, (metric, ahead, median, of_mean)
    day = found["total_tokens", 1]
    assert sorted(day.percents)[1000] < 0.95 * sorted(day.percents_of_mean)[1000]


def test_the_order_of_rows_does_not_matter(warehouse: duckdb.DuckDBPyConnection) -> None:
    """The same marts give the same figures, to the last bit."""
    for seed in range(3):
        use(warehouse, seed + 1, seasons(seed, 40))
    first = measured(warehouse, LAST)
    warehouse.execute(
        "create or replace table marts.usage_quarter_hourly as "
        "from marts.usage_quarter_hourly order by hash(bucket_start)"
    )
    assert measured(warehouse, LAST) == first


def test_the_nightly_run_measures_and_publishes(installation: Installation) -> None:
    """Every metric of a customer with an event a day; the hourly run leaves what was measured."""
    days = [FIRST + timedelta(days=n) for n in range(21)]
    events = [
        usage_event(n, occurred_at=f"{day}T08:00:00Z", received_at=None)
        for n, day in enumerate(days)
    ]
    installation.set_clock(f"{days[-1]}T12:00:00Z")
    installation.drop("agent_usage_events", "a.ndjson", events)
    installation.run()
    rows = "select metric, days_ahead, series_count, forecast_count from marts.forecast_backtest"
    assert installation.marts(rows) == []
    installation.run("nightly")
    # From the second to the last day but today there are 19 whole days: 5 to forecast from.
    found = {tuple(row.values()) for row in installation.marts(rows)}
    assert found == {(metric, ahead, 1, 6 - ahead) for metric in MEASURES for ahead in range(1, 6)}
    installation.drop(
        "agent_usage_events", "b.ndjson", [usage_event(99, occurred_at=f"{days[-1]}T09:00:00Z")]
    )
    installation.run()
    assert {tuple(row.values()) for row in installation.marts(rows)} == found
