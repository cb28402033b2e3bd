"""Building all marts anew from a big lake: how much memory that takes at its peak."""

from pathlib import Path

from benchmarks.generated import write_history
from benchmarks.landing import LAND
from benchmarks.measuring import Cost
from benchmarks.product import Product
from benchmarks.report import Report

EVENTS, EVENTS_A_DAY, MOST_MIB = 100_000_000, 2_000_000, 6 * 1024


def run(folder: Path, share: float) -> Report:
    """The whole run, without a warehouse to begin with: as it is set, and with 2 GiB for DuckDB.

    The lake is of the product's own landing, with `EVENTS_A_DAY` on each date.
    """
    report = Report("rebuild", "Building the marts anew from the lake", share)
    product = Product(folder / "home")
    days = max(1, round(EVENTS * share / EVENTS_A_DAY))
    events_a_day = min(EVENTS_A_DAY, round(EVENTS * share))
    write_history(product.landing, days=days, events_a_day=events_a_day)
    product.program(LAND)
    usual = _rebuilt(product)
    report.add("peak memory", "6 GiB", usual.peak_mib / MOST_MIB, 1)
    report.measured = {"events": days * events_a_day, "as it is set": str(usual)}
    try:
        limited = _rebuilt(product, memory_limit="2GiB")
    except RuntimeError as error:
        report.add("rebuilds that end with DuckDB limited to 2 GiB", "1", 0, 1, least=True)
        report.measured["limited to 2 GiB"] = str(error)[-500:]
        return report
    report.add("rebuilds that end with DuckDB limited to 2 GiB", "1", 1, 1, least=True)
    report.add("peak memory, DuckDB limited to 2 GiB", "6 GiB", limited.peak_mib / MOST_MIB, 1)
    report.add(
        "CPU, DuckDB limited to 2 GiB", "as it is set", limited.cpu_seconds / usual.cpu_seconds
    )
    report.measured["limited to 2 GiB"] = str(limited)
    return report


def _rebuilt(product: Product, **settings: object) -> Cost:
    for path in product.home.glob("warehouse.duckdb*"):
        path.unlink()
    return product.run("run", "hourly", **settings)
