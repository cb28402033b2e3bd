"""Opening the published snapshot to read it: never to write, never in a run's way."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb

from orchestration.errors import AgentstatsError
from orchestration.publication import publish
from orchestration.settings import Settings


class ReadingProblem(AgentstatsError):
    """A question to the snapshot cannot be answered; the message says what to do."""


@dataclass(frozen=True)
class OpenSnapshot:
    """A snapshot that is open, in a session in UTC; `link` always leads to the newest. Times are
    naive and mean UTC."""

    connection: duckdb.DuckDBPyConnection
    link: Path
    snapshot_id: str
    published_at: datetime
    data_as_of: datetime | None


@contextmanager
def open_snapshot(settings: Settings, *, may_write_files: bool = False) -> Iterator[OpenSnapshot]:
    """The newest snapshot, for the time of the block; the same one, whatever is published in it.

    Queries reach no file but the snapshot, unless they `may_write_files`. Raises `ReadingProblem`
    where nothing is published.
    """
    # Not beside the snapshot, where DuckDB would spill by itself: that folder is watched, and what
    # is under the home folder has to be found by retention.
    with tempfile.TemporaryDirectory(prefix="agentstats-") as spill:
        connection = _connect(settings.snapshots, spill, settings.memory_limit)
        try:
            connection.execute("set global TimeZone = 'UTC'")
            connection.execute("use marts")
            if not may_write_files:
                connection.execute("set global enable_external_access = false")
                connection.execute("set global lock_configuration = true")
            info = connection.execute(
                "select snapshot_id, published_at, data_as_of from marts.snapshot_info"
            ).fetchall()
            yield OpenSnapshot(connection, settings.snapshots / publish.FILE, *info[0])
        finally:
            connection.close()


def _connect(snapshots: Path, spill: str, memory_limit: str) -> duckdb.DuckDBPyConnection:
    config: dict[str, str | bool | int | float | list[str]] = {
        "temp_directory": spill,
        "memory_limit": memory_limit,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    # A snapshot may be replaced, and unlinked, between its name being read and its being opened.
    for _ in range(3):
        path = publish.current_snapshot(snapshots)
        if path is None:
            break
        if path.exists():
            return duckdb.connect(str(path), read_only=True, config=config)
    raise ReadingProblem(
        f"nothing is published in {snapshots}: `agentstats run hourly` publishes what was landed, "
        "`agentstats demo` makes a sample"
    )
