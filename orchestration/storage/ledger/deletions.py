"""The deletions: what went, of whom, from where, and why. Rows are added, and never changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from orchestration.storage.ledger.connection import LedgerConnection, from_text, to_text
from orchestration.storage.ledger.lake import LakeFile, insert_lake_files, insert_touches

Cause = Literal["retention", "erasure"]


@dataclass(frozen=True)
class Deletion:
    """Rows of one customer that went from one table. Instants are aware and in UTC.

    `customer_id` is None for rows whose customer could not be read. `events` counts the distinct
    events among the `rows`, which may be further versions of one another. `cutoff` is the first
    instant that was kept.
    """

    run_id: str
    customer_id: int | None
    table_name: str
    cause: Cause
    cutoff: datetime
    rows: int
    events: int
    oldest: datetime | None
    newest: datetime | None
    deleted_at: datetime


@dataclass(frozen=True)
class Replacement:
    """Lake files that one step takes out, and those that hold what is left of them.

    An added file carries the number of the load whose rows it holds.
    """

    removed: Sequence[str]
    added: Sequence[tuple[LakeFile, int]]


class DeletionRecords(LedgerConnection):
    """What was deleted, oldest first."""

    def record_deletions(self, deletions: Sequence[Deletion]) -> None:
        """Record deletions of what is not in the lake, or announce one."""
        with self._transaction():
            self._insert_deletions(deletions)

    def replace_lake_files(
        self,
        replacement: Replacement,
        *,
        touched: tuple[str, date | None] | None,
        deletions: Sequence[Deletion],
    ) -> None:
        """Let the added lake files count instead of the removed ones, all or nothing.

        `touched` is the stream and event date whose marts have to be rebuilt.
        """
        with self._transaction() as connection:
            removed = [(path,) for path in replacement.removed]
            connection.executemany("delete from lake_file where path = ?", removed)
            # Made of nothing: whoever finds them there may unlink them.
            connection.executemany(
                "insert or replace into lake_rewrite (path, made_of) values (?, '[]')", removed
            )
            for file, load_seq in replacement.added:
                insert_lake_files(connection, load_seq, [file])
            if touched:
                insert_touches(connection, None, [touched])
            self._insert_deletions(deletions)

    def newest_deletion_seq(self) -> int:
        """The number of the newest deletion; 0 where there is none."""
        (newest,) = self._connection.execute(
            "select coalesce(max(deletion_seq), 0) from deletion"
        ).fetchone()
        return int(newest)

    def deletions(self) -> list[Deletion]:
        """One for each run, customer, table, cause and cutoff, by when it was done."""
        rows = self._connection.execute(
            "select run_id, customer_id, table_name, cause, cutoff, sum(rows) as rows, "
            "sum(events) as events, min(oldest) as oldest, max(newest) as newest, "
            "max(deleted_at) as deleted_at from deletion "
            "group by run_id, customer_id, table_name, cause, cutoff order by min(deletion_seq)"
        )
        return [
            Deletion(
                row["run_id"],
                row["customer_id"],
                row["table_name"],
                row["cause"],
                from_text(row["cutoff"]),
                row["rows"],
                row["events"],
                from_text(row["oldest"]) if row["oldest"] else None,
                from_text(row["newest"]) if row["newest"] else None,
                from_text(row["deleted_at"]),
            )
            for row in rows
        ]

    def deleted_events(self) -> dict[str, int]:
        """Distinct events that were deleted, by stream."""
        rows = self._connection.execute(
            "select table_name, sum(events) from deletion group by table_name"
        )
        return {table: int(events) for table, events in rows}

    def kept_from(self, cause: Cause | None = None) -> dict[int, datetime]:
        """The latest cutoff that a deletion ever had, by customer: nothing older comes back."""
        rows = self._connection.execute(
            "select customer_id, max(cutoff) from deletion where customer_id is not null "
            "and cause = coalesce(?, cause) group by customer_id",
            (cause,),
        )
        return {customer_id: from_text(cutoff) for customer_id, cutoff in rows}

    def _insert_deletions(self, deletions: Sequence[Deletion]) -> None:
        self._connection.executemany(
            "insert into deletion (run_id, customer_id, table_name, cause, cutoff, rows, events, "
            "oldest, newest, deleted_at) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    deletion.run_id,
                    deletion.customer_id,
                    deletion.table_name,
                    deletion.cause,
                    to_text(deletion.cutoff),
                    deletion.rows,
                    deletion.events,
                    to_text(deletion.oldest) if deletion.oldest else None,
                    to_text(deletion.newest) if deletion.newest else None,
                    to_text(deletion.deleted_at),
                )
                for deletion in deletions
            ],
        )
