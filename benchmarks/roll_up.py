"""Rolling up one busy day, against a bare scan of the columns that it needs."""

import json
from pathlib import Path

from benchmarks.generated import Traffic, write_customers, write_events
from benchmarks.measuring import median, ratio
from benchmarks.product import Product
from benchmarks.report import Report

EVENTS, ROUNDS = 5_000_000, 7

# One process for all rounds, and its own CPU: what a start costs is measured elsewhere.
PROGRAM = """
import json, sys, time
from pathlib import Path
import duckdb
from orchestration.storage.database import connect
from orchestration.settings import Settings

settings, rounds, target = Settings(), int(sys.argv[1]), Path(sys.argv[2])
COLUMNS = (
    "customer_id", "event_id", "agent_id", "agent_type_id", "model_used", "input_tokens",
    "output_tokens", "response_time_ms", "occurred_at", "received_at",
)
files = [str(path) for path in settings.lake.glob("agent_usage_events/*/*.parquet")]
# A hash is asked of each value, so that each is really read.
scan = f"select {', '.join(f'bit_xor(hash({name}))' for name in COLUMNS)} from read_parquet($files)"
compiled = settings.dbt_target / "compiled" / "agentstats" / "models" / "marts"
steps = {"scan": scan}
for path in [*compiled.glob("quarter_hourly/*.sql"), *compiled.glob("daily/*.sql")]:
    # `raw` shows the dates of the last run that had any; here they are those of the whole day.
    steps[path.stem] = f"create or replace temp table made as {path.read_text()}"
found = {name: [] for name in steps}
with connect(settings, settings.warehouse) as warehouse:
    for _ in range(rounds):
        for name, sql in steps.items():
            began = time.process_time()
            warehouse.execute(sql, {"files": files} if name == "scan" else {}).fetchall()
            found[name].append(time.process_time() - began)
target.write_text(json.dumps(found))
"""


def run(folder: Path, share: float) -> Report:
    """The compiled SQL of each mart over the lake of one day, as the last run left both."""
    report = Report("roll-up", "Rolling up one busy day", share)
    product = Product(folder / "home")
    events = max(50_000, round(EVENTS * share))
    write_customers(product.landing / "customers" / "all.parquet")
    write_events(product.landing / "agent_usage_events" / "a.parquet", Traffic(events))
    whole = product.run("run", "hourly")
    target = folder / "found.json"
    product.program(PROGRAM, str(ROUNDS), target)
    cpu: dict[str, list[float]] = json.loads(target.read_text())
    together = [
        sum(costs) for costs in zip(*(cpu[name] for name in cpu if name != "scan"), strict=True)
    ]
    report.add(
        "quarter hours of usage, de-duplicated, speed",
        "bare scan",
        ratio(cpu["scan"], cpu["usage_quarter_hourly"]),
        0.15,
        least=True,
    )
    report.add("all marts together, speed", "bare scan", ratio(cpu["scan"], together))
    report.measured["CPU seconds of each step"] = {
        name: round(sorted(costs)[len(costs) // 2], 3) for name, costs in cpu.items()
    }
    report.measured["run hourly, as a whole"] = str(median([whole]))
    return report
