"""Rows of lake files, however old: a stream may have been given columns since."""

from __future__ import annotations

from orchestration.contract.streams import DELETED, NOTHING_SAID, Stream
from orchestration.storage.sql import quoted


def identity_of_event(stream: Stream, relation: str, *, has_withdrawals: bool = True) -> str:
    """SQL: what is accepted once of a customer and date: an event, or its withdrawal."""
    identity = f"{relation}.{quoted(stream.identity[-1])}"
    is_withdrawal = f"coalesce({relation}.{DELETED}, false)" if has_withdrawals else "false"
    return f"row({identity}, {is_withdrawal})"


def rows_of(stream: Stream, paths: str = "$paths") -> str:
    """SQL: the rows of a stream's lake files, of which `paths` is the list.

    A column that the stream was given after a file was written says in the file's rows what it says
    where nothing is said. Read otherwise, the columns of all files would be those of the first.
    """
    columns = ", ".join(
        f"cast(null as {kind}) as {quoted(name)}" for name, kind in stream.lake_columns
    )
    said = ", ".join(
        f"coalesce({quoted(column.name)}, {NOTHING_SAID[column.kind]}) as {quoted(column.name)}"
        for column in stream.columns
        if column.kind in NOTHING_SAID
    )
    replaced = f" replace ({said})" if said else ""
    return (
        f"(select *{replaced} from (select {columns} where false union all by name "
        f"select * from read_parquet({paths}, hive_partitioning = false, union_by_name = true)))"
    )
