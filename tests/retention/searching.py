"""Looking for a text in every file below a folder, whatever the file is packed in.

It shares no code with the product's own search.
"""

from __future__ import annotations

import gzip
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import duckdb


def files_that_hold(home: Path, needles: Sequence[str]) -> dict[str, list[str]]:
    """The files that hold any of the texts, decoded or in their raw bytes, with those texts."""
    found: dict[str, list[str]] = {}
    for path in sorted(home.rglob("*")):
        if not path.is_file():
            continue
        texts = [path.read_bytes(), str(path).encode(), *decoded(path)]
        here = [needle for needle in needles if any(needle.encode() in text for text in texts)]
        if here:
            found[str(path.relative_to(home))] = here
    return found


def decoded(path: Path) -> list[bytes]:
    """What a Parquet, DuckDB, SQLite or gzipped file holds, as text."""
    head = path.read_bytes()[:16]
    if head[:4] == b"PAR1":
        with duckdb.connect() as connection:
            return [_rows(connection, f"from read_parquet('{path}', hive_partitioning = false)")]
    if head[8:12] == b"DUCK":
        with duckdb.connect(str(path), read_only=True) as connection:
            tables = connection.execute(
                "select schema_name, table_name from duckdb_tables()"
            ).fetchall()
            return [_rows(connection, f'from "{schema}"."{table}"') for schema, table in tables]
    if head.startswith(b"SQLite format 3"):
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            return ["\n".join(database.iterdump()).encode()]
    if head[:2] == b"\x1f\x8b":
        return [gzip.decompress(path.read_bytes())]
    return []


def _rows(connection: duckdb.DuckDBPyConnection, query: str) -> bytes:
    return "\n".join(str(row) for row in connection.execute(query).fetchall()).encode()
