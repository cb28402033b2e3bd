"""Room that the lake and the marts take, against the raw events as gzipped NDJSON."""

from collections.abc import Iterable
from datetime import datetime, time
from pathlib import Path

from benchmarks.generated import BUSY_DAY, Traffic, write_events
from benchmarks.measuring import of_command
from benchmarks.product import Product
from benchmarks.report import Report

EVENTS, DELIVERIES = 5_000_000, 24


def run(folder: Path, share: float) -> Report:
    """A day in a delivery each hour, before and after the nightly run has merged its files."""
    report = Report("storage", "Room on disk", share)
    product = Product(folder / "home")
    events = max(1_000, round(EVENTS * share) // DELIVERIES) * DELIVERIES
    raw = 0
    stream = product.landing / "agent_usage_events"
    stream.mkdir(parents=True)
    for hour in range(DELIVERIES):
        text = folder / "events.ndjson"
        write_events(
            text,
            Traffic(
                events // DELIVERIES, since=_hour(hour), seconds=3600, duplicates=0.01, seed=hour
            ),
            options="format json",
        )
        # gzip itself, as it is by default: what DuckDB writes is larger.
        of_command(["/bin/gzip", text], environment={}, log=folder / "log")
        packed = text.with_name(f"{text.name}.gz").rename(stream / f"{hour:02}.ndjson.gz")
        raw += packed.stat().st_size
    product.run("run", "hourly")
    landed = _sizes(product)
    product.run("run", "nightly")
    merged = _sizes(product)
    report.add("lake, as it was landed hour by hour", "raw NDJSON, gzipped", landed["lake"] / raw)
    report.add("lake, merged by the nightly run", "raw NDJSON, gzipped", merged["lake"] / raw, 0.6)
    report.add("published marts", "raw NDJSON, gzipped", merged["marts"] / raw)
    report.measured = {
        "events": events,
        "bytes an event": {
            "raw NDJSON, gzipped": round(raw / events, 1),
            "lake, as landed": round(landed["lake"] / events, 1),
            "lake, merged": round(merged["lake"] / events, 1),
            "published marts": round(merged["marts"] / events, 1),
            "warehouse": round(merged["warehouse"] / events, 1),
        },
    }
    return report


def _hour(hour: int) -> datetime:
    return datetime.combine(BUSY_DAY, time(hour))


def _sizes(product: Product) -> dict[str, int]:
    def of(paths: Iterable[Path]) -> int:
        return sum(path.stat().st_size for path in paths if path.is_file())

    marts = (product.home / "snapshots" / "agentstats.duckdb").resolve()
    return {
        "lake": of((product.home / "lake").rglob("*")),
        "marts": of([marts]),
        "warehouse": of([product.home / "warehouse.duckdb"]),
    }
