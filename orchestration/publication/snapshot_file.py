"""What is in a snapshot: every mart with its descriptions, the metrics, and the ledgers.

A file is either written from nothing, every mart sorted for its readers; or it is a copy of the
last one, in which the dates that were rebuilt since are replaced. Both hold the same rows.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import xxhash

from orchestration.publication import coverage, prices
from orchestration.publication.descriptions import Description, read_descriptions
from orchestration.publication.metrics import read_metrics
from orchestration.settings import Settings
from orchestration.storage.database import connect
from orchestration.storage.ledger import Deletion, Ledger, Load
from orchestration.storage.sql import literal, quoted
from orchestration.warehouse import dbt
from orchestration.warehouse.reconciliation import RECONCILIATION

# The newest format that DuckDB 1.4 and 1.5, which analysts' tools still carry, can read.
_STORAGE_VERSION = "v1.2.0"

# What each row of a published table is found by, the customer first: the API reads one customer's
# stretch of a table. Tables not named here are small, and sorted by all their columns.
_READ_ORDER = ("customer_id", "occurred_date", "bucket_start")

# A date that is replaced lies apart from where it is sorted: all of its customers at the end of the
# table. Where that is more than this share of all rows, the file is sorted anew; unless it is few
# rows, which are read at once in any order.
_LARGEST_SHARE_APART = 0.25
_FEW_ROWS_APART = 500_000

# To replace some dates takes little, and more would fill with what is only looked through. Each
# thread writes a part of its own.
_UPDATE_MEMORY = "256MB"
_UPDATE_THREADS = 2

# What fits into a processor's cache, so that each byte comes from memory once.
_COPIED_BYTES = 256 * 1024

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
    "received_in_future": "bigint",
    "unknown_columns": "bigint",
    "extra_left_out": "bigint",
    "unknown_time_zones": "bigint",
    "withdrawn": "bigint",
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

_INFO_TYPES = {
    "snapshot_id": "varchar",
    "published_at": "timestamp",
    "data_as_of": "timestamp",
    "marts_version": "varchar",
    "load_seq": "bigint",
    "deletion_seq": "bigint",
    "run_id": "varchar",
    "schema_version": "integer",
    "agentstats_version": "varchar",
    "duckdb_version": "varchar",
    "engine": "varchar",
    "toxicity_threshold": "double",
    "recounted_at": "timestamp",
    "price_book": "varchar",
}


_LOAD_LEDGER = "load_ledger"
_RETENTION_LEDGER = "retention_ledger"
_SNAPSHOT_INFO = "snapshot_info"
_FORECAST_BACKTEST = "forecast_backtest"
# Its model leaves some columns to publication.
_CUSTOMERS = "customers"
# Written by publication itself, and whole each time.
_CONTROL = (_RETENTION_LEDGER, _FORECAST_BACKTEST, _SNAPSHOT_INFO)

_RECOUNTED = RECONCILIATION.removeprefix("tag:")


class NotReusable(Exception):
    """The last file cannot be built upon; the message says why. Every mart is written anew."""


@dataclass(frozen=True)
class Info:
    """What a snapshot says about itself, in the order of its table `snapshot_info`."""

    snapshot_id: str
    published_at: datetime
    data_as_of: datetime | None
    marts_version: str
    load_seq: int
    deletion_seq: int
    run_id: str
    schema_version: int
    agentstats_version: str
    duckdb_version: str
    engine: str
    toxicity_threshold: float
    recounted_at: datetime | None
    price_book: str | None


@dataclass(frozen=True)
class Last:
    """A file that was published, and the digest of its bytes then; the dates that were rebuilt
    since, by stream, and those and all others that were replaced since it was sorted."""

    path: Path
    digest: str
    rebuilt: Mapping[str, Sequence[date]]
    replaced: Mapping[str, Sequence[date]]


def digest_of(path: Path) -> str:
    """A checksum of the file's bytes, which shows damage; no proof against a forger."""
    digest = xxhash.xxh3_128()
    with path.open("rb", buffering=0) as file:
        buffer = memoryview(bytearray(_COPIED_BYTES))
        while read := file.readinto(buffer):
            digest.update(buffer[:read])
    return digest.hexdigest()


def write(target: Path, settings: Settings, ledger: Ledger, info: Info) -> int:
    """Copy every mart, sorted, into a new file. Returns the number of rows of all marts."""
    with _attached(target, settings) as connection:
        connection.execute("create schema snapshot.marts")
        descriptions = read_descriptions(dbt.prepare_manifest(settings))
        rows = sum(
            _copy_sorted(connection, table, ledger, info)
            for table in _marts(connection, descriptions)
        )
        connection.execute("begin")
        _write_load_ledger(connection, ledger.loads(), ledger.touched_dates_by_load())
        _write_retention_ledger(connection, ledger.deletions())
        _write_forecast_backtest(connection)
        _write_info(connection, info)
        prices.write_tables(connection, has_new_price_book=True)
        with _in_use(connection, "snapshot"):
            prices.add_views(connection)
            _add_metrics(connection)
        _describe(connection, descriptions, _columns(connection, "snapshot"))
        connection.execute("commit")
    return rows


def update(target: Path, settings: Settings, ledger: Ledger, info: Info, last: Last) -> int:
    """Copy the last file, and replace in the copy what may have changed since.

    Models and program must be those that it was made by. Returns the number of rows of all marts.
    Raises `NotReusable`, and `duckdb.Error` where the copy cannot be read or written.
    """
    _copy_whole(last, target)
    with _attached(target, settings) as connection:
        connection.execute(f"set memory_limit = '{_UPDATE_MEMORY}'")
        connection.execute(f"set threads = {_UPDATE_THREADS}")
        load_seq, deletion_seq, price_book = connection.execute(
            "select load_seq, deletion_seq, price_book from snapshot.marts.snapshot_info"
        ).fetchall()[0]
        if deletion_seq != info.deletion_seq:
            raise NotReusable("something was deleted since, and deleted rows leave their bytes")
        descriptions = read_descriptions(dbt.prepare_manifest(settings))
        tables = _marts(connection, descriptions)
        _refuse_other_columns(connection, tables)
        streams = {table: descriptions[table].meta.get("stream") for table in tables}
        dated = {table: stream for table, stream in streams.items() if stream}
        _refuse_many(connection, dated, last.replaced)
        connection.execute("begin")
        for table, stream in dated.items():
            _replace_dates(connection, table, last.rebuilt.get(stream, []))
        whole = [
            table
            for table in tables
            # A recount lets every mart be written anew, so since then there was none.
            if table not in dated and _RECOUNTED not in descriptions[table].tags
        ]
        for table in whole:
            connection.execute(f"drop table snapshot.marts.{quoted(table)}")
            _copy_sorted(connection, table, ledger, info)
        _add_to_load_ledger(
            connection, ledger.loads(after=load_seq), ledger.touched_dates_by_load(after=load_seq)
        )
        for table in _CONTROL:
            connection.execute(f"drop table snapshot.marts.{table}")
        _write_retention_ledger(connection, ledger.deletions())
        _write_forecast_backtest(connection)
        _write_info(connection, info)
        priced = prices.write_tables(connection, has_new_price_book=price_book != info.price_book)
        _describe(connection, descriptions, {*whole, *_CONTROL, *priced})
        connection.execute("commit")
        return sum(_same_count(connection, table) for table in tables)


def _copy_whole(last: Last, target: Path) -> None:
    """Copy a file's bytes as they are read, so that what is checked is what is copied."""
    digest = xxhash.xxh3_128()
    with last.path.open("rb", buffering=0) as source, target.open("wb", buffering=0) as copy:
        buffer = memoryview(bytearray(_COPIED_BYTES))
        while read := source.readinto(buffer):
            digest.update(buffer[:read])
            copy.write(buffer[:read])
    if digest.hexdigest() != last.digest:
        raise NotReusable(f"{last.path} is not what was published")


@contextmanager
def _attached(target: Path, settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    """The warehouse and the file to be written, side by side; the file is whole afterwards."""
    with closing(connect(settings)) as connection:
        connection.execute(f"attach {literal(str(settings.warehouse))} as warehouse (read_only)")
        connection.execute(
            f"attach {literal(str(target))} as snapshot (storage_version '{_STORAGE_VERSION}')"
        )
        yield connection
        connection.execute("checkpoint snapshot")
        connection.execute("detach snapshot")


def _marts(
    connection: duckdb.DuckDBPyConnection, descriptions: Mapping[str, Description]
) -> list[str]:
    """The marts that the project has, without what a killed or an older version left there."""
    rows = connection.execute(
        "select table_name from duckdb_tables() "
        "where database_name = 'warehouse' and schema_name = 'marts' order by table_name"
    ).fetchall()
    return [name for (name,) in rows if name in descriptions]


def _columns(connection: duckdb.DuckDBPyConnection, database: str) -> dict[str, dict[str, str]]:
    """The types of the columns of each table in a database's marts, in order."""
    columns: dict[str, dict[str, str]] = {}
    for table, column, kind in connection.execute(
        "select table_name, column_name, data_type from duckdb_columns() "
        "where database_name = ? and schema_name = 'marts' order by table_name, column_index",
        [database],
    ).fetchall():
        columns.setdefault(table, {})[column] = kind
    return columns


def _refuse_other_columns(connection: duckdb.DuckDBPyConnection, tables: Sequence[str]) -> None:
    """Raise `NotReusable` unless the copy has these tables, as the warehouse has them."""
    ours, copied = _columns(connection, "warehouse"), _columns(connection, "snapshot")
    ours = {table: columns for table, columns in ours.items() if table in tables}
    for table in (*_CONTROL, _LOAD_LEDGER, *prices.TABLES, *prices.VIEWS):
        copied.pop(table, None)
    if [(table, list(columns.items())) for table, columns in sorted(ours.items())] != [
        (table, list(columns.items())) for table, columns in sorted(copied.items())
    ]:
        raise NotReusable("it has other tables or columns")


def _refuse_many(
    connection: duckdb.DuckDBPyConnection,
    dated: Mapping[str, str],
    replaced: Mapping[str, Sequence[date]],
) -> None:
    """Raise `NotReusable` where too much of the copy would lie apart from where it is sorted."""
    apart = total = 0
    for table, stream in dated.items():
        of_table = f"from warehouse.marts.{quoted(table)}"
        total += _count(connection, of_table)
        if days := replaced.get(stream):
            apart += _count(connection, f"{of_table} where {_of_dates(days)}")
    if apart > max(_FEW_ROWS_APART, _LARGEST_SHARE_APART * total):
        raise NotReusable(f"{apart} of its {total} rows would lie apart from where they are sorted")


def _replace_dates(connection: duckdb.DuckDBPyConnection, table: str, days: Sequence[date]) -> None:
    """Let the copy have the rows of these dates that the warehouse has now, after all others."""
    if not days:
        return
    connection.execute(f"delete from snapshot.marts.{quoted(table)} where {_of_dates(days)}")
    connection.execute(
        f"insert into snapshot.marts.{quoted(table)} "
        f"select * from warehouse.marts.{quoted(table)} where {_of_dates(days)} "
        f"order by {_read_order(connection, table)}"
    )


def _of_dates(days: Sequence[date]) -> str:
    listed = ", ".join(f"date {literal(day.isoformat())}" for day in days)
    return f"occurred_date in ({listed})"


def _same_count(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    """How many rows of a mart are in the copy. Raises `NotReusable` unless that is all of them."""
    rows, expected = (
        _count(connection, f"from {database}.marts.{quoted(table)}")
        for database in ("snapshot", "warehouse")
    )
    if rows != expected:
        raise NotReusable(f"{table} would have {rows} rows instead of {expected}")
    return rows


def _count(connection: duckdb.DuckDBPyConnection, source: str) -> int:
    return int(connection.execute(f"select count(*) {source}").fetchall()[0][0])


def _copy_sorted(
    connection: duckdb.DuckDBPyConnection, table: str, ledger: Ledger, info: Info
) -> int:
    source = f"warehouse.marts.{quoted(table)}"
    if table == _CUSTOMERS:
        filled = coverage.customers_with_coverage(connection, source, ledger, info.published_at)
        source = f"({filled})"
    copied = connection.execute(
        f"create table snapshot.marts.{quoted(table)} as "
        f"select * from {source} order by {_read_order(connection, table)}"
    ).fetchall()
    return int(copied[0][0])


def _read_order(connection: duckdb.DuckDBPyConnection, table: str) -> str:
    columns = _columns(connection, "warehouse")[table]
    first = [name for name in _READ_ORDER if name in columns]
    return ", ".join(
        quoted(name) for name in first + [name for name in columns if name not in first]
    )


def _write_load_ledger(
    connection: duckdb.DuckDBPyConnection, loads: Sequence[Load], touched: Mapping[int, Any]
) -> None:
    connection.execute(
        f"create table snapshot.marts.{_LOAD_LEDGER} as "
        "select unnest(from_json(?, ?), recursive := true)",
        _ledger_rows(loads, touched),
    )


def _add_to_load_ledger(
    connection: duckdb.DuckDBPyConnection, loads: Sequence[Load], touched: Mapping[int, Any]
) -> None:
    connection.execute(
        f"insert into snapshot.marts.{_LOAD_LEDGER} "
        "select unnest(from_json(?, ?), recursive := true)",
        _ledger_rows(loads, touched),
    )


def _ledger_rows(loads: Sequence[Load], touched: Mapping[int, Any]) -> list[str]:
    """The rows as JSON, and the shape of that."""
    rows = [
        {
            **{name: getattr(load, name) for name in _LEDGER_TYPES if name != "dates_touched"},
            "dates_touched": [day.isoformat() for day in touched.get(load.load_seq or 0, [])],
            "loaded_at": _utc(load.loaded_at),
        }
        for load in loads
    ]
    return [json.dumps(rows), json.dumps([_LEDGER_TYPES])]


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
        f"create table snapshot.marts.{_RETENTION_LEDGER} as "
        "select unnest(from_json(?, ?), recursive := true)",
        [json.dumps(rows), json.dumps([_RETENTION_LEDGER_TYPES])],
    )


def _write_forecast_backtest(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(
        f"create table snapshot.marts.{_FORECAST_BACKTEST} as "
        "select * from warehouse.raw.forecast_backtest order by metric, days_ahead"
    )


def _write_info(connection: duckdb.DuckDBPyConnection, info: Info) -> None:
    values = {
        name: _utc(value) if isinstance(value, datetime) else value
        for name, value in vars(info).items()
    }
    selected = ", ".join(
        f"cast(${name} as {_INFO_TYPES[name]}) as {quoted(name)}" for name in values
    )
    connection.execute(f"create table snapshot.marts.{_SNAPSHOT_INFO} as select {selected}", values)


def _describe(
    connection: duckdb.DuckDBPyConnection,
    descriptions: Mapping[str, Description],
    tables: Collection[str],
) -> None:
    """Let these tables of the file say what they and their columns mean."""
    columns = _columns(connection, "snapshot")
    for table in sorted({*tables} & columns.keys() & descriptions.keys()):
        text = literal(descriptions[table].text)
        kind = "view" if table in prices.VIEWS else "table"
        connection.execute(f"comment on {kind} snapshot.marts.{quoted(table)} is {text}")
        for column in columns[table]:
            if meaning := descriptions[table].columns.get(column):
                connection.execute(
                    f"comment on column snapshot.marts.{quoted(table)}.{quoted(column)} "
                    f"is {literal(meaning)}"
                )


def _add_metrics(connection: duckdb.DuckDBPyConnection) -> None:
    """Bring the metrics along, as macros. The snapshot is the database in use."""
    for metric in read_metrics():
        connection.execute(f"create macro marts.{metric.signature} as {metric.sql}")
        connection.execute(f"comment on macro marts.{metric.name} is {literal(metric.description)}")


@contextmanager
def _in_use(connection: duckdb.DuckDBPyConnection, database: str) -> Iterator[None]:
    """Tables in a macro or view are looked up when it is made, by the names that they have in the
    file."""
    before = str(connection.execute("select current_database()").fetchall()[0][0])
    connection.execute(f"use {database}")
    yield
    connection.execute(f"use {quoted(before)}")


def _utc(instant: datetime | None) -> str | None:
    return instant.replace(tzinfo=None).isoformat(sep=" ") if instant else None
