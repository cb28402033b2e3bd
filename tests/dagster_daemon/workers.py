"""A process that shows itself as the worker of a run, to be killed and stopped."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

RUN_ID = "5b18dd10-0410-427f-8f21-ffdc4f192bb5"
_WORKER = """
import pathlib, signal, sys, time
from orchestration.clock.run_worker import alive_until_exit
# What a process ignores, the processes that it starts ignore; and Dagster has a process that
# ignores SIGINT, as one in the background of a script does, ignore SIGTERM after its first run.
manner = {"deaf": signal.SIG_IGN, "polite": signal.SIG_DFL}[sys.argv[2]]
signal.signal(signal.SIGTERM, manner)
alive_until_exit(pathlib.Path(sys.argv[1]), sys.argv[3])
alive_until_exit(pathlib.Path(sys.argv[1]), sys.argv[3])
print("up", flush=True)
time.sleep(600)
"""


@contextmanager
def worker(home: Path, manner: str = "polite") -> Iterator[subprocess.Popen[str]]:
    """A process that shows itself as the worker of the run `RUN_ID`."""
    command = [sys.executable, "-c", _WORKER, str(home), manner, RUN_ID]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None and process.stdout.readline() == "up\n"
            yield process
        finally:
            process.kill()
