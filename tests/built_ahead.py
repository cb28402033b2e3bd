"""A warehouse in which everything is built and nothing is counted, made once for all tests.

A first run builds every view, seed and table before it rolls anything up, which takes longer than
all that most tests are about. With this warehouse their first run is a run like the later ones.
"""

from __future__ import annotations

import fcntl
import shutil
from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from installation import Installation
from orchestration.settings import Settings


def build_ahead(folder: Path, now: str) -> Path:
    """Make the warehouse in `folder`, once however many processes ask for it. Returns a folder with
    nothing but it and the key by which its ids are hashed."""
    folder.mkdir(parents=True, exist_ok=True)
    made = folder / "made"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            unfinished = folder / "unfinished"
            unfinished.mkdir()
            with pytest.MonkeyPatch.context() as environment:
                first = Installation(folder / "home", environment, now, built_ahead=False)
                first.run()
                _forget_the_run(first.settings)
                for file in (first.settings.warehouse, first.settings.identity_key_path):
                    file.rename(unfinished / file.name)
            shutil.rmtree(folder / "home")
            unfinished.rename(made)
    return made


def _forget_the_run(settings: Settings) -> None:
    """Nothing was published of it, and nothing recounted."""
    with closing(duckdb.connect(str(settings.warehouse))) as warehouse:
        for table in ("published", "rebuilt_dates", "recount"):
            warehouse.execute(f"delete from raw.{table}")
        warehouse.execute("checkpoint")
