"""What a run hands to Spark as files, and what Spark hands back.

Out: small tables, of what to rebuild and what was lost. Back: the rows of every mart that was
built, which replace those of the same dates in the warehouse. From there on nothing knows of Spark:
the warehouse holds what DuckDB would have put there, and publication copies it.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import duckdb
import structlog

from orchestration.settings import Settings
from orchestration.storage.sql import literal, quoted

# The folder of marts that come back whole; the other folders are named after a stream.
WHOLE = "whole"
HANDED_OVER = (
    "run_context",
    "identity_key",
    "attributes",
    "touched_dates",
    "repriced_dates",
    "lake_files",
    "lake_losses",
    "rates",
    "price_contexts",
)

log = structlog.get_logger()


def hand_over(settings: Settings, warehouse: duckdb.DuckDBPyConnection) -> None:
    """Write what the warehouse says of this run to files; nothing of another run stays."""
    shutil.rmtree(settings.spark_exchange, ignore_errors=True)
    for table in HANDED_OVER:
        path = settings.spark_exchange / "handed_over" / table / "rows.parquet"
        path.parent.mkdir(parents=True)
        # Paths as the cluster knows them: relative to the lake.
        rows = (
            f"(select * replace (path[{len(str(settings.lake)) + 2}:] as path) from raw.{table})"
            if table == "lake_files"
            else f"raw.{table}"
        )
        warehouse.execute(f"copy (from {rows}) to {literal(str(path))} (format parquet)")


def take_back(settings: Settings, warehouse: duckdb.DuckDBPyConnection) -> None:
    """Put what Spark built into the warehouse, all of it or nothing, and remove the files."""
    rows = 0
    warehouse.execute("begin")
    for folder in sorted(handed_back(settings).glob("*/*")):
        schema, _, table = folder.name.partition(".")
        warehouse.execute(f"create schema if not exists {quoted(schema)}")
        replace = _replace_all if folder.parent.name == WHOLE else _replace_dates
        rows += replace(warehouse, schema, table, folder)
    warehouse.execute("commit")
    log.info("copied_from_spark", rows=rows)
    shutil.rmtree(settings.spark_exchange)


def handed_back(settings: Settings) -> Path:
    """Where Spark puts the rows of each mart, as <whole or stream>/<schema>.<table>/."""
    return settings.spark_exchange / "handed_back"


def begin(settings: Settings) -> None:
    """Note that a build is under way, for the next run to find if this one is cut off."""
    settings.spark_tables.mkdir(parents=True, exist_ok=True)
    _note_of_build(settings).touch()


def end(settings: Settings) -> None:
    """Note that everything which was begun is finished."""
    _note_of_build(settings).unlink()


def was_cut_off(settings: Settings) -> bool:
    """Whether the last build did not come to its end."""
    return _note_of_build(settings).exists()


def drop_tables(settings: Settings) -> None:
    """Remove the files of tables that Spark no longer knows, and what cut-off jobs left there."""
    shutil.rmtree(settings.spark_tables, ignore_errors=True)


def remove_unfinished(settings: Settings, dropped: Sequence[tuple[str, str]]) -> None:
    """Remove what statements that were cut off had written so far, and nothing will ever read.

    `dropped` names tables (schema, table) that Spark does not know any more: it makes none where
    files are left, and a driver that dies while it makes one leaves files.
    """
    for schema, table in dropped:
        shutil.rmtree(settings.spark_tables / schema / table, ignore_errors=True)
    for unfinished in settings.spark_tables.glob("*/*/.spark-staging-*"):
        shutil.rmtree(unfinished)


def _note_of_build(settings: Settings) -> Path:
    return settings.spark_tables / ".unfinished"


def _replace_all(
    warehouse: duckdb.DuckDBPyConnection, schema: str, table: str, folder: Path
) -> int:
    name = f"{quoted(schema)}.{quoted(table)}"
    if _is_view(warehouse, schema, table):
        warehouse.execute(f"drop view {name}")
    return _count(
        warehouse.execute(f"create or replace table {name} as from {_rows(folder)}").fetchall()
    )


def _replace_dates(
    warehouse: duckdb.DuckDBPyConnection, schema: str, table: str, folder: Path
) -> int:
    name = f"{quoted(schema)}.{quoted(table)}"
    days = warehouse.execute(
        "select cast(occurred_date as varchar) from raw.touched_dates where stream = ?",
        [folder.parent.name],
    ).fetchall()
    if days:
        # Literals, so that the delete skips all other dates.
        listed = ", ".join(f"date {literal(day)}" for (day,) in days)
        warehouse.execute(f"delete from {name} where occurred_date in ({listed})")
    return _count(warehouse.execute(f"insert into {name} by name from {_rows(folder)}").fetchall())


def _rows(folder: Path) -> str:
    return f"read_parquet({literal(str(folder / '*.parquet'))}, hive_partitioning = false)"


def _count(result: Sequence[tuple[int]]) -> int:
    return int(result[0][0])


def _is_view(warehouse: duckdb.DuckDBPyConnection, schema: str, table: str) -> bool:
    return bool(
        warehouse.execute(
            "select 1 from duckdb_views() where schema_name = ? and view_name = ?", [schema, table]
        ).fetchall()
    )
