"""A whole hourly run on one busy day, against programs made by hand for the same usage tables."""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from shutil import rmtree

import duckdb

from benchmarks.generated import Traffic, write_events
from benchmarks.machine import CHECKOUT
from benchmarks.measuring import Cost, cpu_of_processes, interleaved, median, of_command, ratio
from benchmarks.peers.usage import DAILY, MEASURES, QUARTER_HOUR, QUARTER_HOURLY
from benchmarks.product import Product
from benchmarks.report import Report
from source.server import Server, running_server

EVENTS, FEW_EVENTS = 5_000_000, 100_000
PEERS = ("clickhouse", "polars", "postgresql", "pandas")
# Ready and warm before anybody starts; no fsync, in its favour.
POSTGRES_SETTINGS = (
    *("shared_buffers = 1GB", "work_mem = 512MB", "maintenance_work_mem = 512MB"),
    *("wal_level = minimal", "max_wal_senders = 0", "max_wal_size = 8GB", "jit = off"),
)

# The steps of the job without Dagster around them, each with its CPU and wall seconds.
STEPS = """
import json, sys, time
from contextlib import closing
from pathlib import Path
from orchestration.storage.ledger import Ledger
from orchestration.pipeline import clear_scratch, land, publish_if_changed, roll_up
from orchestration.settings import Settings

settings, found = Settings(), {}
clear_scratch(settings)
with closing(Ledger(settings.ledger_path)) as ledger:
    for name, step in {
        "land": lambda: land(settings, ledger),
        "roll up": lambda: roll_up(settings, ledger),
        "publish": lambda: publish_if_changed(settings, ledger, run_id="steps"),
    }.items():
        began = time.perf_counter(), time.process_time()
        step()
        found[name] = [time.perf_counter() - began[0], time.process_time() - began[1]]
Path(sys.argv[1]).write_text(json.dumps(found))
"""


def run(folder: Path, share: float) -> Report:
    """Start-up included; every table of every peer is compared with ours, row by row."""
    report = Report("hourly-peers", "An hourly run against programs made by hand", share)
    events = max(FEW_EVENTS, round(EVENTS * share))
    with running_server(*POSTGRES_SETTINGS) as server:
        for number in sorted({FEW_EVENTS, events}):
            _compare(report, folder / str(number), server, number)
    return report


def _compare(report: Report, folder: Path, server: Server, events: int) -> None:
    what = f"{events:,} events"
    landed = folder / "events.parquet"
    write_events(landed, Traffic(events))
    contestants: dict[str, Callable[[], Cost]] = {
        "agentstats": partial(ours, folder, landed),
        "its steps": partial(our_steps, folder, landed),
        **{peer: partial(theirs, peer, folder, landed, server) for peer in PEERS},
    }
    costs = interleaved(contestants, rounds=3 if events <= EVENTS // 5 else 2)
    for peer in PEERS:
        verify(peer, folder, server)
    steps = json.loads((folder / "steps.json").read_text())
    is_few = events == FEW_EVENTS
    for measure in ("CPU", "wall"):
        seconds = {
            name: [cost.cpu_seconds if measure == "CPU" else cost.wall_seconds for cost in found]
            for name, found in costs.items()
        }
        of_peers = {peer: ratio(seconds["agentstats"], seconds[peer]) for peer in PEERS}
        fastest = max(of_peers, key=lambda peer: of_peers[peer])
        if is_few:
            name = f"fastest peer ({fastest})"
            report.add(f"{what}, {measure}", name, of_peers[fastest], 3)
        else:
            for peer, found in of_peers.items():
                report.add(f"{what}, {measure}", peer, found, 1)
        # Of the last round alone: where it goes, not a goal.
        base = seconds[fastest][-1]
        parts = {name: step[measure == "CPU"] for name, step in steps.items()}
        parts["start, Dagster, end"] = seconds["agentstats"][-1] - sum(parts.values())
        for name, part in parts.items():
            report.add(f"{what}, {measure} of: {name}", f"fastest peer ({fastest})", part / base)
    report.measured[what] = {name: str(median(found)) for name, found in costs.items()}


def ours(folder: Path, landed: Path) -> Cost:
    """The cost of `agentstats run hourly` in an empty home, which is left for `verify`."""
    return _home_with(folder / "home", landed).run("run", "hourly")


def our_steps(folder: Path, landed: Path) -> Cost:
    """The cost of its steps alone, in a home of their own."""
    product = _home_with(folder / "home of steps", landed)
    return product.program(STEPS, folder / "steps.json")


def _home_with(home: Path, landed: Path) -> Product:
    rmtree(home, ignore_errors=True)
    product = Product(home)
    waiting = product.landing / "agent_usage_events" / landed.name
    waiting.parent.mkdir(parents=True)
    waiting.hardlink_to(landed)
    return product


def theirs(peer: str, folder: Path, landed: Path, server: Server) -> Cost:
    """The cost of a peer's program, and of the server that it asks."""
    target = folder / peer
    rmtree(target, ignore_errors=True)
    if peer != "postgresql":
        return _program(peer, folder, landed, target)
    before = cpu_of_processes(server.pid)
    cost = _program(peer, folder, landed, server.owner_url)
    served = cpu_of_processes(server.pid) - before
    return replace(cost, cpu_seconds=cost.cpu_seconds + served)


def _program(peer: str, folder: Path, *arguments: Path | str) -> Cost:
    command = [sys.executable, "-m", f"benchmarks.peers.in_{peer}", *arguments]
    environment = {"PYTHONPATH": str(CHECKOUT), "PATH": ""}
    return of_command(command, environment=environment, log=folder / "log")


def verify(peer: str, folder: Path, server: Server) -> None:
    """Compare a peer's tables with those that were published. Raises RuntimeError for a row."""
    tables = folder / peer
    if peer in ("clickhouse", "postgresql"):
        where = tables if peer == "clickhouse" else server.owner_url
        tables = folder / f"{peer} exported"
        rmtree(tables, ignore_errors=True)
        tables.mkdir()
        _program(peer, folder, folder, where, tables)
    with duckdb.connect() as connection:
        snapshot = (folder / "home" / "snapshots" / "agentstats.duckdb").resolve()
        connection.execute(f"attach '{snapshot}' as published (read_only)")
        connection.execute("set TimeZone = 'UTC'")
        for name, groups in {QUARTER_HOURLY: QUARTER_HOUR, **DAILY}.items():
            [path] = tables.glob(f"{name}.*")
            columns = ", ".join(
                [*(_cast(column) for column in (*groups, *MEASURES)), "occurred_date::date"]
                + (["response_time_buckets::int[]"] if name == QUARTER_HOURLY else [])
            )
            differing = connection.execute(f"""
                with ours as (select {columns} from published.marts.{name}),
                theirs as (select {columns} from '{path}')
                select count(*) from (
                    (select * from ours except all select * from theirs)
                    union all (select * from theirs except all select * from ours)
                )
            """).fetchall()[0][0]
            if differing:
                raise RuntimeError(f"{peer}: {differing} rows of {name} differ from agentstats'")


def _cast(column: str) -> str:
    kind = {"model": "varchar", "bucket_start": "timestamp"}.get(column, "bigint")
    return f"{column}::{kind}"
