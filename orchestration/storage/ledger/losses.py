"""The losses: lake files that were given up, and what was in them. Rows are only added."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from orchestration.storage.ledger.connection import from_text, to_text
from orchestration.storage.ledger.deletions import DeletionRecords
from orchestration.storage.ledger.lake import LakeFile, insert_touches


@dataclass(frozen=True)
class LossAmount:
    """What of a measure was lost, of one customer and UTC date; below 0 where the count of what was
    delivered is lost. The measure `events` are accepted events."""

    stream: str
    customer_id: int
    occurred_date: date
    measure: str
    lost: int


@dataclass(frozen=True)
class LostFile:
    """A lake file that was given up, as the ledger had recorded it. Instants are in UTC."""

    path: str
    folder: str
    occurred_date: date | None
    rows: int
    bytes: int
    sha256: str
    state: str
    forgotten_at: datetime


class LossRecords(DeletionRecords):
    """What was lost, oldest first."""

    def record_losses(
        self,
        files: Sequence[tuple[LakeFile, str]],
        amounts: Sequence[LossAmount],
        *,
        touched: Sequence[tuple[str, date | None]],
        at: datetime,
    ) -> None:
        """Let files (each with its state) count no more, and record what was in all of them; the
        places `touched` are rebuilt by the next run. All or nothing."""
        with self._transaction() as connection:
            deletion_seq = self.newest_deletion_seq()
            for file, state in files:
                loss_seq = connection.execute(
                    "insert into lake_loss (path, folder, occurred_date, rows, bytes, sha256, "
                    "state, forgotten_at, deletion_seq) values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        file.path,
                        file.folder,
                        file.occurred_date.isoformat() if file.occurred_date else None,
                        file.rows,
                        file.bytes,
                        file.sha256,
                        state,
                        to_text(at),
                        deletion_seq,
                    ),
                ).lastrowid
                connection.execute("delete from lake_file where path = ?", (file.path,))
            connection.executemany(
                "insert into lake_loss_amount (loss_seq, stream, customer_id, occurred_date, "
                "measure, lost) values (?, ?, ?, ?, ?, ?)",
                [
                    (
                        loss_seq,
                        amount.stream,
                        amount.customer_id,
                        amount.occurred_date.isoformat(),
                        amount.measure,
                        str(amount.lost),
                    )
                    for amount in amounts
                ],
            )
            insert_touches(connection, None, touched)

    def lost_files(self) -> list[LostFile]:
        """Every file that was given up, oldest first."""
        return [
            LostFile(
                row["path"],
                row["folder"],
                date.fromisoformat(row["occurred_date"]) if row["occurred_date"] else None,
                row["rows"],
                row["bytes"],
                row["sha256"],
                row["state"],
                from_text(row["forgotten_at"]),
            )
            for row in self._connection.execute("select * from lake_loss order by loss_seq")
        ]

    def losses(self, *, deleted_since: bool = False) -> list[LossAmount]:
        """What is lost of what is kept; with `deleted_since`, of dates that were deleted after it:
        their counts went with them. What was deleted before it had come again, by a legal hold."""
        rows = self._connection.execute(
            "select amount.*, (select max(cutoff) from deletion "
            "where deletion.customer_id = amount.customer_id "
            "and deletion.deletion_seq > loss.deletion_seq) as kept_from "
            "from lake_loss_amount as amount join lake_loss as loss using (loss_seq) "
            "order by amount.rowid"
        ).fetchall()
        return [
            LossAmount(
                row["stream"],
                row["customer_id"],
                date.fromisoformat(row["occurred_date"]),
                row["measure"],
                int(row["lost"]),
            )
            for row in rows
            if (row["occurred_date"] < (row["kept_from"] or "")[:10]) is deleted_since
        ]
