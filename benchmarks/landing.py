"""Landing a file, against DuckDB copying the same file to sorted Parquet."""

from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.generated import Traffic, write_events
from benchmarks.measuring import Cost, interleaved, median, ratio
from benchmarks.product import Product
from benchmarks.report import Report

EVENTS, ROUNDS = 5_000_000, 3
# Left alone, the reader of JSON takes it from the first rows that every time has a fraction, and
# fails at the first that has none.
JSON_COLUMNS = (
    "event_id: 'varchar', customer_id: 'bigint', agent_id: 'bigint', agent_type_id: 'bigint', "
    "model_used: 'varchar', input_tokens: 'bigint', output_tokens: 'bigint', "
    "total_tokens: 'bigint', response_time_ms: 'bigint', "
    "occurred_at: 'timestamp', received_at: 'timestamp'"
)
FORMATS = {
    "parquet": ("parquet", "format parquet", "read_parquet('{path}')"),
    "ndjson": (
        "ndjson",
        "format json",
        f"read_json('{{path}}', format='newline_delimited', columns={{{{{JSON_COLUMNS}}}}})",
    ),
    "csv": ("csv", "format csv, header", "read_csv('{path}', header=true)"),
}

# The step of the job alone: its start is that of the whole run, which has a goal of its own.
LAND = """
from contextlib import closing
from orchestration.storage.ledger import Ledger
from orchestration.pipeline import clear_scratch, land
from orchestration.settings import Settings

settings = Settings()
clear_scratch(settings)
with closing(Ledger(settings.ledger_path)) as ledger:
    land(settings, ledger)
"""
COPY = """
import duckdb, sys
with duckdb.connect() as connection:
    connection.execute("set TimeZone = 'UTC'; set threads = 2")
    connection.execute(
        f"copy (select * from {sys.argv[1]} order by customer_id, occurred_at)"
        f" to '{sys.argv[2]}' (format parquet, compression zstd)"
    )
"""


def run(folder: Path, share: float) -> Report:
    """Each format in turn; every landing has an empty lake before it."""
    report = Report("landing", "Landing one file", share)
    events = max(10_000, round(EVENTS * share))
    for name, (ending, options, reader) in FORMATS.items():
        source = folder / f"events.{ending}"
        write_events(source, Traffic(events), options=options)
        costs = interleaved(
            {
                "landing": partial(_landed, folder, source),
                "copy": partial(
                    Product(folder).program, COPY, reader.format(path=source), folder / "copied"
                ),
            },
            rounds=ROUNDS,
        )
        cpu = {what: [cost.cpu_seconds for cost in found] for what, found in costs.items()}
        report.add(f"{name}, CPU", "DuckDB COPY", ratio(cpu["landing"], cpu["copy"]), 2)
        report.measured[name] = {what: str(median(found)) for what, found in costs.items()}
        source.unlink()
    return report


def _landed(folder: Path, source: Path) -> Cost:
    with TemporaryDirectory(dir=folder) as home:
        product = Product(Path(home) / "home")
        target = product.landing / "agent_usage_events" / source.name
        target.parent.mkdir(parents=True)
        target.hardlink_to(source)
        return product.program(LAND)
