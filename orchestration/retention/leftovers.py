"""Copies beside the lake and the marts that hold what is past its retention: landed files, files
that were set aside, exports below the home folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path

import duckdb
import structlog

from orchestration.contract.streams import STREAMS_BY_NAME, Stream
from orchestration.lake.deletion_plan import Rule, retention_rule
from orchestration.lake.policy import fill_cutoffs
from orchestration.landing import files
from orchestration.landing.reading import read_rows
from orchestration.landing.set_aside import is_left_alone, is_set_aside, reason_beside
from orchestration.publication import export
from orchestration.settings import Settings
from orchestration.storage.database import connect, pattern_of
from orchestration.storage.ledger import Ledger
from orchestration.storage.sql import literal

log = structlog.get_logger()

# Whether a landed file, of a stream and loaded at a time, holds what is past its retention.
FindExpired = Callable[[Path, str, datetime], bool]


@contextmanager
def expiry(settings: Settings, ledger: Ledger) -> Iterator[FindExpired]:
    """A look into landed files for rows that are past their customer's retention."""
    with closing(connect(settings)) as connection:
        rule = retention_rule(connection, settings, ledger)
        fill_cutoffs(connection, "retention", rule.kept_from)
        fill_cutoffs(connection, "erased", ledger.kept_from("erasure"))

        def find_expired(path: Path, stream: str, loaded_at: datetime) -> bool:
            return _holds_expired(
                connection, STREAMS_BY_NAME[stream], path, loaded_at, rule, settings
            )

        yield find_expired


def remove_failed_files(settings: Settings, kept_from: datetime) -> list[str]:
    """Delete files that were set aside, and their reasons, last written before `kept_from`.

    It cannot be said whose rows are in them. Returns their paths below the landing folder.
    """
    removed = []
    failed = settings.landing / files.FAILED_FOLDER
    # Not as a datetime: a file may say that it is of the year 300000.
    cutoff_ns = int(kept_from.timestamp()) * 10**9
    for path in sorted(failed.rglob("*")):
        if not (is_set_aside(path) or is_left_alone(path)):
            continue
        if path.stat().st_mtime_ns < cutoff_ns:
            path.unlink()
            reason_beside(path).unlink(missing_ok=True)
            removed.append(str(path.relative_to(settings.landing)))
            log.info("failed_file_deleted", path=str(path), reason="past the shortest retention")
    return removed


def remove_exports(settings: Settings, kept_from: dict[int, datetime]) -> list[str]:
    """Delete exports below the home folder that hold rows from before their customer's instant.

    An instant far ahead takes all rows of the customer. Returns the folders.
    """
    removed = []
    with closing(connect(settings)) as connection:
        fill_cutoffs(connection, "cutoff", kept_from)
        for folder in exports_below(settings.home):
            if any(_is_outdated(connection, path) for path in folder.glob("*.parquet")):
                shutil.rmtree(folder)
                removed.append(str(folder))
                log.info("export_deleted", folder=str(folder), reason="it had deleted rows")
    return removed


def exports_below(home: Path) -> list[Path]:
    """Folders that `agentstats export` wrote, whole or cut off."""
    return [
        folder
        for folder in sorted(path for path in home.rglob("*") if path.is_dir())
        if (folder.name.startswith(".") and folder.name.endswith((".unfinished", ".earlier")))
        or _is_export(folder)
    ]


def _is_export(folder: Path) -> bool:
    try:
        return "agentstats_version" in json.loads((folder / export.MANIFEST).read_text())
    except (OSError, ValueError):
        return False


def _is_outdated(connection: duckdb.DuckDBPyConnection, path: Path) -> bool:
    try:
        return _holds_rows_before_cutoff(connection, path)
    except duckdb.Error:
        # What is in it cannot be said.
        return True


def _holds_rows_before_cutoff(connection: duckdb.DuckDBPyConnection, path: Path) -> bool:
    reader = f"read_parquet({literal(pattern_of(path))}, hive_partitioning = false)"
    columns = {name for name, *_ in connection.execute(f"describe from {reader}").fetchall()}
    if "customer_id" not in columns or path.stem == "retention_ledger":
        return False
    day = "mart.occurred_date" if "occurred_date" in columns else "date '9998-01-01'"
    return bool(
        connection.execute(
            f"select 1 from {reader} as mart inner join cutoff "
            f"on mart.customer_id = cutoff.customer_id where {day} < cutoff.kept_from limit 1"
        ).fetchall()
    )


def _holds_expired(
    connection: duckdb.DuckDBPyConnection,
    stream: Stream,
    path: Path,
    loaded_at: datetime,
    rule: Rule,
    settings: Settings,
) -> bool:
    try:
        read_rows(connection, files.detect_format(path, stream), settings)
    except files.UnreadableFile:
        # It was loaded once, by other limits; whose rows are in it cannot be said any more.
        return loaded_at < rule.kept_from_without_customer
    if stream.is_reference:
        is_expired = "reason = 'expired'"
    else:
        is_expired = "occurred_at < retention.kept_from"
        if loaded_at < rule.kept_from_without_customer:
            is_expired += " or customer_id is null or occurred_at is null"
    return bool(
        connection.execute(
            f"select 1 from checked left join retention using (customer_id) "
            f"where {is_expired} limit 1"
        ).fetchall()
    )
