"""Every dropped file in turn, each from start to ledger entry."""

from __future__ import annotations

import csv
import shutil
import zlib
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb
import structlog

from orchestration.database import connect
from orchestration.durable import make_folder, sync_folder
from orchestration.full_disk import tells_of_no_room
from orchestration.lake.leftovers import clear_unknown
from orchestration.lake.verified import verified_paths
from orchestration.landing import files, lake
from orchestration.landing.counts import count_earlier_loads
from orchestration.landing.event_times import book_earlier_events, event_times_of_file
from orchestration.landing.files import Content, LandedFile, RowSource, UnreadableFile
from orchestration.landing.streams import STREAMS, STREAMS_BY_NAME, Stream
from orchestration.landing.verdict import check_rows, dates_of, judge
from orchestration.ledger import Ledger, Load
from orchestration.retention.policy import cutoffs, fill_cutoffs, latest, read_policies
from orchestration.settings import Settings

LOAD_ID_LENGTH = 20

# Whatever reading a broken file can raise.
_BROKEN = (duckdb.Error, OSError, EOFError, UnicodeError, csv.Error, zlib.error)

log = structlog.get_logger()


@dataclass(frozen=True)
class _Landing:
    """What every file of one landing needs."""

    database: duckdb.DuckDBPyConnection
    settings: Settings
    ledger: Ledger


def land_waiting_files(
    settings: Settings,
    ledger: Ledger,
    *,
    streams: Sequence[Stream] = STREAMS,
) -> list[Load]:
    """Load every finished file in the landing folder, reference streams first.

    A file that cannot be read goes to `landing/_failed/` and the others still load. Returns one
    load for each file.
    """
    for entry in files.unknown_entries(settings.landing):
        log.warning("landing_entry_ignored", entry=entry.name, streams=sorted(STREAMS_BY_NAME))
    clear_unknown(settings, ledger)
    count_earlier_loads(settings, ledger)
    book_earlier_events(settings, ledger)
    _move_what_is_booked(settings, ledger)
    waiting = [
        (stream, path)
        for stream in STREAMS
        if stream in streams
        for path in files.waiting_files(settings.landing, stream)
    ]
    loads: list[Load] = []
    settings.scratch.mkdir(parents=True, exist_ok=True)
    with ExitStack() as held:
        landing: _Landing | None = None
        retention_is_known = False
        for number, (stream, path) in enumerate(waiting, start=1):
            if landing is None:
                database = held.enter_context(closing(connect(settings)))
                landing = _Landing(database, settings, ledger)
                # A name that was told before its customer was erased does not come back either.
                fill_cutoffs(database, "erased", ledger.kept_from("erasure"))
                retention_is_known = False
            if not stream.is_reference and not retention_is_known:
                _read_retention(landing)
                retention_is_known = True
            try:
                content = files.content_of(path)
            except OSError as error:
                # Gone again, or not ours to read: the others still load.
                log.error("file_not_readable", file=str(path), reason=str(error))
                continue
            load = _land(path, stream, content, landing)
            if load is None or load.failure:
                # A broken file may leave a broken database: the next one gets a new one.
                held.close()
                landing = None
            if load:
                loads.append(load)
                log.info(
                    "landed",
                    file=load.source_file,
                    number=f"{number}/{len(waiting)}",
                    status=load.status,
                    read=load.rows_read,
                    accepted=load.accepted,
                    duplicates=load.duplicates,
                    rejected=load.rejected,
                )
    return loads


def _read_retention(landing: _Landing) -> None:
    """Make the table `retention` (customer_id, kept_from): the first instant that is kept.

    What was deleted once stays deleted, though the customer's policy may be longer by now.
    """
    settings, ledger = landing.settings, landing.ledger
    policies = read_policies(landing.database, settings, ledger)
    fill_cutoffs(
        landing.database,
        "retention",
        latest(cutoffs(policies, settings.clock()), ledger.kept_from()),
    )


def _land(path: Path, stream: Stream, content: Content, landing: _Landing) -> Load | None:
    """Load one file; None where it is left for the next run because it is still changing."""
    settings, ledger = landing.settings, landing.ledger
    load = Load(
        load_id=content.sha256[:LOAD_ID_LENGTH],
        stream=stream.name,
        source_file=str(path.relative_to(settings.landing)),
        file_bytes=content.size_bytes,
        file_modified_ns=content.modified_ns,
        sha256=content.sha256,
        status="failed",
        rows_read=0,
        accepted=0,
        duplicates=0,
        rejected=0,
        conflicting_duplicates=0,
        total_mismatches=0,
        started_at=settings.clock(),
        loaded_at=settings.clock(),
    )
    earlier = ledger.deliveries_of(stream.name, content.sha256)
    if earlier:
        load = replace(load, load_id=f"{load.load_id}-{len(earlier) + 1}")
    try:
        load = _load(path, stream, load, landing)
    except UnreadableFile as error:
        log.warning("file_set_aside", file=load.source_file, reason=str(error))
        load = replace(load, failure=str(error))
    if not _is_unchanged(path, content):
        log.warning("file_still_changing", file=load.source_file, then="left for the next run")
        for file in load.lake_files:
            (settings.lake / file.path).unlink()
        return None
    load = replace(load, loaded_at=settings.clock())
    ledger.record_load(load)
    _move_away(path, load, settings.landing)
    ledger.mark_moved(load)
    if load.unknown_columns:
        log.warning("unknown_columns_left_out", file=load.source_file, columns=load.unknown_columns)
    return load


def _load(path: Path, stream: Stream, load: Load, landing: _Landing) -> Load:
    """Check the file's rows and write them to the lake. Raises `UnreadableFile`."""
    settings = landing.settings
    connection = landing.database.cursor()
    try:
        rows = read_rows(connection, files.recognise(path, stream), settings)
        dates = [] if stream.is_reference else dates_of(connection)
        # A file that is damaged would decide what is a duplicate.
        known_paths = verified_paths(
            settings.lake,
            landing.ledger,
            landing.ledger.lake_files_of(stream.name, None if stream.is_reference else dates),
        )
        verdict = judge(connection, stream, known_paths, settings.clock())
        lake_files = lake.write_good_rows(connection, stream, load.load_id, settings.lake, dates)
        event_times = []
        if not stream.is_reference:
            event_times = event_times_of_file(connection)
            lake_files += lake.write_counts(connection, stream.name, load.load_id, settings.lake)
        if verdict.rejected:
            lake_files += lake.write_rejected_rows(
                connection,
                stream,
                load.load_id,
                load.source_file,
                settings.clock(),
                settings.lake,
            )
    finally:
        connection.close()
    return replace(
        load,
        status="loaded",
        rows_read=verdict.rows_read,
        accepted=verdict.accepted,
        duplicates=verdict.duplicates,
        rejected=verdict.rejected,
        conflicting_duplicates=verdict.conflicting_duplicates,
        total_mismatches=verdict.total_mismatches,
        rejected_by_reason=verdict.rejected_by_reason,
        unknown_columns=rows.unknown_columns,
        lake_files=tuple(lake_files),
        event_times=event_times,
    )


def read_rows(
    connection: duckdb.DuckDBPyConnection, file: LandedFile, settings: Settings
) -> RowSource:
    """Fill `checked` from the file. Raises `UnreadableFile` where it cannot be read to its end.

    Only what goes wrong here is the file's own fault; a full disk, here or while the lake is
    written, fails the run and leaves the file where it is.
    """
    now = settings.clock()
    try:
        if file.file_format != "parquet":
            files.check_text(file, unpacked_limit=round(settings.max_unpacked_gb * 10**9))
        *cheaper, last = files.ways_to_open(file, connection)
        for open_rows in cheaper:
            try:
                rows = open_rows()
                check_rows(connection, file, rows, now)
            except duckdb.Error as error:
                if tells_of_no_room(str(error)):
                    raise
                # Some record is not well formed: find out which, and keep the others.
            else:
                return rows
        rows = last()
        check_rows(connection, file, rows, now)
    except _BROKEN as error:
        if tells_of_no_room(str(error)):
            raise
        reason = files.without_content(error, file.path)
        if isinstance(error, UnicodeDecodeError):
            reason = f"it is not UTF-8 at byte {error.start + 1} of its header"
        if isinstance(error, duckdb.OutOfMemoryException):
            reason = "needs more memory than AGENTSTATS_MEMORY_LIMIT; raise it, or split the file"
        raise UnreadableFile(f"cannot be read as {file.file_format}: {reason}") from error
    return rows


def _move_what_is_booked(settings: Settings, ledger: Ledger) -> None:
    """Move the files of loads that were cut off between the ledger and the move."""
    for load in ledger.loads_not_moved():
        path = settings.landing / load.source_file
        if path.exists() and files.content_of(path) == Content(
            load.sha256, load.file_bytes, load.file_modified_ns
        ):
            _move_away(path, load, settings.landing)
        ledger.mark_moved(load)


def _is_unchanged(path: Path, content: Content) -> bool:
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    return (there.st_size, there.st_mtime_ns) == (content.size_bytes, content.modified_ns)


def _move_away(path: Path, load: Load, landing: Path) -> None:
    """Move a booked file to `_loaded/` or `_failed/`, the reason beside it, under its own name.

    Where the name is taken already, the load id goes in front of it.
    """
    is_loaded = load.status == "loaded"
    folder = landing / (files.LOADED_FOLDER if is_loaded else files.FAILED_FOLDER)
    target = folder / load.source_file
    make_folder(target.parent)
    if target.exists():
        target = target.with_name(f"{load.load_id}.{target.name}")
    if load.failure:
        target.with_name(f"{target.name}.reason.txt").write_text(
            f"{load.source_file} was set aside and nothing of it was loaded: {load.failure}\n"
            "Mend it and drop it again under landing/.\n"
        )
    # A rename where it can be, a copy where landing/ and its archive are different file systems.
    shutil.move(path, target)
    sync_folder(target.parent)
