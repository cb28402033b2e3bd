"""The hourly run with nothing new, against one parse of the same dbt project."""

from pathlib import Path

from benchmarks.generated import Traffic, write_customers, write_events
from benchmarks.measuring import interleaved, median, ratio
from benchmarks.product import Product
from benchmarks.report import Report


def run(folder: Path, share: float) -> Report:
    """After a day has been loaded; `dbt parse` reads nothing that an earlier one left."""
    report = Report("nothing-new", "An hourly run with nothing new", share)
    product = Product(folder / "home")
    write_customers(product.landing / "customers" / "all.parquet")
    write_events(product.landing / "agent_usage_events" / "a.parquet", Traffic(10_000))
    product.run("run", "hourly")
    costs = interleaved(
        {
            "run": lambda: product.run("run", "hourly"),
            "parse": lambda: product.dbt("parse", "--no-partial-parse"),
            "parse again": lambda: product.dbt("parse"),
        },
        rounds=3 if share < 1 else 7,
    )
    cpu = {name: [cost.cpu_seconds for cost in found] for name, found in costs.items()}
    report.add("run hourly, CPU", "dbt parse", ratio(cpu["run"], cpu["parse"]), 1.5)
    report.add("run hourly, CPU", "dbt parse, partial", ratio(cpu["run"], cpu["parse again"]))
    report.measured = {name: str(median(found)) for name, found in costs.items()}
    return report
