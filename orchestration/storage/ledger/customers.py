"""When each customer's events occurred: the first and the newest ever accepted.

Retention deletes events and leaves this, so that a customer's beginning is still known after it;
erasure takes it with everything else of the customer.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from orchestration.storage.ledger.connection import LedgerConnection, from_text, to_text


@dataclass(frozen=True)
class EventTimes:
    """The first and the newest `occurred_at` of a customer's events. Aware, in UTC."""

    customer_id: int
    first_event_at: datetime
    newest_event_at: datetime


def insert_event_times(connection: sqlite3.Connection, times: Iterable[EventTimes]) -> None:
    """Record what was accepted, inside of the caller's transaction: it only ever widens a span."""
    connection.executemany(
        "insert into customer_events (customer_id, first_event_at, newest_event_at) "
        "values (?, ?, ?) on conflict (customer_id) do update set "
        "first_event_at = min(first_event_at, excluded.first_event_at), "
        "newest_event_at = max(newest_event_at, excluded.newest_event_at)",
        [
            (each.customer_id, to_text(each.first_event_at), to_text(each.newest_event_at))
            for each in times
        ],
    )


class CustomerRecords(LedgerConnection):
    """The customers of whom an event was ever accepted."""

    def event_times(self) -> list[EventTimes]:
        """One for each customer, by customer."""
        rows = self._connection.execute(
            "select customer_id, first_event_at, newest_event_at from customer_events "
            "order by customer_id"
        )
        return [EventTimes(row[0], from_text(row[1]), from_text(row[2])) for row in rows]

    def delete_event_times(self, customer_id: int) -> None:
        """Let the customer begin anew with the next event that is accepted."""
        with self._transaction() as connection:
            connection.execute("delete from customer_events where customer_id = ?", (customer_id,))
