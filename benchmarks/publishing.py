"""Publishing marts of which one day has changed: few rows, many rows, and a copy of the file."""

import json
from pathlib import Path
from statistics import median

from benchmarks.generated import BUSY_DAY, Traffic, write_events
from benchmarks.measuring import of_command, ratio
from benchmarks.product import Product
from benchmarks.report import Report

FEW_ROWS, MANY_ROWS, EVENTS_A_DAY, ROUNDS = 10_000_000, 50_000_000, 100_000, 3

# What a file touched is rolled up, and then nothing but the publication is measured.
LAND_AND_ROLL_UP = """
from contextlib import closing
from orchestration.storage.ledger import Ledger
from orchestration.pipeline import clear_scratch, land, roll_up
from orchestration.settings import Settings

settings = Settings()
clear_scratch(settings)
with closing(Ledger(settings.ledger_path)) as ledger:
    land(settings, ledger)
    done = roll_up(settings, ledger)
    assert not done.failed, done.failed
"""
# The marts of the one day that there is, on so many days before it too.
REPEAT = """
import sys
from orchestration.warehouse.rollups import open_warehouse
from orchestration.settings import Settings

with open_warehouse(Settings()) as warehouse:
    tables = warehouse.execute(
        "select table_name, bool_or(column_name = 'bucket_start') from duckdb_columns()"
        " where schema_name = 'marts' group by all having bool_or(column_name = 'occurred_date')"
    ).fetchall()
    rows = sum(
        warehouse.execute(f"select count(*) from marts.{table}").fetchall()[0][0]
        for table, _ in tables
    )
    for table, has_buckets in tables:
        moved = "occurred_date - cast(day as integer) as occurred_date"
        if has_buckets:
            moved += ", bucket_start - to_days(cast(day as integer)) as bucket_start"
        warehouse.execute(
            f"insert into marts.{table} select made.* replace ({moved})"
            f" from marts.{table} as made, range(1, ?) as days(day)",
            [int(sys.argv[1]) // rows],
        )
    warehouse.execute("checkpoint")
"""
PUBLISH = """
import json, sys, time
from contextlib import closing
from pathlib import Path
from orchestration.storage.ledger import Ledger
from orchestration.pipeline import publish_if_changed
from orchestration.settings import Settings

settings = Settings()
with closing(Ledger(settings.ledger_path)) as ledger:
    began = time.perf_counter(), time.process_time()
    snapshot = publish_if_changed(settings, ledger, run_id="publish")
    seconds = time.perf_counter() - began[0], time.process_time() - began[1]
assert snapshot is not None
Path(sys.argv[1]).write_text(
    json.dumps({"wall": seconds[0], "CPU": seconds[1], "rows": snapshot.rows,
                "bytes": snapshot.size_bytes, "path": str(snapshot.path)})
)
"""
COPY_AND_SYNC = 'cp "$0" "$1" && sync "$1"'


def run(folder: Path, share: float) -> Report:
    """Each round changes the newest day of both; a copy with fsync of each file comes after."""
    report = Report("publish", "Publishing when one day has changed", share)
    products = {
        rows: _filled(folder / str(rows), max(100_000, round(rows * share)), share)
        for rows in (FEW_ROWS, MANY_ROWS)
    }
    found: dict[int, list[dict[str, float]]] = {rows: [] for rows in products}
    copies: dict[str, list[float]] = {"wall": [], "CPU": []}
    for number in range(ROUNDS):
        for rows in list(products)[:: 1 if number % 2 == 0 else -1]:
            product = products[rows]
            _change_a_day(product, number, share)
            published = _publish(product)
            found[rows].append(published)
            if rows == MANY_ROWS:
                cost = of_command(
                    ["sh", "-c", COPY_AND_SYNC, str(published["path"]), folder / "copy"],
                    environment={"PATH": "/usr/bin:/bin"},
                    log=folder / "log",
                )
                copies["wall"].append(cost.wall_seconds)
                copies["CPU"].append(cost.cpu_seconds)
    many, few = f"{MANY_ROWS * share / 1e6:g} M rows", f"{FEW_ROWS * share / 1e6:g} M rows"
    for measure, limit in (("wall", 4), ("CPU", None)):
        of_many = [published[measure] for published in found[MANY_ROWS]]
        of_few = [published[measure] for published in found[FEW_ROWS]]
        report.add(f"publish {many}, {measure}", few, ratio(of_many, of_few), 3)
        report.add(
            f"publish {many}, {measure}", "cp with fsync", ratio(of_many, copies[measure]), limit
        )
    for publications in found.values():
        report.measured[f"{publications[-1]['rows']:,} rows"] = {
            name: round(median(each[name] for each in publications), 3)
            for name in ("wall", "CPU", "bytes")
        }
    report.measured["cp with fsync"] = {
        measure: round(median(seconds), 3) for measure, seconds in copies.items()
    }
    return report


def _filled(home: Path, rows: int, share: float) -> Product:
    product = Product(home)
    events = Traffic(max(2_000, round(EVENTS_A_DAY * share)))
    write_events(product.landing / "agent_usage_events" / "a.parquet", events)
    product.program(LAND_AND_ROLL_UP)
    product.program(REPEAT, str(rows))
    _publish(product)
    return product


def _change_a_day(product: Product, number: int, share: float) -> None:
    events = Traffic(max(200, round(EVENTS_A_DAY * share / 10)), since=BUSY_DAY, seed=1 + number)
    write_events(product.landing / "agent_usage_events" / f"{number}.parquet", events)
    product.program(LAND_AND_ROLL_UP)


def _publish(product: Product) -> dict[str, float]:
    target = product.home / "published.json"
    product.program(PUBLISH, target)
    published: dict[str, float] = json.loads(target.read_text())
    return published
