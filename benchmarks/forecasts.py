"""Forecasts of the past against what came, and against simpler ways to forecast."""

import shutil
from collections import defaultdict
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from statistics import median

import duckdb

from api.forecasts import INTERVAL_PERCENT, DailySeries, History
from benchmarks.product import Product
from benchmarks.report import Report
from orchestration.publication.publish import current_snapshot
from orchestration.warehouse.backtests import MEASURES, Errors, measured, series_of_customers
from seasons import LAST, empty_warehouse, seasons, use

TRACES = Path(__file__).resolve().parents[2] / "shared" / "data"
METRIC = "total_tokens"
DAYS_AHEAD = (1, 7, 14, 28)
GUIDE_DAYS = 30
LEAST_COVERAGE, MOST_COVERAGE = 75, 85


def run(folder: Path, share: float) -> Report:
    """On generated seasons, on the sample of the demo, and on real traces where they are."""
    report = Report("forecasts", "Forecasts against what came", share)
    with empty_warehouse() as warehouse:
        for customer in range(1, max(6, round(40 * share)) + 1):
            use(warehouse, customer, seasons(customer, 120))
        _compare(report, "seasons", warehouse, LAST, has_goals=True)
    demo = Product(folder / "demo")
    demo.run("demo", "--no-serve", now="2026-11-22T12:00:00Z")
    _compare_snapshot(report, "demo", demo, has_goals=True)
    if TRACES.is_dir():
        traces = Product(folder / "traces")
        for file in sorted((TRACES / "landing").glob("*/*")):
            dropped = traces.landing / file.relative_to(TRACES / "landing")
            dropped.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, dropped)
        traces.run("run", "hourly", now="2026-03-01T12:00:00Z")
        # Bursts with weeks of nothing between: no interval that has the mean in it is left by
        # every fifth day.
        _compare_snapshot(report, "traces", traces, has_goals=False)
    return report


def _compare_snapshot(report: Report, sample: str, product: Product, *, has_goals: bool) -> None:
    path = current_snapshot(product.home / "snapshots")
    assert path is not None
    with duckdb.connect(str(path), read_only=True) as snapshot:
        (last,) = snapshot.execute(
            "select max(occurred_date) - 1 from marts.usage_quarter_hourly"
        ).fetchall()[0]
        _compare(report, sample, snapshot, last, has_goals=has_goals)


def _compare(
    report: Report,
    sample: str,
    warehouse: duckdb.DuckDBPyConnection,
    last: date,
    *,
    has_goals: bool,
) -> None:
    found = measured(warehouse, last)
    simpler = _errors_of_ways(warehouse, last)
    for ahead in DAYS_AHEAD:
        errors = found[METRIC, ahead]
        coverage = 100 * errors.covered() / errors.forecasts
        what = f"{sample}, {ahead} d: share inside the interval"
        for limit, least in ((MOST_COVERAGE, False), (LEAST_COVERAGE, True)):
            goal = limit / INTERVAL_PERCENT if has_goals else None
            report.add(
                what, f"{INTERVAL_PERCENT} %", coverage / INTERVAL_PERCENT, goal, least=least
            )
        ours = median(simpler[ahead]["forecast"])
        for way in ("mean of 28 days", "guide's formula"):
            ratio = ours / max(median(simpler[ahead][way]), 1e-9)
            report.add(f"{sample}, {ahead} d: median error", way, ratio)
        report.measured[f"{sample}, {ahead} d"] = _in_words(errors, simpler[ahead])


def _errors_of_ways(
    warehouse: duckdb.DuckDBPyConnection, last: date
) -> Mapping[int, Mapping[str, list[float]]]:
    """By days ahead and way: errors in percent of what came, from each midnight with 30 days
    before it."""
    position = list(MEASURES).index(METRIC)
    found: dict[int, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for first, days in series_of_customers(warehouse, last):
        sums = [sum(day[position]) for day in days]
        series = DailySeries(sums, first.toordinal() + len(sums) - 1)
        history = History(series, series)
        for origin in range(GUIDE_DAYS, len(sums)):
            outlook = history.outlook(origin)
            guide = sum(sums[origin - GUIDE_DAYS : origin]) / GUIDE_DAYS
            for ahead in DAYS_AHEAD:
                came = sum(sums[origin : origin + ahead])
                if origin + ahead > len(sums) or came == 0:
                    continue
                for way, expected in (
                    ("forecast", outlook.forecast(ahead).expected),
                    ("mean of 28 days", history.mean_of(origin, ahead)),
                    ("guide's formula", guide * ahead),
                ):
                    found[ahead][way].append(100 * abs(came - expected) / came)
    return found


def _in_words(errors: Errors, ways: Mapping[str, list[float]]) -> str:
    coverage = 100 * errors.covered() / errors.forecasts
    medians = ", ".join(f"{way} {median(found):.1f} %" for way, found in ways.items())
    return f"{errors.series} series, {coverage:.1f} % inside; median error: {medians}"
