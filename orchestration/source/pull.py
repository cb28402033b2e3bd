"""One pull: what is new in each stream's table, as files in the landing folder.

A chunk is one snapshot transaction on the source and at most one file. The cursor moves only when
the file would survive a power cut, so a pull that is cut off anywhere reads its last chunk again,
and landing drops what it has.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

import structlog

from orchestration.contract.streams import STREAMS, Stream
from orchestration.landing.files import content_of
from orchestration.settings import Settings
from orchestration.source import catalogue
from orchestration.source.catalogue import WHOLE, Plan
from orchestration.source.columns import received, sent
from orchestration.source.connection import (
    Moment,
    Source,
    SourceAway,
    SourceProblem,
    open_source,
)
from orchestration.source.cursor import (
    Cursor,
    after_chunk,
    begin_or_go_on,
    comparable_xid,
    cursor_from,
)
from orchestration.storage.durable import make_folder, sync_folder
from orchestration.storage.ledger import Ledger

# A pass that looks for new rows finds few in many pages; one that reads everything finds all.
PAGES_OF_A_LATER_PASS = 16
# Where the source was never analysed, until the first chunk shows it.
ROWS_PER_PAGE_GUESSED = 60.0

log = structlog.get_logger()


@dataclass(frozen=True)
class Pulled:
    """What a pull wrote for one stream. `bytes` are those of the files."""

    stream: str
    files: int
    rows: int
    bytes: int
    seconds: float


@dataclass(frozen=True)
class Pull:
    """What a pull did; a stream of which there is a problem goes on at the next pull."""

    pulled: Sequence[Pulled]
    problems: Sequence[str]

    @property
    def rows(self) -> int:
        return sum(each.rows for each in self.pulled)


@dataclass(frozen=True)
class _Chunk:
    """One transaction's worth: where it left the cursor, and the file that it wrote, if any."""

    cursor: Cursor
    file: Path | None
    rows: int

    @property
    def is_last(self) -> bool:
        return self.cursor.scan is None


def pull(
    settings: Settings,
    ledger: Ledger,
    *,
    streams: Sequence[Stream] = STREAMS,
    from_start: bool = False,
) -> Pull:
    """Read what is new of each stream. Without AGENTSTATS_POSTGRES_URL there is nothing to do.

    `from_start` reads everything anew. The caller has the writer lock.
    """
    if settings.postgres_url is None:
        return Pull([], [])
    _remove_unfinished(settings)
    pulled: list[Pulled] = []
    problems: list[str] = []
    for stream in streams:
        if catalogue.table_of(settings, stream) is None:
            continue
        if from_start:
            ledger.delete_source_cursor(stream.name)
        try:
            pulled.append(_pull_stream(settings, ledger, stream))
        except SourceAway as problem:
            problems.append(str(problem))
            log.error("source_unreachable", reason=str(problem))
            break
        except SourceProblem as problem:
            problems.append(str(problem))
            log.error("stream_not_pulled", stream=stream.name, reason=str(problem))
    return Pull(pulled, problems)


def _remove_unfinished(settings: Settings) -> None:
    """Remove what a pull that was killed left half written."""
    for path in settings.landing.glob("*/.postgres-*.tmp"):
        path.unlink()


def _pull_stream(settings: Settings, ledger: Ledger, stream: Stream) -> Pulled:
    begun = time.monotonic()
    done = Pulled(stream.name, files=0, rows=0, bytes=0, seconds=0)
    with open_source(settings) as source:
        rows_per_page = 0.0
        while True:
            cursor = cursor_from(ledger.source_cursor(stream.name))
            chunk, rows_per_page = _pull_chunk(settings, source, stream, cursor, rows_per_page)
            ledger.move_source_cursor(stream.name, chunk.cursor.to_json(), settings.clock())
            done = replace(
                done,
                files=done.files + (chunk.file is not None),
                rows=done.rows + chunk.rows,
                bytes=done.bytes + (chunk.file.stat().st_size if chunk.file else 0),
                seconds=round(time.monotonic() - begun, 3),
            )
            _say(chunk, done)
            if chunk.is_last:
                return done


def _say(chunk: _Chunk, done: Pulled) -> None:
    scan = chunk.cursor.scan
    percent = 100 * scan.next_page // max(scan.pages, 1) if scan else 100
    log.info(
        "pulled",
        stream=done.stream,
        rows=done.rows,
        percent=percent,
        rows_per_second=round(done.rows / max(done.seconds, 0.001)),
    )


def _pull_chunk(
    settings: Settings,
    source: Source,
    stream: Stream,
    cursor: Cursor | None,
    rows_per_page: float,
) -> tuple[_Chunk, float]:
    """Read the next chunk of the stream. Returns it, and how many rows a page of it has."""
    name = catalogue.table_of(settings, stream)
    assert name is not None
    with source.transaction():
        found = catalogue.find(source, name)
    if found is None:
        raise SourceProblem(
            f"{stream.name}: there is no table or view {name}, or the role may not see it: name "
            "the right one in AGENTSTATS_POSTGRES_TABLES, or null there if it is not to be read"
        )
    quoted_name, kind = found
    is_table = catalogue.TABLE_KINDS[kind] in {"table", "partitioned table"}
    with source.transaction(lock=quoted_name if is_table else None):
        moment = source.moment()
        plan = catalogue.plan(settings, stream, catalogue.read_relation(source, quoted_name))
        if plan.method == WHOLE:
            return _pull_whole(settings, source, plan, moment, cursor), 0.0
        relation = plan.relation
        start = Cursor(moment.history, relation.identity, plan.method)
        begun, reason = begin_or_go_on(cursor, moment, start, relation.pages, relation.files)
        if reason:
            log.info("read_from_start", stream=stream.name, table=quoted_name, reason=reason)
        scan = begun.scan
        assert scan is not None
        density = rows_per_page or relation.rows_per_page or ROWS_PER_PAGE_GUESSED
        pages = max(1, int(settings.postgres_chunk_rows / density))
        if begun.horizon is not None:
            pages *= PAGES_OF_A_LATER_PASS
        to_page = scan.next_page + pages
        file, rows = _write(settings, source, plan, _conditions(plan, begun, to_page))
    pages_read = min(to_page, scan.pages) - scan.next_page
    if begun.horizon is None and rows and pages_read > 0:
        density = rows / pages_read
    return _Chunk(after_chunk(begun, to_page, rows), file, rows), density


def _conditions(plan: Plan, cursor: Cursor, to_page: int) -> list[str]:
    """SQL: what holds for the rows of the chunk from the cursor's page up to `to_page`."""
    scan = cursor.scan
    assert scan is not None
    conditions = []
    if cursor.horizon is not None:
        new_parts = [part for part in sorted(scan.files) if part not in cursor.parts]
        conditions.append(
            catalogue.later_than(plan, cursor.horizon, comparable_xid(cursor.horizon), new_parts)
        )
    if scan.next_page > 0:
        conditions.append(f"ctid >= '({scan.next_page},0)'")
    if to_page < scan.pages:
        conditions.append(f"ctid < '({to_page},0)'")
    return conditions


def _pull_whole(
    settings: Settings, source: Source, plan: Plan, moment: Moment, cursor: Cursor | None
) -> _Chunk:
    """Read all of it; no file where it is, byte for byte, what was read the last time."""
    start = Cursor(moment.history, plan.relation.identity, plan.method)
    known = cursor.sha256 if cursor and cursor.method == WHOLE else None
    file, rows = _write(settings, source, plan, [], known_sha256=known)
    if file is None:
        return _Chunk(replace(start, sha256=known), None, 0)
    return _Chunk(replace(start, sha256=content_of(file).sha256), file, rows)


def _write(
    settings: Settings,
    source: Source,
    plan: Plan,
    conditions: Sequence[str],
    *,
    known_sha256: str | None = None,
) -> tuple[Path | None, int]:
    """Write the rows to a landing file, whole and durable or not at all; none for no rows."""
    columns = plan.columns
    selected = ", ".join(sent(column, there.name, there.type_name) for column, there in columns)
    taken = ", ".join(received(column, there.type_name) for column, there in columns)
    where = f" where {' and '.join(conditions)}" if conditions else ""
    folder = settings.landing / plan.stream.name
    make_folder(folder)
    # A name of its own: a file that waits to be landed is never written over.
    target = folder / f"postgres-{uuid4().hex}.parquet"
    unfinished = target.with_name(f".{target.name}.tmp")
    try:
        rows = source.write(
            f"select {selected} from {plan.relation.quoted_name}{where}", taken, unfinished
        )
        if rows == 0 or (known_sha256 and content_of(unfinished).sha256 == known_sha256):
            return None, 0
        with unfinished.open("rb") as file:
            os.fsync(file.fileno())
        unfinished.rename(target)
    finally:
        unfinished.unlink(missing_ok=True)
    sync_folder(folder)
    return target, rows
