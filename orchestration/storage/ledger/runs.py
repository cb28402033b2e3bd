"""The executions of the jobs, and what each had to say."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from orchestration.storage.ledger.connection import LedgerConnection, from_text, to_text


@dataclass(frozen=True)
class Run:
    """One execution of a job. `detail` is what it has to say about itself, for `status`."""

    run_id: str
    job: str
    pid: int
    started_at: datetime
    ended_at: datetime | None
    status: str
    detail: Mapping[str, object]


class RunRecords(LedgerConnection):
    """The runs, newest first."""

    def start_run(self, *, run_id: str, job: str, pid: int, at: datetime) -> None:
        """Record the start of a run. The writer lock is taken, so any other "running" is dead."""
        with self._transaction() as connection:
            connection.execute(
                "update run set status = 'interrupted', ended_at = ? where status = 'running'",
                (to_text(at),),
            )
            connection.execute(
                "insert into run (run_id, job, pid, started_at, status, detail) "
                "values (?, ?, ?, ?, 'running', '{}')",
                (run_id, job, pid, to_text(at)),
            )

    def note_in_run(self, run_id: str, detail: Mapping[str, object]) -> None:
        """Add what a step of the run has to say to the run's record."""
        with self._transaction() as connection:
            connection.execute(
                "update run set detail = json_patch(detail, ?) where run_id = ?",
                (json.dumps(detail, default=str), run_id),
            )

    def end_run(
        self, run_id: str, *, succeeded: bool, at: datetime, interrupted: bool = False
    ) -> None:
        """Record the end of a run, which did all it had to, was stopped by a signal, or failed."""
        status = "succeeded" if succeeded else "interrupted" if interrupted else "failed"
        with self._transaction() as connection:
            connection.execute(
                "update run set status = ?, ended_at = ? where run_id = ?",
                (status, to_text(at), run_id),
            )

    def runs(self, limit: int) -> list[Run]:
        """The newest runs, newest first."""
        rows = self._connection.execute("select * from run order by run_seq desc limit ?", (limit,))
        return [_run(row) for row in rows]

    def run(self, run_id: str) -> Run:
        """The run of that id."""
        return _run(
            self._connection.execute("select * from run where run_id = ?", (run_id,)).fetchone()
        )


def _run(row: sqlite3.Row) -> Run:
    return Run(
        row["run_id"],
        row["job"],
        row["pid"],
        from_text(row["started_at"]),
        from_text(row["ended_at"]) if row["ended_at"] else None,
        row["status"],
        json.loads(row["detail"]),
    )
