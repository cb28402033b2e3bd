"""The proof of an erasure: every file below the home folder, opened, decoded and searched.

Two searches: rows that carry the customer's id, in whatever holds rows; and words that were only
the customer's (names, ids of events, digests of keys), in decoded text and in the raw bytes.
"""

from __future__ import annotations

import mmap
import re
import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import duckdb
import zstandard

from orchestration.contract.streams import EVENT_STREAMS, REFERENCE_STREAMS, Stream
from orchestration.lake.names import rows_of
from orchestration.lake.verified import verified_paths
from orchestration.landing.files import is_finished
from orchestration.landing.opened import opened, packing_of, unpacked_chunks
from orchestration.settings import Settings
from orchestration.storage.database import connect
from orchestration.storage.ledger import Ledger
from orchestration.storage.sql import literal, quoted

# Enough to find any copy of the data, few enough to look for them in gigabytes.
_IDS_OF_A_STREAM = 20
_NAMES = 200
# A shorter word is found everywhere by chance.
_FEWEST_CHARACTERS = 6
# A pattern of words that are longer is refused as too large.
_MOST_CHARACTERS_OF_A_PATTERN = 500

# These record that the customer was erased; they hold its number, counts and times.
_RECORDS = {"retention_ledger", "deletion"}


@dataclass(frozen=True)
class Hit:
    """Something of the customer that is left: in which file, where in it, and how often."""

    file: str
    where: str
    found: int


@dataclass(frozen=True)
class Proof:
    """What was searched, and what was found. `unfinished` files are still being written by their
    producer, under the landing folder: what will be in them is unknown."""

    files_searched: int
    bytes_searched: int
    words_searched: int
    hits: Sequence[Hit]
    unfinished: Sequence[str]


def words_of(settings: Settings, ledger: Ledger, customer_id: int) -> list[str]:
    """Names, ids and key digests that only this customer has: to be taken before it is erased.

    None of them is a part of another customer's text, such as id-1 of id-10: it would be found in
    the raw bytes of files that are another's.
    """
    words: set[str] = set()
    with closing(connect(settings)) as connection:
        for stream in (*REFERENCE_STREAMS, *EVENT_STREAMS):
            paths = verified_paths(settings.lake, ledger, ledger.lake_files_of(stream.name))
            names = [name for name, _ in stream.lake_columns if name.endswith("_name")]
            if not stream.is_of_customers:
                continue
            for column in names if stream.is_reference else [stream.identity[-1]]:
                if not paths:
                    continue
                limit = _NAMES if stream.is_reference else _IDS_OF_A_STREAM
                words |= {
                    word
                    for (word,) in connection.execute(
                        f"""
                        select distinct {column}
                        from {_rows_of(stream)}
                        where customer_id = $customer_id
                            and length({column}) >= {_FEWEST_CHARACTERS}
                        order by {column}
                        limit {limit}
                        """,
                        {"paths": paths, "customer_id": customer_id},
                    ).fetchall()
                }
        for stream in (*REFERENCE_STREAMS, *EVENT_STREAMS):
            paths = verified_paths(settings.lake, ledger, ledger.lake_files_of(stream.name))
            for column in [name for name, kind in stream.lake_columns if kind == "varchar"]:
                if paths:
                    words -= _parts_of_others(
                        connection, _rows_of(stream), paths, column, customer_id, words
                    )
    if settings.keys_path.exists():
        with closing(sqlite3.connect(f"file:{settings.keys_path}?mode=ro", uri=True)) as keys:
            words |= {
                digest
                for (digest,) in keys.execute(
                    "select key_sha256 from api_keys where customer_id = ?", (customer_id,)
                )
            }
    return sorted(words)


def _rows_of(stream: Stream) -> str:
    if not stream.is_of_customers:
        # Of no customer, so of others.
        return f"(select *, 0 as customer_id from {rows_of(stream)})"
    return rows_of(stream)


def _parts_of_others(
    connection: duckdb.DuckDBPyConnection,
    rows: str,
    paths: list[str],
    column: str,
    customer_id: int,
    words: set[str],
) -> set[str]:
    """Those of the words that are in a value of another customer's column."""
    is_others = "customer_id is distinct from $customer_id"
    of_others = f"(select {column} as value from {rows} where {is_others})"
    given = {"paths": paths, "customer_id": customer_id}
    long = [word for word in words if len(word) > _MOST_CHARACTERS_OF_A_PATTERN]
    found: set[str] = set()
    if long:
        found |= {
            word
            for (word,) in connection.execute(
                f"select distinct word from {of_others} "
                "inner join (select unnest($words) as word) on length(value) >= length(word) "
                "where contains(value, word)",
                {**given, "words": long},
            ).fetchall()
        }
    # A match hides the words that overlap it, so look again without those that were found.
    while left := sorted(words - found - set(long), key=len, reverse=True):
        more = {
            word
            for (word,) in connection.execute(
                f"select distinct unnest(regexp_extract_all(value, $pattern)) from {of_others}",
                {**given, "pattern": "|".join(re.escape(word) for word in left)},
            ).fetchall()
        }
        if not more:
            break
        found |= more
    return found


def search(settings: Settings, customer_id: int, words: Sequence[str]) -> Proof:
    """Look through every file below the home folder."""
    paths = sorted(
        path for path in settings.home.rglob("*") if path.is_file() and not path.is_symlink()
    )
    hits: list[Hit] = []
    with closing(connect(settings)) as connection:
        connection.execute("create table word (word varchar)")
        if words:
            connection.executemany("insert into word values (?)", [[word] for word in words])
        for path in paths:
            name = str(path.relative_to(settings.home))
            hits += [
                Hit(name, where, found)
                for where, found in _hits_in(connection, path, customer_id, words)
            ]
    unfinished = [
        path
        for path in paths
        if settings.landing in path.parents
        and not all(is_finished(Path(part)) for part in path.relative_to(settings.landing).parts)
    ]
    return Proof(
        len(paths),
        sum(path.stat().st_size for path in paths),
        len(words),
        hits,
        [str(path.relative_to(settings.home)) for path in unfinished],
    )


def _hits_in(
    connection: duckdb.DuckDBPyConnection, path: Path, customer_id: int, words: Sequence[str]
) -> Iterator[tuple[str, int]]:
    """(where, how often) in one file."""
    with path.open("rb") as file:
        head = file.read(16)
    if head.startswith(b"PAR1"):
        if path.stem not in _RECORDS:
            with opened(path) as name:
                reader = f"read_parquet({literal(name)}, hive_partitioning = false)"
                yield from _rows_in(connection, reader, "rows", customer_id)
    elif head[8:12] == b"DUCK":
        yield from _tables_in(connection, path, customer_id)
    elif head.startswith(b"SQLite format 3"):
        yield from _sqlite_rows_in(path, customer_id)
    elif packing := packing_of(head):
        try:
            with path.open("rb") as packed:
                text = b"".join(unpacked_chunks(packed, packing))
            yield from _words_in(text, "unpacked text", words)
        except (OSError, EOFError, zlib.error, zstandard.ZstdError):
            yield "cannot be unpacked", 1
    if head:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as raw:
            yield from _words_in(raw, "raw bytes", words)


def _words_in(
    content: bytes | mmap.mmap, where: str, words: Sequence[str]
) -> Iterator[tuple[str, int]]:
    found = sum(content.find(word.encode()) >= 0 for word in words)
    if found:
        yield where, found


def _tables_in(
    connection: duckdb.DuckDBPyConnection, path: Path, customer_id: int
) -> Iterator[tuple[str, int]]:
    connection.execute(f"attach {literal(str(path))} as searched (read_only)")
    try:
        for schema, table in connection.execute(
            "select schema_name, table_name from duckdb_tables() where database_name = 'searched'"
        ).fetchall():
            if table not in _RECORDS:
                relation = f"searched.{quoted(schema)}.{quoted(table)}"
                yield from _rows_in(connection, relation, f"{schema}.{table}", customer_id)
    finally:
        connection.execute("detach searched")


def _rows_in(
    connection: duckdb.DuckDBPyConnection, relation: str, where: str, customer_id: int
) -> Iterator[tuple[str, int]]:
    """Rows with the customer's id, or with a word of the customer's in a column of text."""
    types = {
        name: kind for name, kind, *_ in connection.execute(f"describe from {relation}").fetchall()
    }
    conditions = [
        f"{quoted(name)} in (select word from word)"
        for name, kind in types.items()
        if kind == "VARCHAR"
    ]
    if "original" in types:
        conditions.append("exists (select 1 from word where contains(original, word))")
    if "customer_id" in types:
        conditions.append(f"customer_id = {customer_id}")
    if conditions:
        (found,) = connection.execute(
            f"select count(*) from {relation} where {' or '.join(conditions)}"
        ).fetchall()[0]
        if found:
            yield where, found


def _sqlite_rows_in(path: Path, customer_id: int) -> Iterator[tuple[str, int]]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        tables = [
            name
            for (name,) in database.execute("select name from sqlite_master where type = 'table'")
            if re.fullmatch(r"\w+", name) and name not in _RECORDS
        ]
        for table in tables:
            columns = [column for _, column, *_ in database.execute(f"pragma table_info({table})")]
            if "customer_id" in columns:
                (found,) = database.execute(
                    f"select count(*) from {table} where customer_id = ?", (customer_id,)
                ).fetchone()
                if found:
                    yield table, found
