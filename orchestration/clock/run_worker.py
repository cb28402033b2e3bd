"""Whether the process of a run still lives: it holds a file lock, which the kernel frees with it.

Dagster's own launcher knows its workers only while the code server that started them is up; after
a reboot a dead run counts as running until its time is up, and holds the only place in the queue.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from pathlib import Path
from typing import IO

FOLDER = "workers"

_PID_NAMESPACE = Path("/proc/self/ns/pid")

# Files that stay open, and locked, for as long as this process lives, by their path.
_locked: dict[Path, IO[str]] = {}


class Life(Enum):
    """The liveness of a run's process."""

    ALIVE = "alive"  # a stopped one too
    DEAD = "dead"
    NOT_SHOWN = "not shown"  # it has not begun, or never said so


@contextmanager
def alive(dagster_home: Path, run_id: str) -> Iterator[None]:
    """Show for the time of the block that the run's process lives."""
    with _lock(dagster_home, run_id):
        try:
            yield
        finally:
            _path(dagster_home, run_id).unlink(missing_ok=True)


def alive_until_exit(dagster_home: Path, run_id: str) -> None:
    """Show that the run's process lives, to its very end: Dagster records the run's end last."""
    path = _path(dagster_home, run_id)
    if path not in _locked:
        _locked[path] = _lock(dagster_home, run_id)


def life_of(dagster_home: Path, run_id: str) -> Life:
    """Whether the run's process still lives."""
    try:
        with _path(dagster_home, run_id).open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return Life.NOT_SHOWN
    except BlockingIOError:
        return Life.ALIVE
    return Life.DEAD


def end(dagster_home: Path, run_id: str, *, grace_seconds: float, is_asked: bool) -> bool:
    """Wait until the run's process ends, and kill it if it does not within the grace.

    One that was not `is_asked` to end yet gets a SIGTERM first. Returns whether it is gone; a
    process that is not ours to see, on another machine or in another container, is left alone.
    """
    if not is_asked and life_of(dagster_home, run_id) is Life.ALIVE:
        _signal(dagster_home, run_id, signal.SIGTERM)
    if _is_gone_within(dagster_home, run_id, grace_seconds):
        return True
    _signal(dagster_home, run_id, signal.SIGKILL)
    return _is_gone_within(dagster_home, run_id, grace_seconds)


def remove_dead(dagster_home: Path) -> None:
    """Remove what processes that have ended left behind."""
    for path in (dagster_home / FOLDER).glob("*"):
        if life_of(dagster_home, path.name) is Life.DEAD:
            path.unlink(missing_ok=True)


def _lock(dagster_home: Path, run_id: str) -> IO[str]:
    path = _path(dagster_home, run_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("a+")
    # Waits for a moment only: whoever looks whether it is locked locks it so long.
    fcntl.flock(file, fcntl.LOCK_EX)
    file.truncate(0)
    json.dump({"pid": os.getpid(), "namespace": _pid_namespace()}, file)
    file.flush()
    return file


def _is_gone_within(dagster_home: Path, run_id: str, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while life_of(dagster_home, run_id) is Life.ALIVE:
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.1)
    return True


def _signal(dagster_home: Path, run_id: str, number: signal.Signals) -> None:
    # The file is locked, so the process that wrote its number there still has it.
    with suppress(FileNotFoundError, ProcessLookupError, ValueError, KeyError):
        worker = json.loads(_path(dagster_home, run_id).read_text())
        if worker["namespace"] == _pid_namespace():
            os.kill(worker["pid"], number)


def _pid_namespace() -> str | None:
    """What the process numbers mean: those of another container are others."""
    return str(_PID_NAMESPACE.readlink()) if _PID_NAMESPACE.is_symlink() else None


def _path(dagster_home: Path, run_id: str) -> Path:
    return dagster_home / FOLDER / run_id
