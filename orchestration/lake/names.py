"""Rows of reference streams, from files that are kept however old they are."""

from __future__ import annotations

from orchestration.contract.streams import Stream
from orchestration.storage.sql import quoted


def rows_of(stream: Stream) -> str:
    """SQL: the rows of the lake files `$paths` of a reference stream.

    A column that the stream was given after a file was written is NULL in the file's rows.
    """
    columns = ", ".join(
        f"cast(null as {kind}) as {quoted(name)}" for name, kind in stream.lake_columns
    )
    return (
        f"(select {columns} where false union all by name "
        "select * from read_parquet($paths, hive_partitioning = false, union_by_name = true))"
    )
