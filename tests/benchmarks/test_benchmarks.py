"""What the benchmarks rest on: costs are those of all processes, and the table is of the files."""

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.measuring import Cost, cpu_of_processes, interleaved, median, of_command, ratio
from benchmarks.report import RESULTS, Figure, Report, read_all, table

BUSY = "import time\nwhile time.process_time() < 0.3: pass"
PARENT = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {BUSY!r}], check=True)"

A_TICK = 1 / os.sysconf("SC_CLK_TCK")


def _cpu_of_ended_children() -> float:
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ended.ru_utime + ended.ru_stime


def test_the_cost_of_a_program_is_also_that_of_its_children(tmp_path: Path) -> None:
    """A program that only waits costs what its child does."""
    before = _cpu_of_ended_children()
    cost = of_command([sys.executable, "-c", PARENT], environment=os.environ, log=tmp_path / "log")
    assert 0.3 <= cost.cpu_seconds <= _cpu_of_ended_children() - before + A_TICK
    assert cost.wall_seconds > 0.3


def test_the_cpu_of_running_processes_is_that_of_their_children_too() -> None:
    """While they run, and when they have ended."""
    waiting = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]])"
    busy = f"{BUSY}\nprint(flush=True)\ntime.sleep(60)"
    began = time.monotonic()
    with subprocess.Popen(
        [sys.executable, "-c", waiting, busy], stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        cpu_seconds = cpu_of_processes(process.pid)
        cores = os.cpu_count() or 1
        assert 0.3 <= cpu_seconds + A_TICK <= cores * (time.monotonic() - began) + 2 * A_TICK
        os.killpg(process.pid, signal.SIGKILL)


def test_a_program_that_fails_is_no_figure(tmp_path: Path) -> None:
    """The error says what it wrote."""
    with pytest.raises(RuntimeError, match="no such thing"):
        of_command(
            [sys.executable, "-c", "raise SystemExit('no such thing')"],
            environment=os.environ,
            log=tmp_path / "log",
        )


def test_contestants_take_turns_and_each_has_each_neighbour() -> None:
    """The second round goes the other way round."""
    order: list[str] = []

    def one(name: str) -> Cost:
        order.append(name)
        return Cost(1, len(order), 1)

    costs = interleaved({name: lambda name=name: one(name) for name in "ab"}, rounds=3)  # type: ignore[misc]
    assert "".join(order) == "abbaab"
    assert [cost.cpu_seconds for cost in costs["a"]] == [1, 4, 5]
    assert median(costs["a"]).cpu_seconds == 4


def test_a_ratio_is_the_median_of_those_of_the_rounds() -> None:
    """A round in which both were slow changes nothing."""
    assert ratio([2, 20, 3], [1, 10, 2]) == 2


def test_a_goal_may_be_a_most_or_a_least() -> None:
    """And a figure without one is neither met nor missed."""
    assert Figure("a", "b", 1.2, 1.2).holds is True
    assert Figure("a", "b", 0.1, 0.15, least=True).holds is False
    assert Figure("a", "b", 9).holds is None


def test_the_table_is_that_of_the_files() -> None:
    """It was edited by hand nowhere."""
    reports: list[Report] = read_all()
    assert reports
    assert (RESULTS / "README.md").read_text(encoding="utf-8") == table(reports)
