"""Ten minutes of a busy platform and a puller that is killed at random: nothing lost or doubled."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import closing
from pathlib import Path

from orchestration.cli.in_process import run_job
from orchestration.settings import read_settings
from orchestration.storage.ledger import Ledger
from source.proof import differences
from source.server import Server, empty_platform, running_server
from source.writers import CUSTOMERS, Writers

CHECKOUT = Path(__file__).parents[2]
PAUSE_SECONDS = 2


def run(*, minutes: float, seed: int, connections: int = 8, longest_seconds: float = 60) -> bool:
    """Whether the marts are those of the tables at the end. Prints the figures."""
    chance = random.Random(seed)
    with running_server() as server, tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        _prepare(server, home)
        writers = Writers(server, connections, longest_seconds, seed)
        writers.start()
        kills, cuts, pulls, problems = _pull_and_kill(server, chance, minutes * 60)
        writers.stop()
        outcome = run_job(read_settings(), "hourly")
        now = read_settings().clock()
        different = differences(server, home, now, Path(folder) / "recount")
        tables = {
            table: server.rows(f"select count(*) from {table}")[0][0]
            for table in ("agent_usage_events", "audit_events", "feedback_events")
        }
        with closing(Ledger(home / "ledger.db")) as ledger:
            loads = ledger.loads()
        print(
            f"{minutes:g} min, {connections} connections, transactions up to {longest_seconds:g} "
            f"s: {writers.commits} commits, {writers.aborts} aborts, {writers.cut_off} cut off by "
            f"a crash of the server\n"
            f"puller: {pulls} pulls ended, {problems} of them with a problem; {kills} kill -9, "
            f"{cuts} connections cut\n"
            f"tables: {tables}\n"
            f"loads: {len(loads)}, {sum(load.rows_read for load in loads)} rows read = "
            f"{sum(load.accepted for load in loads)} accepted + "
            f"{sum(load.duplicates for load in loads)} duplicates + "
            f"{sum(load.rejected for load in loads)} rejected\n"
            f"rows of marts that differ from a recount of the tables: {len(different)}"
        )
        for line in different[:20]:
            print(line)
        if not outcome.succeeded:
            print(outcome.problem)
        return outcome.succeeded and not different


def _prepare(server: Server, home: Path) -> None:
    empty_platform(server)
    server.run(
        "create sequence feedback_ids",
        *(
            f"insert into customers values ({number}, 'C', 'enterprise', 2557, '2026-01-01Z')"
            for number in range(2, CUSTOMERS + 1)
        ),
    )
    os.environ["AGENTSTATS_HOME"] = str(home)
    os.environ["AGENTSTATS_POSTGRES_URL"] = server.reader_url
    os.environ["AGENTSTATS_POSTGRES_CHUNK_ROWS"] = "5000"
    os.environ["AGENTSTATS_LOCK_WAIT_SECONDS"] = "60"


def _pull_and_kill(
    server: Server, chance: random.Random, seconds: float
) -> tuple[int, int, int, int]:
    """(pullers killed, connections cut, pulls ended, those with a problem) until time is up."""
    end = time.monotonic() + seconds
    crash_at = time.monotonic() + seconds / 2
    kills = cuts = 0
    lines: list[str] = []
    while time.monotonic() < end:
        puller = subprocess.Popen(
            [sys.executable, "-m", "source.puller", str(PAUSE_SECONDS)],
            cwd=CHECKOUT,
            env={**os.environ, "PYTHONPATH": f"{CHECKOUT}:{CHECKOUT / 'tests'}"},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        reader = threading.Thread(target=_collect, args=(puller, lines))
        reader.start()
        kill_at = min(time.monotonic() + chance.uniform(3, 45), end)
        while time.monotonic() < kill_at:
            time.sleep(0.2)
            if crash_at and time.monotonic() > crash_at:
                server.crash_and_start()
                crash_at = 0
            elif chance.random() < 0.02:
                cuts += server.cut("agentstats")
        puller.kill()
        puller.wait()
        reader.join()
        kills += 1
    problems = [line for line in lines if " " in line]
    for problem in sorted({re.sub(r"\d+", "N", each) for each in problems}):
        print("reported:", problem)
    return kills, cuts, len(lines), len(problems)


def _collect(puller: subprocess.Popen[str], lines: list[str]) -> None:
    assert puller.stdout is not None
    lines.extend(line.strip() for line in puller.stdout)
