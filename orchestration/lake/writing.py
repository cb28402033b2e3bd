"""Writing the lake: a file appears under its name whole, or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path

import duckdb

from orchestration.contract.streams import Stream
from orchestration.storage.durable import make_folder, sync_folder
from orchestration.storage.ledger import LakeFile
from orchestration.storage.sql import literal, quoted

REJECTED_FOLDER = "rejected_rows"
COUNTS_FOLDER = "delivery_counts"

# Against level 3, the default, a file lands in a tenth less time and takes 2 % more room; level 1
# saves no more time, and takes 5 %.
PARQUET_OPTIONS = "format parquet, compression zstd, compression_level 2"


def partition(stream_name: str, day: date) -> str:
    """The folder of one event date, relative to the lake."""
    return f"{stream_name}/occurred_date={day.isoformat()}"


def write_good_rows(
    connection: duckdb.DuckDBPyConnection,
    stream: Stream,
    load_id: str,
    lake: Path,
    dates: Sequence[date],
) -> list[LakeFile]:
    """Write the rows of `checked` that are good and not `dropped`; `judge` has filled those.

    Events go to a file for each date, sorted by customer and time, so that one customer's rows
    lie together; reference rows to one file. Each row says which load brought it.
    """
    columns = ", ".join(quoted(name) for name, _ in stream.lake_columns)
    more = f"extra, {literal(load_id)} as load_id"
    written = "reason is null and rowid not in (select row from dropped)"
    if stream.is_reference:
        path = f"{stream.name}/{load_id}.parquet"
        query = f"select {columns}, {more} from checked where {written} order by {columns}"
        return write_file(connection, query, path, stream.name, None, lake)
    # The row's number makes the order total, so that the same file gives the same bytes.
    order = "customer_id, occurred_at, row_number"
    is_repeat = "rowid in (select row from kept_versions) as is_repeat"
    rows = f"select *, {is_repeat} from checked where {written}"
    source = f"({rows})"
    if len(dates) > 1:
        # Sorted by date once, so that each date's file reads its own stretch only.
        connection.execute(
            f"create or replace temp table to_write as {rows} order by occurred_date, {order}"
        )
        source = "to_write"
    lake_files: list[LakeFile] = []
    for day in dates:
        query = (
            f"select {columns}, is_repeat, {more} from {source} "
            f"where occurred_date = date {literal(day.isoformat())} "
            f"order by {order}"
        )
        path = f"{partition(stream.name, day)}/{load_id}.parquet"
        lake_files += write_file(connection, query, path, stream.name, day, lake)
    return lake_files


def write_rejected_rows(
    connection: duckdb.DuckDBPyConnection,
    stream: Stream,
    load_id: str,
    source_file: str,
    now: datetime,
    lake: Path,
) -> list[LakeFile]:
    """Keep every rejected row with its file, number, reason and text as delivered.

    `customer_id` and `occurred_at` are there where they could be read, so that retention and
    erasure find rejected rows too.
    """
    occurred_at = "cast(null as timestamp)" if stream.is_reference else "occurred_at"
    query = f"""
        select
            {literal(stream.name)} as stream,
            {literal(load_id)} as load_id,
            {literal(source_file)} as source_file,
            row_number,
            reason,
            original,
            customer_id,
            {occurred_at} as occurred_at,
            timestamp {literal(now.replace(tzinfo=None).isoformat(sep=" "))} as rejected_at
        from checked
        where reason is not null
        order by row_number
    """
    path = f"{REJECTED_FOLDER}/{stream.name}/{load_id}.parquet"
    return write_file(connection, query, path, REJECTED_FOLDER, None, lake)


def write_counts(
    connection: duckdb.DuckDBPyConnection, stream_name: str, load_id: str, lake: Path
) -> list[LakeFile]:
    """Write what came of the rows of `counted`, a file for each date, sorted as events are.

    `occurred_at` is the newest time that a row stands for; all of them are of one quarter hour.
    """
    days = connection.execute("select distinct occurred_date from counted order by 1").fetchall()
    lake_files: list[LakeFile] = []
    for (day,) in days:
        query = f"""
            select {literal(stream_name)} as stream, * exclude (occurred_date)
            from counted
            where occurred_date = date {literal(day.isoformat())}
            order by customer_id, occurred_at, reason, is_dated
        """
        path = f"{partition(COUNTS_FOLDER, day)}/{stream_name}-{load_id}.parquet"
        lake_files += write_file(connection, query, path, COUNTS_FOLDER, day, lake)
    return lake_files


def write_file(
    connection: duckdb.DuckDBPyConnection,
    query: str,
    path: str,
    folder: str,
    occurred_date: date | None,
    lake: Path,
) -> list[LakeFile]:
    """Write the query's rows to `lake/path`; no file for no rows."""
    target = lake / path
    make_folder(target.parent)
    unfinished = target.with_name(f".{target.name}.tmp")
    copied = connection.execute(
        f"copy ({query}) to {literal(str(unfinished))} ({PARQUET_OPTIONS})"
    ).fetchall()
    rows = int(copied[0][0])
    if rows == 0:
        unfinished.unlink()
        return []
    with unfinished.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        size = file.tell()
        os.fsync(file.fileno())
    unfinished.rename(target)
    sync_folder(target.parent)
    return [LakeFile(path, folder, occurred_date, rows, size, digest)]


def take_in(room: Path, lake_files: Sequence[LakeFile], lake: Path) -> None:
    """Move files that a child process wrote to a room of its own to where they belong.

    Raises OSError where one of them is not what the child said that it wrote.
    """
    for file in lake_files:
        written, target = room / file.path, lake / file.path
        with written.open("rb") as content:
            if hashlib.file_digest(content, "sha256").hexdigest() != file.sha256:
                raise OSError(errno.EIO, "has other bytes than were written to it", str(written))
        make_folder(target.parent)
        unfinished = target.with_name(f".{target.name}.tmp")
        # A rename where it can be, a copy where the lake is a file system of its own.
        shutil.move(written, unfinished)
        with unfinished.open("rb") as moved:
            os.fsync(moved.fileno())
        unfinished.rename(target)
    for folder in sorted({(lake / file.path).parent for file in lake_files}):
        sync_folder(folder)
