"""What is still to be read of a table, so that no row is missed: decisions only, no effects.

PostgreSQL stamps every version of a row with the transaction that wrote it (`xmin`). A pull reads
in one snapshot and notes that snapshot's own xmin, the *horizon*: the lowest transaction that was
still open. Every transaction below it was over, and what it committed was there to be read. So
the next pull reads the rows whose transaction is the horizon or later, and what commits late,
in whatever order, by whatever clock, is among them. Rows of transactions that are later than the
horizon and were committed already are read twice; landing drops what it has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from orchestration.source.connection import Moment

XIDS = 2**32
# Rows are compared by the lower 32 bits of a transaction; half of them is how far earlier can
# be distinguished from later. The margin is what may pass while a pull runs.
MAX_DISTANCE = 2**31 - 2**24
# The lowest number of an ordinary transaction.
FIRST_XID = 3


@dataclass(frozen=True)
class Scan:
    """A pass over a table in chunks of pages, each in a snapshot of its own.

    `horizon` is that of the snapshot before the first chunk: what is written behind the scan's
    back is of that transaction or later, and the next pass reads it. `files` are the table's
    parts with the files they are in: a part that is rewritten moves rows between pages.
    """

    horizon: int
    next_page: int
    pages: int
    files: Mapping[str, int | None]
    rows: int = 0


@dataclass(frozen=True)
class Cursor:
    """How far a stream has been read.

    Rows of transactions below `horizon` are read, in the `parts` (the table, its partitions) that
    were there; None: nothing is. `scan` is the pass that is under way. `sha256` is that of the
    last file, where everything is read each time.
    """

    history: str
    relation: str
    method: str
    horizon: int | None = None
    parts: tuple[str, ...] = ()
    scan: Scan | None = None
    sha256: str | None = None

    def to_json(self) -> dict[str, Any]:
        """As the ledger keeps it."""
        scan = {**vars(self.scan), "files": dict(self.scan.files)} if self.scan else None
        return {**vars(self), "parts": list(self.parts), "scan": scan}


def cursor_from(kept: Mapping[str, Any] | None) -> Cursor | None:
    """The cursor that `to_json` wrote."""
    if kept is None:
        return None
    scan = Scan(**kept["scan"]) if kept["scan"] else None
    return Cursor(**{**kept, "parts": tuple(kept["parts"]), "scan": scan})


def begin_or_go_on(
    cursor: Cursor | None,
    moment: Moment,
    start: Cursor,
    pages: int,
    files: Mapping[str, int | None],
) -> tuple[Cursor, str | None]:
    """The cursor with the scan that is to be gone on with, and why all of it is read anew.

    `start` is the cursor of a table of which nothing is read; `pages` and `files` are the table's
    now.
    """
    begun = Scan(horizon=moment.xmin, next_page=0, pages=pages, files=dict(files))
    reason = _reason_to_read_anew(cursor, moment, start)
    if cursor is None or reason:
        return replace(start, scan=begun), reason
    scan = cursor.scan
    if scan is None:
        return replace(cursor, scan=begun), None
    if any(files.get(part) != file for part, file in scan.files.items()):
        # Rows may have moved from pages to come to pages that are done.
        return replace(cursor, scan=begun), None
    return cursor, None


def _reason_to_read_anew(cursor: Cursor | None, moment: Moment, start: Cursor) -> str | None:
    if cursor is None:
        return "nothing of it was read before"
    if cursor.history != moment.history:
        return "it is another server, or one that was restored or promoted"
    if cursor.relation != start.relation:
        return "the table or view is another one than before"
    if cursor.method != start.method:
        return "it is read in another way than before"
    if cursor.scan is not None and cursor.scan.horizon > moment.xmax:
        return "the server's transactions went back: it was restored"
    if cursor.horizon is not None and cursor.horizon > moment.xmax:
        return "the server's transactions went back: it was restored"
    if cursor.horizon is not None and moment.xmax - cursor.horizon > MAX_DISTANCE:
        return "the last pull is so many transactions ago that earlier and later look alike"
    return None


def after_chunk(cursor: Cursor, to_page: int, rows: int) -> Cursor:
    """The cursor once the pages before `to_page` are in a file."""
    scan = cursor.scan
    assert scan is not None
    if to_page < scan.pages:
        return replace(cursor, scan=replace(scan, next_page=to_page, rows=scan.rows + rows))
    return replace(cursor, horizon=scan.horizon, parts=tuple(sorted(scan.files)), scan=None)


def comparable_xid(horizon: int) -> int:
    """The horizon's lower 32 bits, or an earlier transaction's where those are reserved."""
    low = horizon % XIDS
    return low if low >= FIRST_XID else (horizon - FIRST_XID) % XIDS
