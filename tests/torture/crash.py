"""Kill a run anywhere: readers keep the last whole snapshot, and one plain run makes it whole."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from api.snapshots import Snapshots
from fuzz.outcome import Outcome
from orchestration.publication.publish import current_snapshot
from orchestration.storage.ledger import Ledger
from torture.generated import Size
from torture.prepared import (
    Prepared,
    copy_home,
    deleted_rows,
    fingerprints,
    prepare,
    settings_of,
)
from torture.steps import Ended, Runs

_LINKS = {"CURRENT", "marts.duckdb", "agentstats.duckdb"}


@dataclass
class Found:
    """What was seen after interruptions, over all of them."""

    interrupted: int = 0
    lost: int = 0
    doubled: int = 0
    left_behind: int = 0


def run(
    folder: Path,
    *,
    size: Size,
    names: Sequence[str],
    step_share: float,
    moments: int,
    parallel: int,
) -> Outcome:
    """Kill runs before and after each named step (a share of them), and at random moments.

    `names` are those of the home folders whose runs are killed; of the steps that `hourly` has too,
    in `hourly` alone.
    """
    outcome = Outcome()
    with at_once(folder, parallel) as pool:
        prepared = pool.prepare(folder, size, names)
        for before in prepared:
            outcome.figures[f"steps of {before.name}"] = len(before.steps)
        found = Found()
        lock = threading.Lock()
        killed: Counter[str] = Counter()

        def interrupt(number: int, before: Prepared, at: int) -> None:
            def trial(runs: Runs) -> None:
                home = folder / f"trial-{number}"
                copy_home(before.home, home)
                ended = (
                    runs.run(home, *before.command, environment=before.environment, at=at)
                    if at
                    else _kill_at_random(runs, home, before, seed=number)
                )
                problems = check_readers(home, before)
                again, more = check_again(runs, home, before)
                with lock:
                    found.interrupted += ended.status == -signal.SIGKILL
                    if at:
                        killed[ended.steps[-1]] += 1
                        if ended.status != -signal.SIGKILL:
                            problems.append(f"was not killed: {ended.output[-500:]}")
                    found.lost += more.lost
                    found.doubled += more.doubled
                    found.left_behind += more.left_behind
                    where = ended.steps[-1] if ended.steps else "its start"
                    for problem in [*problems, *again]:
                        outcome.failures.append(f"{before.name}, after {where!r}: {problem}")
                    pool.tell(
                        f"{found}, {len(killed)} named steps, {len(outcome.failures)} failures"
                    )
                shutil.rmtree(home)

            pool.submit(trial)

        first_of_its_name: dict[str, tuple[Prepared, int]] = {}
        for before in prepared:
            for at, name in enumerate(before.steps, start=1):
                first_of_its_name.setdefault(name, (before, at))
        to_kill = [place for place in first_of_its_name.values() if place[0].name in names]
        trials = [
            to_kill[place - 1] for place in evenly(len(to_kill), round(len(to_kill) * step_share))
        ]
        killed_anywhere = [before for before in prepared if before.name in names]
        trials += [(killed_anywhere[moment % len(killed_anywhere)], 0) for moment in range(moments)]
        # Whatever part of a long run is over, it is a fair sample of the whole.
        random.Random(0).shuffle(trials)
        for number, trial in enumerate(trials):
            interrupt(number, *trial)
        pool.wait()
    outcome.figures |= {
        "trials": len(trials),
        "killed": found.interrupted,
        "named steps": len(killed),
        "events": sum(sum(groups.values()) for groups in prepared[0].expected.counts.values()),
        "lost": found.lost,
        "doubled": found.doubled,
        "left behind": found.left_behind,
    }
    return outcome


class Pool:
    """Threads with a process each that forks runs."""

    def __init__(self, folder: Path, size: int) -> None:
        self._threads = ThreadPoolExecutor(size)
        self._free = [Runs(folder / f"runs-{number}") for number in range(size)]
        self._all = list(self._free)
        self._futures: list[Future[object]] = []

    def submit(self, task: Callable[[Runs], object]) -> None:
        """Do it as soon as a process is free."""

        def work() -> object:
            runs = self._free.pop()
            try:
                return task(runs)
            finally:
                self._free.append(runs)

        self._futures.append(self._threads.submit(work))

    def prepare(self, folder: Path, size: Size, names: Sequence[str]) -> list[Prepared]:
        """What `prepare` makes."""
        made: list[Prepared] = []
        self.submit(lambda runs: made.extend(prepare(folder, runs, size, names)))
        self.wait()
        return made

    def tell(self, so_far: str) -> None:
        """Say how far it is, once for every 20 tasks that are over."""
        over = sum(future.done() for future in self._futures)
        if over and over % 20 == 0:
            print(f"  {over} of {len(self._futures)}: {so_far}", file=sys.stderr, flush=True)

    def wait(self) -> None:
        """Wait for all that was submitted, and raise what went wrong."""
        for future in self._futures:
            future.result()

    def close(self) -> None:
        self._threads.shutdown(cancel_futures=True)
        for runs in self._all:
            runs.close()


@contextmanager
def at_once(folder: Path, size: int) -> Iterator[Pool]:
    """So many runs at once, for the time of the block."""
    pool = Pool(folder, size)
    try:
        yield pool
    finally:
        pool.close()


def check_readers(home: Path, before: Prepared) -> list[str]:
    """What is wrong with what a reader sees between the interruption and the next run."""
    settings = settings_of(home)
    path = current_snapshot(settings.snapshots)
    if path is None:
        return ["the snapshot is gone"] if before.before else []
    problems = []
    if fingerprints(home) not in (before.before, before.after):
        problems.append("readers see a snapshot that is neither the last nor the next")
    served = Snapshots(settings)
    try:
        with served.lease() as lease:
            lease.rows("select sum(message_count) as n from marts.customer_daily", {})
    finally:
        served.close()
    return problems


def check_again(runs: Runs, home: Path, before: Prepared) -> tuple[list[str], Found]:
    """One plain run: what is wrong with what it came to."""
    ended = runs.run(home, *before.command, environment=before.environment)
    found = Found()
    if ended.status != 0:
        return [f"the run after ended with {ended.status}: {ended.output[-1500:]}"], found
    problems = []
    settings = settings_of(home)
    path = current_snapshot(settings.snapshots)
    if path is None:
        return ["the run after published nothing"], found
    if fingerprints(home) != before.after:
        problems.append("the marts are others than without the interruption")
        compared = before.expected.compare(path)
        found.lost, found.doubled = compared.lost, compared.doubled
        problems.append(f"{compared}")
    if deleted_rows(home) != before.deleted:
        problems.append("the retention ledger says other than what went")
    left = left_behind(home)
    found.left_behind = len(left)
    if left:
        problems.append(f"left behind: {left}")
    return problems, found


def left_behind(home: Path) -> list[str]:
    """What should not be there after a run that ended well."""
    settings = settings_of(home)
    left = []
    ledger = Ledger(settings.ledger_path)
    try:
        known = ledger.lake_paths()
        newest = ledger.runs(1)[0]
        running = [run.run_id for run in ledger.runs(100) if run.status == "running"]
        recorded = ledger.loads_not_moved()
    finally:
        ledger.close()
    in_lake = {
        str(path.relative_to(settings.lake)) for path in settings.lake.rglob("*") if path.is_file()
    }
    left += [f"lake file that the ledger does not know: {name}" for name in in_lake - known]
    left += [f"lake file that is missing: {name}" for name in known - in_lake]
    left += [f"run that is said to be running: {run}" for run in running]
    left += [f"load that was not moved: {load.source_file}" for load in recorded]
    if newest.status != "succeeded":
        left.append(f"the newest run is {newest.status}")
    current = current_snapshot(settings.snapshots)
    assert current is not None
    for path in settings.snapshots.iterdir():
        if path.name not in {*_LINKS, current.parent.name}:
            left.append(f"in snapshots: {path.name}")
        if path.is_symlink() and path.resolve() != current.resolve():
            left.append(f"{path.name} leads to {path.resolve()}, not to {current}")
    for path in home.rglob("*"):
        parts = path.relative_to(home).parts
        if parts[0] not in (".dagster", ".dbt") and (
            path.name.endswith((".tmp", ".wal", ".broken"))
            or (parts[0] == ".scratch" and parts[1:])
        ):
            left.append("/".join(parts))
    waiting = settings.landing
    left += [
        f"waiting: {path.relative_to(waiting)}"
        for path in waiting.rglob("*")
        if path.is_file() and path.relative_to(waiting).parts[0] not in ("_loaded", "_failed")
    ]
    return left


def _kill_at_random(runs: Runs, home: Path, before: Prepared, *, seed: int) -> Ended:
    """Kill the run when it has taken a random number of steps, and a little later."""
    chance = random.Random(seed)
    process = runs.start(home, *before.command, environment=before.environment)
    steps = chance.randrange(len(before.steps))
    while len(runs.steps_so_far()) < steps and not runs.has_ended():
        time.sleep(0.01)
    time.sleep(chance.uniform(0, 0.2))
    if not runs.has_ended():
        os.kill(process, signal.SIGKILL)
    return runs.wait()


def evenly(count: int, wanted: int) -> list[int]:
    """So many numbers from 1 to `count`, evenly spread; at least one."""
    wanted = max(1, wanted)
    return sorted({1 + number * count // wanted for number in range(wanted)})
