"""Retention and erasure of what was moved out of the lake because the ledger does not know it."""

from __future__ import annotations

import os
import re
from contextlib import closing
from datetime import UTC, date, datetime, time
from pathlib import Path

import duckdb
import structlog

from orchestration.contract.streams import STREAMS_BY_NAME
from orchestration.lake.deletion_plan import Rule, is_to_be_deleted, prepare
from orchestration.lake.writing import COUNTS_FOLDER, PARQUET_OPTIONS, REJECTED_FOLDER
from orchestration.settings import Settings
from orchestration.storage.database import connect, pattern_of
from orchestration.storage.durable import sync_folder
from orchestration.storage.ledger import Deletion, Ledger
from orchestration.storage.sql import literal

TABLE = "quarantine"
_FOLDERS = {*STREAMS_BY_NAME, COUNTS_FOLDER, REJECTED_FOLDER}
_DATE = re.compile(r"occurred_date=(\d{4}-\d{2}-\d{2})")

log = structlog.get_logger()


def clean_quarantine(settings: Settings, ledger: Ledger, rule: Rule, *, run_id: str) -> list[str]:
    """Take the rows that go out of quarantined files, as out of the lake, and record it.

    A file that cannot be read goes whole: with an erasure, or when its date, or the time at which
    it was last written, is past the shortest retention. Returns the files that went or were written
    anew, relative to the home folder.
    """
    changed = []
    with closing(connect(settings)) as connection:
        prepare(connection, rule)
        for path in sorted(settings.quarantine.rglob("*")):
            if not path.is_file():
                continue
            folder = path.relative_to(settings.quarantine).parts[0]
            if folder in STREAMS_BY_NAME and not STREAMS_BY_NAME[folder].is_of_customers:
                continue
            try:
                is_changed = folder in _FOLDERS and _take_out(
                    connection, settings, ledger, rule, folder, path, run_id
                )
                is_read = folder in _FOLDERS
            except duckdb.Error:
                is_changed = is_read = False
            if not is_read and (
                rule.takes_all or _written_at(path) < rule.kept_from_without_customer
            ):
                path.unlink()
                is_changed = True
            if is_changed:
                changed.append(str(path.relative_to(settings.home)))
                log.info("quarantined_file_cleaned", path=changed[-1], cause=rule.cause)
    return changed


def _take_out(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    ledger: Ledger,
    rule: Rule,
    folder: str,
    path: Path,
    run_id: str,
) -> bool:
    """Write the file without the rows that go, or unlink it. Returns whether there were any."""
    rows = f"read_parquet({literal(pattern_of(path))}, hive_partitioning = false)"
    goes = is_to_be_deleted(rule, folder, "cast(lake_row.occurred_at as date)")
    joined = f"from {rows} as lake_row left join cutoff using (customer_id)"
    found = connection.execute(
        f"select lake_row.customer_id, count(*) {joined} where {goes} group by 1 order by 1"
    ).fetchall()
    if not found:
        return False
    unfinished = path.with_name(f".{path.name}.tmp")
    kept = connection.execute(
        f"copy (select lake_row.* {joined} where not {goes}) to {literal(str(unfinished))} "
        f"({PARQUET_OPTIONS})"
    ).fetchall()[0][0]
    ledger.record_deletions(
        [
            Deletion(
                run_id,
                customer_id,
                TABLE,
                rule.cause,
                rule.cutoff_of(customer_id),
                count,
                0,
                None,
                None,
                settings.clock(),
            )
            for customer_id, count in found
        ]
    )
    if kept:
        with unfinished.open("rb") as file:
            os.fsync(file.fileno())
        unfinished.rename(path)
    else:
        unfinished.unlink()
        path.unlink()
    sync_folder(path.parent)
    return True


def _written_at(path: Path) -> datetime:
    """The earliest time that what is in the file may be of, as far as its name and file show."""
    written = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    if of_date := _DATE.search(str(path)):
        day = datetime.combine(date.fromisoformat(of_date.group(1)), time.min, tzinfo=UTC)
        return min(written, day)
    return written
