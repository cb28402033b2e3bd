"""How far off forecasts were: those that would have been made of the past, against what came.

Every customer's sums of messages, tokens and cost are forecast as `api.forecasts` does it, from
each whole UTC day on, at one of four times of day in turn, for 1 to 31 dates ahead. The errors of
all series, each in the spread of its series, give the bounds of the interval. How many were inside
is counted with the bounds of the others: of five parts of the customers, each part with those that
the other four give.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, timedelta
from itertools import groupby

import duckdb

from api.forecasts import (
    LEAST_DAYS,
    MOST_DAYS,
    MOST_DAYS_AHEAD,
    NOISE,
    Bounds,
    DailySeries,
    History,
    bounds_of,
)
from orchestration.settings import Settings
from orchestration.storage.ledger import Ledger
from orchestration.warehouse import rollups

MEASURES = {
    "total_messages": "message_count",
    "total_tokens": "total_tokens",
    "cost_usd": "cost_usd",
}
"""The sums that are forecast, by the names of their metrics."""
LONGEST_SERIES = 2 * MOST_DAYS
PARTS = 5
TIMES_OF_DAY = 4

_QUARTERS_OF_DAYS = ", ".join(
    f"coalesce(sum({measure}) filter (where hour(bucket_start) // 6 = {quarter}), 0)::double"
    for measure in MEASURES.values()
    for quarter in range(TIMES_OF_DAY)
)


@dataclass
class Errors:
    """Of one metric and so many dates ahead: errors in spreads, by part of the customers."""

    series: int = 0
    in_spreads: list[list[float]] = field(default_factory=lambda: [[] for _ in range(PARTS)])
    certain: list[bool] = field(default_factory=list)
    """Whether what came was the forecast, where that had no spread."""
    percents: list[float] = field(default_factory=list)
    percents_of_mean: list[float] = field(default_factory=list)

    @property
    def forecasts(self) -> int:
        """How many forecasts were compared."""
        return len(self.certain) + sum(map(len, self.in_spreads))

    @property
    def bounds(self) -> Bounds:
        """Where the middle of the errors of all parts lie."""
        return bounds_of([error for part in self.in_spreads for error in part])

    def covered(self) -> int:
        """How many were inside the interval that the other parts give."""
        inside = sum(self.certain)
        for part, errors in enumerate(self.in_spreads):
            others = [e for n, of_part in enumerate(self.in_spreads) if n != part for e in of_part]
            bounds = bounds_of(others)
            # The interval always has the expected value in it.
            low, high = min(bounds.low, 0.0), max(bounds.high, 0.0)
            inside += sum(low <= error <= high for error in errors)
        return inside


def backtest(settings: Settings, ledger: Ledger) -> int:
    """Measure anew, over all customers in the marts, up to the last date that is loaded whole.

    Returns how many forecasts were compared.
    """
    now = settings.clock()
    loaded_at = ledger.newest_load_at(now)
    with rollups.open_warehouse(settings) as warehouse:
        found: Mapping[tuple[str, int], Errors] = {}
        if loaded_at is not None and _has_marts(warehouse):
            found = measured(warehouse, loaded_at.astimezone(UTC).date() - timedelta(days=1))
        rows = [
            (
                *(metric, ahead, errors.series, errors.forecasts, errors.covered()),
                *(errors.bounds.low, errors.bounds.high),
                *map(_median, (errors.percents, errors.percents_of_mean)),
                now.replace(tzinfo=None),
            )
            for (metric, ahead), errors in found.items()
        ]
        warehouse.execute("begin")
        warehouse.execute("delete from raw.forecast_backtest")
        if rows:
            warehouse.executemany(
                f"insert into raw.forecast_backtest values ({', '.join('?' * len(rows[0]))})", rows
            )
        warehouse.execute("commit")
    return sum(errors.forecasts for errors in found.values())


def measured(warehouse: duckdb.DuckDBPyConnection, last: date) -> Mapping[tuple[str, int], Errors]:
    """The errors of forecasts of the past up to the UTC date `last`, by metric and days ahead."""
    found: dict[tuple[str, int], Errors] = defaultdict(Errors)
    for number, (first, days) in enumerate(series_of_customers(warehouse, last)):
        for position, metric in enumerate(MEASURES):
            _compare(metric, number % PARTS, first, [day[position] for day in days], found)
    return found


Day = Sequence[Sequence[float]]
"""By measure, the sums of the four quarters of a day."""


def series_of_customers(
    warehouse: duckdb.DuckDBPyConnection, last: date
) -> Iterator[tuple[date, list[Day]]]:
    """Of each customer, in the order of their ids, the first of its dates and the days from then
    to `last`; that of its first event is not whole, and not among them."""
    rows = warehouse.execute(
        f"select customer_id, occurred_date, {_QUARTERS_OF_DAYS} "
        "from marts.usage_quarter_hourly where occurred_date <= ? "
        "group by customer_id, occurred_date order by customer_id, occurred_date",
        [last],
    ).fetchall()
    nothing: Day = [[0.0] * TIMES_OF_DAY] * len(MEASURES)
    for _, of_customer in groupby(rows, key=lambda row: row[0]):
        by_date = {
            row[1]: [
                row[first : first + TIMES_OF_DAY] for first in range(2, len(row), TIMES_OF_DAY)
            ]
            for row in of_customer
        }
        earliest = last - timedelta(days=LONGEST_SERIES - 1)
        first = max(min(by_date) + timedelta(days=1), earliest)
        dates = [first + timedelta(days=step) for step in range((last - first).days + 1)]
        yield first, [by_date.get(day, nothing) for day in dates]


def _compare(
    metric: str,
    part: int,
    first: date,
    days: Sequence[Sequence[float]],
    found: dict[tuple[str, int], Errors],
) -> None:
    """Add the errors of one series; `days` are the quarters of each of its days, from `first`."""
    sums = [sum(day) for day in days]
    last = first.toordinal() + len(days) - 1
    totals = DailySeries(sums, last)
    histories = [
        History(totals, DailySeries([sum(day[time:]) for day in days], last))
        for time in range(TIMES_OF_DAY)
    ]
    compared = set()
    for origin in range(LEAST_DAYS, len(days)):
        time = origin % TIMES_OF_DAY
        history = histories[time]
        outlook = history.outlook(origin)
        came = sum(days[origin][time:])
        for ahead in range(1, min(MOST_DAYS_AHEAD, len(days) - origin) + 1):
            if ahead > 1:
                came += sums[origin + ahead - 1]
            forecast = outlook.forecast(ahead)
            errors = found[metric, ahead]
            compared.add(ahead)
            if forecast.spread > 0:
                error = (came - forecast.expected) / forecast.spread
                errors.in_spreads[part].append(error)
            else:
                errors.certain.append(abs(came - forecast.expected) <= NOISE * max(sums))
            if came > 0:
                errors.percents.append(100 * abs(came - forecast.expected) / came)
                by_mean = history.mean_of(origin, ahead)
                errors.percents_of_mean.append(100 * abs(came - by_mean) / came)
    for ahead in compared:
        found[metric, ahead].series += 1


def _median(values: Sequence[float]) -> float | None:
    return statistics.median(values) if values else None


def _has_marts(warehouse: duckdb.DuckDBPyConnection) -> bool:
    (count,) = warehouse.execute(
        "select count(*) from duckdb_tables() "
        "where schema_name = 'marts' and table_name = 'usage_quarter_hourly'"
    ).fetchall()[0]
    return bool(count)
