"""Run as a program: what a nightly run with retention costs, in time and in disk.

`python tests/retention/measure.py [rows]` makes that many usage events (10,000,000) of 1,000
customers over 60 days, a third each of free, starter and pro, and runs the hourly job when all of
it was kept, then the nightly one when the free customers are past their 7 days and the starters
past their 30. It prints one JSON object: seconds of each run, bytes before, at the peak, and after.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import duckdb

ROWS = 10_000_000
CUSTOMERS = 1_000
DAYS = 60
# Everybody is pro at first, and what they are from the second day on.
LOADED = "2026-03-01T00:30:00Z"
NIGHTLY = "2026-03-01T03:00:00Z"


def drop(landing: Path, rows: int) -> None:
    """Write the customers and ten files of events."""
    for folder in ("customers", "agent_usage_events"):
        (landing / folder).mkdir(parents=True, exist_ok=True)
    tell_tiers(landing, "'pro'", "2026-01-01", "pro.parquet")
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        for file in range(10):
            first, last = rows * file // 10, rows * (file + 1) // 10
            connection.execute(
                f"""
                copy (
                    select
                        cast(uuid() as varchar) as event_id,
                        1 + number % {CUSTOMERS} as customer_id,
                        1 + number % {CUSTOMERS} * 10 + number // {CUSTOMERS} % 10 as agent_id,
                        1 + number % 7 as agent_type_id,
                        'model-' || number % 5 as model_used,
                        number % 900 as input_tokens,
                        number % 300 as output_tokens,
                        number % 4000 as response_time_ms,
                        timestamp '2026-03-01' - to_seconds(
                            hash(number) % ({DAYS} * 86400)
                        ) as occurred_at,
                        timestamp '2026-03-01' as received_at
                    from range({first}, {last}) as numbers (number)
                ) to '{landing}/agent_usage_events/{file}.parquet' (format parquet)
                """
            )


def tell_tiers(landing: Path, tier: str, updated: str, name: str) -> None:
    """Write a row of each customer; `tier` is SQL over `number`."""
    with duckdb.connect() as connection:
        connection.execute(
            f"""
            copy (
                select number as customer_id, 'Customer ' || number as customer_name,
                    {tier} as tier, null::int as retention_days,
                    timestamp '{updated}' as updated_at
                from range(1, {CUSTOMERS + 1}) as numbers (number)
            ) to '{landing}/customers/{name}' (format parquet)
            """
        )


def bytes_below(home: Path) -> int:
    """What all files take; those that are unlinked meanwhile count nothing."""
    total = 0
    for folder, _, names in os.walk(home):
        for name in names:
            try:
                total += Path(folder, name).lstat().st_size
            except FileNotFoundError:
                continue
    return total


def run(home: Path, job: str, now: str) -> dict[str, object]:
    """Run a job in a process of its own; its seconds, its CPU, and the peak of bytes below home."""
    peak = before = bytes_below(home)
    done = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.2):
            peak = max(peak, bytes_below(home))

    watching = threading.Thread(target=watch)
    watching.start()
    started, cpu = time.monotonic(), os.times()
    program = "from orchestration.cli import main; main()"
    try:
        subprocess.run(
            [sys.executable, "-c", program, "run", job],
            env={
                **os.environ,
                "AGENTSTATS_HOME": str(home),
                "AGENTSTATS_NOW": now,
                "AGENTSTATS_RETENTION_MAX_DELETE_FRACTION": "1",
            },
            check=True,
            stdout=subprocess.DEVNULL,
        )
    finally:
        done.set()
        watching.join()
    after_cpu = os.times()
    return {
        "seconds": round(time.monotonic() - started, 1),
        "cpu_seconds": round(
            after_cpu.children_user
            + after_cpu.children_system
            - cpu.children_user
            - cpu.children_system,
            1,
        ),
        "bytes_before": before,
        "bytes_peak": peak,
        "bytes_after": bytes_below(home),
    }


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    with tempfile.TemporaryDirectory(prefix="agentstats-measure-") as folder:
        home = Path(folder)
        drop(home / "landing", rows)
        report: dict[str, object] = {"rows": rows, "hourly": run(home, "hourly", LOADED)}
        report["quiet_nightly"] = run(home, "nightly", LOADED)
        tiers = "case number % 3 when 0 then 'free' when 1 then 'starter' else 'pro' end"
        tell_tiers(home / "landing", tiers, "2026-02-01", "tiers.parquet")
        run(home, "hourly", LOADED)
        report["nightly"] = run(home, "nightly", NIGHTLY)
        parts = {
            "lake": bytes_below(home / "lake"),
            "warehouse": (home / "warehouse.duckdb").stat().st_size,
            "snapshots": bytes_below(home / "snapshots"),
        }
        report["bytes_after_by_part"] = parts
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
