"""The warehouse without what was deleted: DuckDB leaves deleted bytes in its file, so the file is
written anew, and takes the place of the old one by a rename."""

from __future__ import annotations

import os

import structlog

from orchestration.settings import Settings
from orchestration.storage.database import connect
from orchestration.storage.durable import sync_folder
from orchestration.storage.ledger import Ledger
from orchestration.storage.sql import literal, quoted
from orchestration.warehouse import rollups

log = structlog.get_logger()

_SCHEMA = "create table if not exists raw.rewritten (deletion_seq bigint)"


def is_behind(settings: Settings, ledger: Ledger) -> bool:
    """Whether something was deleted since the file was written anew."""
    with rollups.open_warehouse(settings) as warehouse:
        warehouse.execute(_SCHEMA)
        rows = warehouse.execute("select deletion_seq from raw.rewritten").fetchall()
    # Not "greater": a ledger that was restored may have fewer.
    return ledger.newest_deletion_seq() != (rows[0][0] if rows else 0)


def rewrite(settings: Settings, ledger: Ledger) -> None:
    """Write the warehouse anew, of what is in it now; a run that is cut off changes nothing.

    The marts must have been rebuilt since the last deletion. Needs room for the marts once more.
    """
    path = settings.warehouse
    unfinished = path.with_name(f".{path.name}.tmp")
    # Set aside because it could not be opened: the lake has what was in it.
    for leftover in path.parent.glob(f"{path.name}*.broken"):
        leftover.unlink()
    for leftover in path.parent.glob(f"{unfinished.name}*"):
        leftover.unlink()
    with rollups.open_warehouse(settings) as warehouse:
        warehouse.execute(_SCHEMA)
        # They name lake files that are gone; the next build makes them anew.
        for schema, view in warehouse.execute(
            "select schema_name, view_name from duckdb_views() where not internal"
        ).fetchall():
            warehouse.execute(f"drop view {quoted(schema)}.{quoted(view)}")
        warehouse.execute("checkpoint")
    before = path.stat().st_size
    connection = connect(settings)
    try:
        connection.execute(f"attach {literal(str(path))} as warehouse (read_only)")
        connection.execute(f"attach {literal(str(unfinished))} as rewritten")
        connection.execute("copy from database warehouse to rewritten")
        # In the new file only: the old one is never taken for it, wherever this is cut off.
        connection.execute("delete from rewritten.raw.rewritten")
        connection.execute(
            "insert into rewritten.raw.rewritten values (?)", [ledger.newest_deletion_seq()]
        )
        connection.execute("checkpoint rewritten")
        connection.execute("detach rewritten")
    finally:
        connection.close()
    with unfinished.open("rb") as file:
        os.fsync(file.fileno())
    path.with_name(f"{path.name}.wal").unlink(missing_ok=True)
    unfinished.rename(path)
    sync_folder(path.parent)
    log.info("warehouse_rewritten", bytes_before=before, bytes_after=path.stat().st_size)
