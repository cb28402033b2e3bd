"""The snapshot: one new, immutable file, then one atomic move of the pointer to it.

Readers never see the warehouse. They open a file that nobody will ever write again, and whose
name says so; so a publication cannot disturb them, nor they it.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import duckdb
import structlog

from orchestration import dbt
from orchestration.database import connect
from orchestration.descriptions import Description, read_descriptions
from orchestration.landing.checks import literal, quoted
from orchestration.landing.lake import sync_folder
from orchestration.ledger import Deletion, Ledger, Load
from orchestration.metrics import read_metrics
from orchestration.settings import Settings

CURRENT = "CURRENT"
LINK = "marts.duckdb"
# DuckDB names a database after its file, and some versions after the link to it: `marts.agents` is
# then ambiguous, because the schema is called marts as well. Through this link it never is.
LINK_OF_ANOTHER_NAME = "agentstats.duckdb"
_LINKS = (LINK, LINK_OF_ANOTHER_NAME)
SCHEMA_VERSION = 1

# The newest format that DuckDB 1.4 and 1.5, which analysts' tools still carry, can read.
_STORAGE_VERSION = "v1.2.0"

# What each row of a published table is found by, the customer first: the API reads one customer's
# stretch of a table. Tables not named here are small, and sorted by all their columns.
_READ_ORDER = ("customer_id", "occurred_date", "bucket_start")

_LEDGER_TYPES = {
    "load_id": "varchar",
    "stream": "varchar",
    "source_file": "varchar",
    "sha256": "varchar",
    "status": "varchar",
    "failure": "varchar",
    "rows_read": "bigint",
    "accepted": "bigint",
    "duplicates": "bigint",
    "rejected": "bigint",
    "conflicting_duplicates": "bigint",
    "total_mismatches": "bigint",
    "rejected_by_reason": "map(varchar, bigint)",
    "unknown_columns": "varchar[]",
    "dates_touched": "date[]",
    "file_bytes": "bigint",
    "loaded_at": "timestamp",
}

_RETENTION_LEDGER_TYPES = {
    "run_id": "varchar",
    "customer_id": "bigint",
    "table_name": "varchar",
    "cause": "varchar",
    "cutoff": "timestamp",
    "rows_deleted": "bigint",
    "oldest_deleted": "timestamp",
    "newest_deleted": "timestamp",
    "deleted_at": "timestamp",
}

log = structlog.get_logger()


@dataclass(frozen=True)
class Snapshot:
    """A published file. `rows` counts those of all its tables."""

    snapshot_id: str
    path: Path
    rows: int
    size_bytes: int


def current_snapshot(snapshots: Path) -> Path | None:
    """The file that CURRENT names, where there is one."""
    try:
        name = (snapshots / CURRENT).read_text().strip()
    except FileNotFoundError:
        return None
    return snapshots / name


@dataclass(frozen=True)
class Content:
    """What a snapshot is of: the newest load in it, the version of the marts, and the newest
    deletion that it is without."""

    load_seq: int
    marts_version: str
    deletion_seq: int


def content_of_marts(ledger: Ledger, marts_version: str) -> Content:
    """What a snapshot would be of, if it was published now."""
    return Content(ledger.newest_load_seq(), marts_version, ledger.newest_deletion_seq())


def published_content(path: Path | None) -> Content | None:
    """What the snapshot is of; None where there is no readable one."""
    if path is None or not path.exists():
        return None
    try:
        with duckdb.connect(str(path), read_only=True) as connection:
            rows = connection.execute(
                "select load_seq, marts_version, deletion_seq from marts.snapshot_info"
            ).fetchall()
    except duckdb.Error as error:
        log.warning("snapshot_unreadable", path=str(path), reason=str(error))
        return None
    return Content(*rows[0])


def finish_publication(snapshots: Path, *, keep: int) -> None:
    """Do what a publication that was cut off left undone, before or after it moved the pointer."""
    for leftover in snapshots.glob(".*.tmp*"):
        leftover.unlink()
    current = current_snapshot(snapshots)
    if current is None or not current.exists():
        return
    if any(os.path.realpath(snapshots / name) != os.path.realpath(current) for name in _LINKS):
        _link_to(current)
    finished_at = current.stat().st_mtime_ns
    for path in snapshots.glob("marts-*.duckdb"):
        if path.stat().st_mtime_ns > finished_at:
            # Whole, but never pointed to: nobody reads it.
            path.unlink()
    _drop_old(snapshots, keep=keep)


def drop_snapshots_before(snapshots: Path, deletion_seq: int) -> list[str]:
    """Unlink the snapshots that hold what was deleted since; never the current one.

    Whoever has one open reads on until it is closed. Returns the names.
    """
    current = current_snapshot(snapshots)
    dropped = []
    for path in sorted(snapshots.glob("marts-*.duckdb")):
        content = published_content(path) if path != current else None
        if path != current and (content is None or content.deletion_seq < deletion_seq):
            path.unlink()
            dropped.append(path.name)
    return dropped


def publish(settings: Settings, ledger: Ledger, *, run_id: str, content: Content) -> Snapshot:
    """Write a snapshot of the marts as they are, point CURRENT to it, and drop the oldest ones."""
    now = settings.clock()
    snapshots = settings.snapshots
    snapshots.mkdir(parents=True, exist_ok=True)
    snapshot_id = f"{now:%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:8]}"
    path = snapshots / f"marts-{snapshot_id}.duckdb"
    unfinished = snapshots / f".{path.name}.tmp"
    rows = _write(
        unfinished,
        settings,
        ledger,
        snapshot_id=snapshot_id,
        run_id=run_id,
        content=content,
        now=now,
    )
    with unfinished.open("rb") as file:
        os.fsync(file.fileno())
    unfinished.rename(path)
    _point_to(path)
    _drop_old(snapshots, keep=settings.snapshots_kept)
    log.info("published", snapshot_id=snapshot_id, rows=rows, bytes=path.stat().st_size)
    return Snapshot(snapshot_id, path, rows, path.stat().st_size)


def _write(
    target: Path,
    settings: Settings,
    ledger: Ledger,
    *,
    snapshot_id: str,
    run_id: str,
    content: Content,
    now: datetime,
) -> int:
    """Copy every mart, sorted, into a new file. Returns the number of rows."""
    connection = connect(settings)
    try:
        connection.execute(f"attach {literal(str(settings.warehouse))} as warehouse (read_only)")
        connection.execute(
            f"attach {literal(str(target))} as snapshot (storage_version '{_STORAGE_VERSION}')"
        )
        connection.execute("create schema snapshot.marts")
        descriptions = read_descriptions(dbt.prepare_manifest())
        rows = sum(_copy(connection, table) for table in _marts(connection, descriptions))
        _write_load_ledger(connection, ledger.loads(), ledger.touched_dates_by_load())
        _write_retention_ledger(connection, ledger.deletions())
        _write_info(
            connection,
            {
                "snapshot_id": snapshot_id,
                "published_at": _utc(now),
                "data_as_of": _utc(ledger.newest_load_at()),
                "marts_version": content.marts_version,
                "load_seq": content.load_seq,
                "deletion_seq": content.deletion_seq,
                "run_id": run_id,
                "schema_version": SCHEMA_VERSION,
                "agentstats_version": version("agentstats"),
                "duckdb_version": duckdb.__version__,
                "engine": settings.engine,
                "toxicity_threshold": settings.toxicity_threshold,
            },
        )
        _explain(connection, descriptions)
        connection.execute("checkpoint snapshot")
        connection.execute("detach snapshot")
    finally:
        connection.close()
    return rows


def _marts(
    connection: duckdb.DuckDBPyConnection, descriptions: Mapping[str, Description]
) -> list[str]:
    """The marts that the project has, without what a killed or an older version left there."""
    rows = connection.execute(
        "select table_name from duckdb_tables() "
        "where database_name = 'warehouse' and schema_name = 'marts' order by table_name"
    ).fetchall()
    return [name for (name,) in rows if name in descriptions]


def _copy(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    columns = [
        name
        for (name,) in connection.execute(
            "select column_name from duckdb_columns() where database_name = 'warehouse' "
            "and schema_name = 'marts' and table_name = ? order by column_index",
            [table],
        ).fetchall()
    ]
    first = [name for name in _READ_ORDER if name in columns]
    order = [quoted(name) for name in first + [name for name in columns if name not in first]]
    copied = connection.execute(
        f"create table snapshot.marts.{quoted(table)} as "
        f"select * from warehouse.marts.{quoted(table)} order by {', '.join(order)}"
    ).fetchall()
    return int(copied[0][0])


def _write_load_ledger(
    connection: duckdb.DuckDBPyConnection,
    loads: Sequence[Load],
    touched: dict[int, Any],
) -> None:
    rows = [
        {
            **{name: getattr(load, name) for name in _LEDGER_TYPES if name != "dates_touched"},
            "unknown_columns": list(load.unknown_columns),
            "dates_touched": [day.isoformat() for day in touched.get(load.load_seq or 0, [])],
            "loaded_at": _utc(load.loaded_at),
        }
        for load in loads
    ]
    connection.execute(
        "create table snapshot.marts.load_ledger as "
        "select unnest(from_json(?, ?), recursive := true)",
        [json.dumps(rows), json.dumps([_LEDGER_TYPES])],
    )


def _write_retention_ledger(
    connection: duckdb.DuckDBPyConnection, deletions: Sequence[Deletion]
) -> None:
    rows = [
        {
            "run_id": deletion.run_id,
            "customer_id": deletion.customer_id,
            "table_name": deletion.table_name,
            "cause": deletion.cause,
            "cutoff": _utc(deletion.cutoff),
            "rows_deleted": deletion.rows,
            "oldest_deleted": _utc(deletion.oldest),
            "newest_deleted": _utc(deletion.newest),
            "deleted_at": _utc(deletion.deleted_at),
        }
        for deletion in deletions
    ]
    connection.execute(
        "create table snapshot.marts.retention_ledger as "
        "select unnest(from_json(?, ?), recursive := true)",
        [json.dumps(rows), json.dumps([_RETENTION_LEDGER_TYPES])],
    )


def _write_info(connection: duckdb.DuckDBPyConnection, info: dict[str, object]) -> None:
    types = {
        "published_at": "timestamp",
        "data_as_of": "timestamp",
        "load_seq": "bigint",
        "deletion_seq": "bigint",
        "schema_version": "integer",
        "toxicity_threshold": "double",
    }
    values = ", ".join(
        f"cast(${name} as {types.get(name, 'varchar')}) as {quoted(name)}" for name in info
    )
    connection.execute(f"create table snapshot.marts.snapshot_info as select {values}", info)


def _explain(
    connection: duckdb.DuckDBPyConnection, descriptions: Mapping[str, Description]
) -> None:
    """Let the file say what its tables and columns mean, and bring the metrics along as macros."""
    columns = connection.execute(
        "select table_name, column_name from duckdb_columns() "
        "where database_name = 'snapshot' and schema_name = 'marts'"
    ).fetchall()
    connection.execute("begin")
    for table in sorted({table for table, _ in columns} & descriptions.keys()):
        text = literal(descriptions[table].text)
        connection.execute(f"comment on table snapshot.marts.{quoted(table)} is {text}")
    for table, column in columns:
        meaning = descriptions[table].columns.get(column) if table in descriptions else None
        if meaning:
            connection.execute(
                f"comment on column snapshot.marts.{quoted(table)}.{quoted(column)} "
                f"is {literal(meaning)}"
            )
    for metric in read_metrics():
        connection.execute(f"create macro snapshot.marts.{metric.signature} as {metric.sql}")
        connection.execute(
            f"comment on macro snapshot.marts.{metric.name} is {literal(metric.description)}"
        )
    connection.execute("commit")


def _point_to(path: Path) -> None:
    """Make `path` the current snapshot: one rename for the API, two for analysts."""
    snapshots = path.parent
    pointer = snapshots / f".{CURRENT}.tmp"
    with pointer.open("w") as file:
        file.write(path.name + "\n")
        file.flush()
        os.fsync(file.fileno())
    # The file's own name must be on disk before anything points to it.
    sync_folder(snapshots)
    pointer.rename(snapshots / CURRENT)
    _link_to(path)


def _link_to(path: Path) -> None:
    """Let the links lead to `path`; each is replaced in one step."""
    for name in _LINKS:
        link = path.parent / f".{name}.tmp"
        link.symlink_to(path.name)
        link.rename(path.parent / name)
    sync_folder(path.parent)


def _drop_old(snapshots: Path, *, keep: int) -> None:
    """Unlink all but the newest files; whoever has one open reads on undisturbed."""
    current = current_snapshot(snapshots)
    by_age = sorted(snapshots.glob("marts-*.duckdb"), key=lambda path: path.stat().st_mtime_ns)
    for path in by_age[:-keep]:
        if path != current:
            path.unlink()


def _utc(instant: datetime | None) -> str | None:
    return instant.replace(tzinfo=None).isoformat(sep=" ") if instant else None
