"""The demo at a fixed time, made once for all tests, and running commands on it."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

NOW = "2026-11-22T12:00:00Z"
CHECKOUT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class PublishedDemo:
    """The home folder of a demo that was run to its end. Tests read it and write nothing in it."""

    home: Path

    @property
    def snapshot(self) -> Path:
        """The published file."""
        return (self.home / "snapshots" / "agentstats.duckdb").resolve()

    def connect(self) -> duckdb.DuckDBPyConnection:
        """Open the published file as an analyst does."""
        return duckdb.connect(str(self.snapshot), read_only=True)

    def agentstats(
        self, *arguments: str, typed: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command on the demo, whatever it ends with; `typed` is its standard input."""
        return run_agentstats(self.home, arguments, typed=typed)


def run_agentstats(
    home: Path, arguments: Sequence[str], *, typed: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `agentstats` of this checkout on a home folder, at the demo's time."""
    return subprocess.run(
        [sys.executable, "-c", "from orchestration.cli import main; main()", *arguments],
        env=environment(home),
        cwd=home,
        input=typed,
        stdin=subprocess.DEVNULL if typed is None else None,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def environment(home: Path) -> dict[str, str]:
    """The environment of a command on a home folder, with no setting of the outside in it."""
    outside = {key: value for key, value in os.environ.items() if not key.startswith("AGENTSTATS_")}
    python_path = [str(CHECKOUT), *filter(None, [outside.get("PYTHONPATH")])]
    return {
        **outside,
        "AGENTSTATS_HOME": str(home),
        "AGENTSTATS_NOW": NOW,
        "PYTHONPATH": os.pathsep.join(python_path),
        "COLUMNS": "200",
    }


def make_published_demo(folder: Path) -> PublishedDemo:
    """Run the demo in `folder`, once however many processes ask for it."""
    folder.mkdir(parents=True, exist_ok=True)
    demo = PublishedDemo(folder / "home")
    done = folder / "done"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            demo.home.mkdir(exist_ok=True)
            made = demo.agentstats("demo", "--no-serve")
            assert made.returncode == 0, made.stderr
            done.touch()
    return demo
