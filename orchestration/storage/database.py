"""How this package opens DuckDB, so that every connection is bounded, quiet and in UTC."""

from __future__ import annotations

from pathlib import Path

import duckdb

from orchestration.settings import Settings


def connect(settings: Settings, path: Path | None = None) -> duckdb.DuckDBPyConnection:
    """Open the file at `path`, or a database in memory, with the run's limits.

    It may spill to the scratch folder. Raises `duckdb.Error` where the file cannot be opened.
    """
    connection = duckdb.connect(
        str(path) if path else ":memory:",
        config={
            "memory_limit": settings.memory_limit,
            "temp_directory": str(settings.scratch),
            "autoinstall_known_extensions": "false",
        },
    )
    # It would go to standard output, where reports are read by machines.
    connection.execute("set enable_progress_bar = false")
    # Times without an offset are UTC, whatever the machine's zone.
    connection.execute("set global TimeZone = 'UTC'")
    return connection


def pattern_of(path: Path) -> str:
    """The path for DuckDB's readers, which take some characters of it for a pattern.

    It is for files that we name ourselves, below a home folder that somebody else has named.
    """
    return "".join(f"[{each}]" if each in "*?[" else each for each in str(path))
