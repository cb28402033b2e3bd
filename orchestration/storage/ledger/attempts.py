"""The files that are being read: what is left here ended the run that read it."""

from __future__ import annotations

from datetime import datetime

from orchestration.storage.ledger.connection import LedgerConnection, to_text


class AttemptRecords(LedgerConnection):
    """How often each file that waits was begun, and never came to an end."""

    def begin_attempt(
        self, source_file: str, file_bytes: int, file_modified_ns: int, at: datetime
    ) -> int:
        """Record, before it is opened, that a file is read. Returns how often it has been before.

        A file of another size or time is another file.
        """
        with self._transaction() as connection:
            row = connection.execute(
                "select attempts from attempt "
                "where source_file = ? and file_bytes = ? and file_modified_ns = ?",
                (source_file, file_bytes, file_modified_ns),
            ).fetchone()
            before = int(row["attempts"]) if row else 0
            connection.execute(
                "insert or replace into attempt values (?, ?, ?, ?, ?)",
                (source_file, file_bytes, file_modified_ns, before + 1, to_text(at)),
            )
        return before

    def end_attempt(self, source_file: str) -> None:
        """Note that whatever came of the file, it has ended no run."""
        with self._transaction() as connection:
            connection.execute("delete from attempt where source_file = ?", (source_file,))

    def files_attempted(self) -> set[str]:
        """Files in which a run ended."""
        return {row["source_file"] for row in self._connection.execute("select * from attempt")}
