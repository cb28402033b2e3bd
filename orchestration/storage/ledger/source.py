"""How far each stream has been read from the source database."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from orchestration.storage.ledger.connection import LedgerConnection, to_text


class SourceRecords(LedgerConnection):
    """One row for each stream that is read from PostgreSQL; `orchestration.source.cursor` says
    what is in it."""

    def source_cursor(self, stream: str) -> dict[str, Any] | None:
        """Where the next pull of the stream goes on; None before the first."""
        row = self._connection.execute(
            "select cursor from source_cursor where stream = ?", (stream,)
        ).fetchone()
        return json.loads(row["cursor"]) if row else None

    def move_source_cursor(self, stream: str, cursor: Mapping[str, Any], at: datetime) -> None:
        """Record that everything before the cursor is in files that survive a power cut."""
        with self._transaction() as connection:
            connection.execute(
                "insert into source_cursor (stream, cursor, moved_at) values (?, ?, ?) "
                "on conflict (stream) do update set cursor = excluded.cursor, "
                "moved_at = excluded.moved_at",
                (stream, json.dumps(cursor), to_text(at)),
            )

    def delete_source_cursor(self, stream: str) -> None:
        """Let the next pull of the stream begin from its start."""
        with self._transaction() as connection:
            connection.execute("delete from source_cursor where stream = ?", (stream,))
