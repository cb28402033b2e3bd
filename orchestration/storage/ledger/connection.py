"""The open `ledger.db`: its connection, its transactions, and how it writes an instant."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from orchestration.errors import AgentstatsError
from orchestration.storage.durable import make_home
from orchestration.storage.ledger import schema

_RESTORE = (
    "Restore ledger.db and lake/ from the same backup (docs/operations.md, Backup and restore)"
)


class LedgerUnusable(AgentstatsError):
    """The ledger is damaged or lost; the message says what to do. Nothing was changed."""


class LedgerConnection:
    """Open `ledger.db`, made if it is not there; the parts of the ledger are written on it.

    Raises `LedgerUnusable`.
    """

    def __init__(self, path: Path) -> None:
        make_home(path.parent)
        _refuse_a_lost_ledger(path)
        try:
            self._open(path)
        except sqlite3.OperationalError:
            raise  # locked, or the disk: that passes
        except sqlite3.DatabaseError as error:
            raise LedgerUnusable(f"{path} is damaged: {error}. {_RESTORE}") from error

    def _open(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, timeout=30, isolation_level=None)
        self._connection.row_factory = sqlite3.Row
        # EXTRA: what the ledger knows must still be known after a power cut. With FULL the journal
        # of a committed transaction may come back, because its unlinking was lost.
        self._connection.execute("pragma synchronous = extra")
        # What is deleted is overwritten: paths and reasons of files may name somebody.
        self._connection.execute("pragma secure_delete = on")
        self._migrate(path)
        # Only now: a migration may rebuild a table that others refer to.
        self._connection.execute("pragma foreign_keys = on")

    def _migrate(self, path: Path) -> None:
        newest = len(schema.MIGRATIONS)
        if schema.version_of(self._connection) == newest:
            return
        with self._transaction() as connection:
            # Looked at once more, because another process may have done it meanwhile.
            version = schema.version_of(connection)
            if version > newest:
                raise LedgerUnusable(
                    f"{path} is of version {version}, and this agentstats knows versions up to "
                    f"{newest}: a newer one has written it. Install that one again, or restore "
                    "ledger.db and lake/ from the backup made before it was installed"
                )
            if version == 0 and not schema.is_empty(connection):
                raise LedgerUnusable(
                    f"{path} has tables and no version: it is of an agentstats before version 1 of "
                    "the ledger, which this one does not read. Begin with a new home folder, and "
                    "drop the files of the old one's sources there"
                )
            schema.migrate(connection)

    def close(self) -> None:
        self._connection.close()

    def vacuum(self) -> None:
        """Write the file anew, without what free pages may still hold."""
        self._connection.execute("vacuum")

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        try:
            self._connection.execute("begin immediate")
            yield self._connection
            self._connection.execute("commit")
        except BaseException:
            # A signal may come at any place, right after the first statement or the last one too.
            if self._connection.in_transaction:
                self._connection.execute("rollback")
            raise


def _refuse_a_lost_ledger(path: Path) -> None:
    """Raise where a new ledger would be made beside a lake: to it, every file there is left over
    from a load that was cut off, and would be removed."""
    if path.exists() and path.stat().st_size:
        return
    if next((path.parent / "lake").rglob("*.parquet"), None):
        raise LedgerUnusable(
            f"{path} is missing or empty, but lake/ beside it has files. {_RESTORE}; "
            "to begin anew, move lake/ away"
        )


def to_text(instant: datetime) -> str:
    """An instant as the ledger writes it: ISO 8601, UTC, microseconds."""
    return instant.astimezone(UTC).isoformat(timespec="microseconds")


def from_text(text: str) -> datetime:
    """The instant that `to_text` wrote."""
    return datetime.fromisoformat(text)
