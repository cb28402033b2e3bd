"""The first and the newest event of each customer, as landing tells the ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import UTC

import duckdb

from orchestration.database import connect
from orchestration.lake.verified import verified_paths
from orchestration.landing.streams import EVENT_STREAMS
from orchestration.ledger import EventTimes, Ledger
from orchestration.settings import Settings


def event_times_of_file(connection: duckdb.DuckDBPyConnection) -> list[EventTimes]:
    """Those of the good rows in `checked`. Every version of an event counts, whichever came first,
    so that the order of arrival changes nothing."""
    return _event_times(connection, "checked where reason is null")


def book_earlier_events(settings: Settings, ledger: Ledger) -> None:
    """Once for each ledger: book what was accepted by a version that did not book it.

    What retention deleted since is known from the ledger's rows of deletions.
    """
    if ledger.event_times():
        return
    streams = [stream.name for stream in EVENT_STREAMS]
    files = [file for name in streams for file in ledger.lake_files_of(name)]
    paths = verified_paths(settings.lake, ledger, files)
    times = ledger.event_times_of_deleted(streams)
    if paths:
        lake = "read_parquet($paths, hive_partitioning = false, union_by_name = true)"
        with closing(connect(settings)) as connection:
            times += _event_times(connection, lake, {"paths": paths})
    if times:
        ledger.record_event_times(times)


def _event_times(
    connection: duckdb.DuckDBPyConnection,
    source: str,
    parameters: Mapping[str, Sequence[str]] | None = None,
) -> list[EventTimes]:
    rows = connection.execute(
        f"select customer_id, min(occurred_at), max(occurred_at) from {source} "
        "group by customer_id order by customer_id",
        dict(parameters or {}),
    ).fetchall()
    return [
        EventTimes(customer_id, first.replace(tzinfo=UTC), newest.replace(tzinfo=UTC))
        for customer_id, first, newest in rows
    ]
