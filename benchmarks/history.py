"""An hourly run with new events, after a short history and after a long one."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks.generated import write_history, write_new_hour
from benchmarks.measuring import Cost, interleaved, median, ratio
from benchmarks.product import Product
from benchmarks.report import Report

EVENTS, SHORT, LONG, ROUNDS = 50_000, 7, 365, 3


def run(folder: Path, share: float) -> Report:
    """Both get the same new events; some of them are late, so four dates are rebuilt."""
    report = Report("history", "An hourly run after 7 days and after 365", share)
    events = max(2_000, round(EVENTS * share))
    products = {days: filled(folder / str(days), days, events) for days in (SHORT, LONG)}
    hours = [folder / f"hour-{number}.parquet" for number in range(ROUNDS + 1)]
    for number, hour in enumerate(hours):
        write_new_hour(hour, events, seed=number)
    for product in products.values():
        with_new_hour(product, hours[0])  # what comes after a rebuild of everything is warm-up
    waiting = {days: iter(hours[1:]) for days in products}
    costs = interleaved(
        {
            str(days): partial(_next_hour, product, waiting[days])
            for days, product in products.items()
        },
        rounds=ROUNDS,
    )
    for what, limit in (("cpu_seconds", 1.2), ("peak_mib", 1.2), ("wall_seconds", None)):
        long, short = (
            [float(getattr(cost, what)) for cost in costs[str(days)]] for days in (LONG, SHORT)
        )
        name = f"{LONG} days of history, {what.replace('_', ' ')}"
        report.add(name, f"{SHORT} days", ratio(long, short), limit)
    report.measured = {f"{days} days": str(median(found)) for days, found in costs.items()}
    return report


def filled(home: Path, days: int, events_a_day: int) -> Product:
    """An installation with so many days in its marts, all of them published."""
    product = Product(home)
    write_history(product.landing, days=days, events_a_day=events_a_day)
    product.run("run", "hourly")
    return product


def _next_hour(product: Product, hours: Iterator[Path]) -> Cost:
    return with_new_hour(product, next(hours))


def with_new_hour(product: Product, hour: Path) -> Cost:
    """The cost of a run that finds this file."""
    waiting = product.landing / "agent_usage_events" / hour.name
    waiting.parent.mkdir(parents=True, exist_ok=True)
    waiting.hardlink_to(hour)
    return product.run("run", "hourly")
