"""How long either engine takes to roll up the same events, and where they would meet.

Processor seconds are given beside wall time: what else runs on the machine changes them least.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

from orchestration import pipeline
from orchestration.storage.ledger import Ledger
from spark.cluster import Cluster
from spark.deliveries import NOW, write_customers, write_events
from spark.engine_pair import EnginePair, copy_landing

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Took:
    """What a full build of so many events took, in seconds of wall time and of processors."""

    engine: str
    events: int
    seconds: float
    cpu_seconds: float


@dataclass(frozen=True)
class Line:
    """Seconds as `fixed + slope * millions of events`."""

    fixed: float
    slope: float


def measure(folder: Path, cluster: Cluster, events: int) -> list[Took]:
    """Build the events in full on DuckDB, then on Spark, once each; the marts must be the same."""
    taken = []
    with pytest.MonkeyPatch.context() as environment:
        pair = EnginePair(folder, environment, NOW.isoformat(), cluster)
        write_customers(folder / "landing", "customers", "'pro'", "2026-01-01")
        write_events(folder / "landing", "events", 0, events)
        pair.each(copy_landing(folder / "landing"))
        for engine in pair.engines:
            settings = pair.turn_to(engine).settings
            with closing(Ledger(settings.ledger_path)) as ledger:
                pipeline.clear_scratch(settings)
                pipeline.land(settings, ledger)
                began, cpu = time.monotonic(), _cpu_seconds(cluster)
                done = pipeline.roll_up(settings, ledger)
                taken.append(
                    Took(
                        engine,
                        events,
                        round(time.monotonic() - began, 1),
                        round(_cpu_seconds(cluster) - cpu, 1),
                    )
                )
                if done.failed:
                    raise RuntimeError(f"{engine}: {[node.message for node in done.failed]}")
                pipeline.publish_if_changed(settings, ledger, run_id=engine)
        if differences := pair.differences():
            raise RuntimeError(f"the engines differ: {differences}")
    return taken


def line_through(taken: Sequence[Took], engine: str, figure: str) -> Line:
    """The line of least squares through the engine's figures."""
    points = [(took.events / 1e6, getattr(took, figure)) for took in taken if took.engine == engine]
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / sum(
        (x - mean_x) ** 2 for x, _ in points
    )
    return Line(mean_y - slope * mean_x, slope)


def crossover(duckdb: Line, spark: Line, machines: int) -> float | None:
    """Millions of events from which Spark is faster, if so many machines shared its slope as the
    measured one does alone, and its fixed part stayed; None for never."""
    gain = duckdb.slope - spark.slope / machines
    return (spark.fixed - duckdb.fixed) / gain if gain > 0 else None


def report(taken: Sequence[Took]) -> str:
    """The figures, the lines, and where they meet."""
    lines = [json.dumps(asdict(took)) for took in taken]
    if len({took.events for took in taken}) > 1:
        for figure in ("seconds", "cpu_seconds"):
            duckdb, spark = (line_through(taken, engine, figure) for engine in ("duckdb", "spark"))
            lines += [
                f"{figure}: {name} {line.fixed:.1f} + {line.slope:.2f} a million events"
                for name, line in (("duckdb", duckdb), ("spark", spark))
            ]
            for machines in (1, 2, 4, 8, 16):
                meets = crossover(duckdb, spark, machines)
                where = "never" if meets is None else f"from {meets:.0f} million events"
                lines.append(f"{figure}: {machines} such machines are faster: {where}")
    return "\n".join(lines)


def _cpu_seconds(cluster: Cluster) -> float:
    """Of this process, and of all that the cluster's processes started."""
    sessions = {str(process.pid) for process in cluster.processes().values()}
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if fields[3] in sessions:
            ticks += int(fields[11]) + int(fields[12])
    return time.process_time() + ticks / _TICKS
