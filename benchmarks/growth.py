"""How the cost of an hourly run grows: with events, with customers, with the history before it."""

import math
from pathlib import Path
from shutil import rmtree

from benchmarks.generated import write_history, write_new_hour
from benchmarks.history import filled, with_new_hour
from benchmarks.measuring import Cost
from benchmarks.product import Product
from benchmarks.report import Curve, Report

LEAST_EVENTS, MOST_EVENTS, MOST_EVENTS_A_DAY = 100_000, 100_000_000, 2_000_000
CUSTOMERS, EVENTS_OF_CUSTOMERS = (10, 100, 1_000, 20_000), 1_000_000
DAYS, EVENTS_A_DAY = (1, 7, 30, 90, 365), 50_000


def run(folder: Path, share: float) -> Report:
    """Each point is a run in a home of its own. The share limits events, not customers or days."""
    report = Report("growth", "Growth of an hourly run", share)
    report.curves = [
        Curve(
            "events",
            "events that have arrived",
            [
                (events, *_parts(_first_run(folder, events)))
                for events in sizes_up_to(MOST_EVENTS * share)
            ],
        ),
        Curve(
            "customers",
            "customers, of as many events",
            [
                (customers, *_parts(_first_run(folder, events_of_customers(share), customers)))
                for customers in CUSTOMERS
            ],
        ),
        Curve(
            "history",
            "days of history before as many new events",
            [(days, *_parts(_later_run(folder, days, share))) for days in DAYS],
        ),
    ]
    return report


def sizes_up_to(most: float) -> list[int]:
    """From the least number of events to the most, about two to a decade and three at least."""
    steps = max(2, round(2 * math.log10(max(most, 1) / LEAST_EVENTS)))
    return [round(LEAST_EVENTS * 10 ** (step / 2)) for step in range(steps + 1)]


def events_of_customers(share: float) -> int:
    """Events of each point of the curve of customers: enough that all of them have some."""
    return max(200_000, round(EVENTS_OF_CUSTOMERS * share))


def _first_run(folder: Path, events: int, customers: int = 2000) -> Cost:
    product = _emptied(folder)
    days = -(-events // MOST_EVENTS_A_DAY)
    write_history(product.landing, days=days, events_a_day=events // days, customers=customers)
    return product.run("run", "hourly")


def _later_run(folder: Path, days: int, share: float) -> Cost:
    _emptied(folder)
    events = max(2_000, round(EVENTS_A_DAY * share))
    product = filled(folder / "home", days, events)
    hour = folder / "hour.parquet"
    write_new_hour(hour, events, seed=days)
    return with_new_hour(product, hour)


def _emptied(folder: Path) -> Product:
    rmtree(folder / "home", ignore_errors=True)
    return Product(folder / "home")


def _parts(cost: Cost) -> tuple[float, float, float]:
    return round(cost.cpu_seconds, 2), round(cost.wall_seconds, 2), round(cost.peak_mib)
