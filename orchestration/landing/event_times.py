"""The first and the newest event of each customer in a landing file."""

from __future__ import annotations

from datetime import UTC

import duckdb

from orchestration.contract.streams import DELETED
from orchestration.storage.ledger import EventTimes


def event_times_of_file(connection: duckdb.DuckDBPyConnection) -> list[EventTimes]:
    """Those of the good rows in `checked` that bring an event. Every version of an event counts,
    whichever came first, so that the order of arrival changes nothing."""
    rows = connection.execute(
        "select customer_id, min(occurred_at), max(occurred_at) from checked where reason is null "
        f"and {DELETED} is not true group by customer_id order by customer_id"
    ).fetchall()
    return [
        EventTimes(customer_id, first.replace(tzinfo=UTC), newest.replace(tzinfo=UTC))
        for customer_id, first, newest in rows
    ]
