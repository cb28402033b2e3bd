"""One writer at a time: Dagster's limits hold inside Dagster only, a file lock holds everywhere."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from orchestration.errors import AgentstatsError
from orchestration.storage.durable import make_home


class WriterBusy(AgentstatsError):
    """Another process is writing; the message names it."""


@contextmanager
def writer_lock(home: Path, *, task: str, now: datetime, wait_seconds: float = 0) -> Iterator[None]:
    """Take the home folder's writer lock for the time of the block.

    The kernel frees it when the process ends, however it ends. Raises `WriterBusy` when another
    process still holds it after `wait_seconds`.
    """
    make_home(home)
    path = home / ".writer.lock"
    # Never removed: whoever opens the path must get the same file.
    with path.open("a+") as file:
        deadline = time.monotonic() + wait_seconds
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise WriterBusy(_who_holds(path, home)) from None
                time.sleep(0.1)
        file.seek(0)
        file.truncate()
        json.dump({"task": task, "pid": os.getpid(), "since": now.isoformat()}, file)
        file.flush()
        try:
            yield
        finally:
            file.seek(0)
            file.truncate()


def _who_holds(path: Path, home: Path) -> str:
    who = "another process"
    for _ in range(10):
        try:
            holder = json.loads(path.read_text())
            who = f"{holder['task']} (process {holder['pid']}, since {holder['since']})"
            break
        except (ValueError, KeyError):
            # It has the lock, and is about to write its name.
            time.sleep(0.1)
    return (
        f"{who} is writing to {home}; try again when it is done, "
        "or set AGENTSTATS_LOCK_WAIT_SECONDS to wait for it"
    )
