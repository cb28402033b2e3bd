"""Every dropped file in turn, each from start to ledger entry.

What opens a file is a child process: whatever the file does to it, this one goes on with the next.
Only this one writes the ledger, and gives lake files their names.
"""

from __future__ import annotations

import re
import resource
import shutil
import sqlite3
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import structlog

from orchestration.contract.shown import inert_line
from orchestration.contract.streams import STREAMS, STREAMS_BY_NAME, Stream
from orchestration.lake import writing
from orchestration.lake.policy import policy_files
from orchestration.lake.verified import LakeDamaged, verified_paths
from orchestration.landing import files
from orchestration.landing.child import Child, ChildDied, OutOfTime
from orchestration.landing.files import Content
from orchestration.landing.leftovers import clear_unknown
from orchestration.landing.loading import Gone, NoRoom, Retention, Task, work
from orchestration.landing.set_aside import reason_beside, written_reason
from orchestration.settings import Settings
from orchestration.storage.durable import make_folder, sync_folder
from orchestration.storage.ledger import Ledger, Load

LOAD_ID_LENGTH = 20

# A file that has ended so many runs is not opened again. In a run, a process that dies may have
# been killed for another's sake: the file is read once more, in a new one.
ATTEMPTS = 2

# What a child may take besides what DuckDB counts: as much again, and this.
_MORE_MEMORY_BYTES = 10**9
_UNITS = {"K": 1, "M": 2, "G": 3}
# A disk with room for so many times the file, and this, is not what is full.
_ROOM_PER_BYTE, _ROOM_BYTES = 50, 10**9

log = structlog.get_logger()


def land_waiting_files(
    settings: Settings,
    ledger: Ledger,
    *,
    streams: Sequence[Stream] = STREAMS,
    report_damage: Callable[[str], None] | None = None,
) -> list[Load]:
    """Load every finished file in the landing folder, reference streams first.

    A file that cannot be read goes to `landing/_failed/` and the others still load. Returns one
    load for each file. One of dates of which the lake is damaged waits, and that is reported; where
    no report is wanted, it raises `LakeDamaged`.
    """
    for entry in files.unknown_entries(settings.landing):
        log.warning("landing_entry_ignored", entry=entry.name, streams=sorted(STREAMS_BY_NAME))
    clear_unknown(settings, ledger)
    _move_recorded_files(settings, ledger)
    attempted = ledger.files_attempted()
    waiting = [
        (stream, path)
        for stream in STREAMS
        if stream in streams
        for path in files.waiting_files(settings.landing, stream)
    ]
    # What has ended a run comes last: whatever it does, the others are loaded before.
    waiting.sort(key=lambda each: str(each[1].relative_to(settings.landing)) in attempted)
    loads: list[Load] = []
    with closing(_Landing(settings, ledger)) as landing:
        for number, (stream, path) in enumerate(waiting, start=1):
            try:
                load = landing.land(path, stream)
            except LakeDamaged as damage:
                # What of it is a duplicate is unknown.
                if report_damage is None:
                    raise
                waits = str(path.relative_to(settings.landing))
                log.error("lake_damaged", file=waits, reason=str(damage), then="left to wait")
                report_damage(f"{inert_line(waits)} waits, because {damage}")
                continue
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


class _Landing:
    """One landing: the child process that reads the files, made when the first one is there."""

    def __init__(self, settings: Settings, ledger: Ledger) -> None:
        self._settings = settings
        self._ledger = ledger
        self._room = settings.scratch / "landing"
        self._child: Child | None = None
        self._child_knows_retention = False

    def close(self) -> None:
        """End the child, and remove what it left."""
        if self._child:
            self._child.kill()
        self._child = None
        shutil.rmtree(self._room, ignore_errors=True)

    def land(self, path: Path, stream: Stream) -> Load | None:
        """Load one file; None where it is left for the next run: it is still changing, or it
        cannot be opened."""
        settings, ledger = self._settings, self._ledger
        try:
            there = path.stat()
        except OSError as error:
            log.error("file_not_readable", file=str(path), reason=str(error))
            return None
        source_file = str(path.relative_to(settings.landing))
        earlier_attempts = ledger.begin_attempt(
            source_file, there.st_size, there.st_mtime_ns, settings.clock()
        )
        try:
            load = self._begin(stream, source_file, Content("", there.st_size, there.st_mtime_ns))
            if earlier_attempts < ATTEMPTS:
                outcome = self._load(path, stream, load)
            else:
                outcome = replace(
                    load,
                    failure=f"{earlier_attempts} runs ended while it was read, by whatever it was: "
                    "it is not opened again",
                )
            if isinstance(outcome, Load):
                return self._record(path, outcome)
            # Gone again, or not ours to read: the others still load.
            log.error("file_not_readable", file=source_file, reason=outcome.reason)
            ledger.end_attempt(source_file)
            return None
        except BaseException:
            # Whatever ends the run, it is not the file: that has a process of its own.
            self.close()
            with suppress(sqlite3.Error):
                ledger.end_attempt(source_file)
            raise

    def _begin(self, stream: Stream, source_file: str, content: Content) -> Load:
        """The load of a file that nothing is known of but its content, and that it did not come
        to its end."""
        now = self._settings.clock()
        load_id = content.sha256[:LOAD_ID_LENGTH] or uuid.uuid4().hex[:LOAD_ID_LENGTH]
        earlier = self._ledger.deliveries_of(stream.name, content.sha256) if content.sha256 else []
        return Load(
            load_id=f"{load_id}-{len(earlier) + 1}" if earlier else load_id,
            stream=stream.name,
            source_file=source_file,
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
            started_at=now,
            loaded_at=now,
        )

    def _load(self, path: Path, stream: Stream, load: Load) -> Load | Gone:
        """Have the file loaded into the room; what of it failed says why."""
        for attempt in range(1, ATTEMPTS + 1):
            begun = [load]
            try:
                outcome = self._ask(path, stream, begun)
            except OutOfTime:
                failure = (
                    f"reading it took longer than AGENTSTATS_LANDING_TIMEOUT_SECONDS="
                    f"{self._settings.landing_timeout_seconds:g}; split the file, or raise that"
                )
            except ChildDied as death:
                failure = f"the process that read it died: {death}"
                if attempt < ATTEMPTS:
                    log.warning("file_reader_died", file=load.source_file, reason=failure)
                    self.close()
                    continue
            else:
                if isinstance(outcome, (Load, Gone)):
                    return outcome
                self.close()
                if not self._has_room_for(load):
                    raise outcome.error
                failure = (
                    "needs more temporary files than AGENTSTATS_LANDING_TEMP_GB="
                    f"{self._settings.landing_temp_gb:g}, or than the disk has room for; split the "
                    "file, or raise that"
                )
            break
        return replace(begun[0], failure=failure)

    def _ask(self, path: Path, stream: Stream, begun: list[Load]) -> Load | Gone | NoRoom:
        """Have the child load the file, and answer what it asks in between; `begun` is the load as
        far as it is known. Raises `ChildDied`, `OutOfTime`, or what is wrong with the run."""
        settings, ledger = self._settings, self._ledger
        child = self._child = self._child or self._fork()
        retention = None
        if stream.is_reference:
            # It may be of customers, tiers or holds: policies are read again then.
            self._child_knows_retention = False
        elif not self._child_knows_retention:
            retention = Retention(
                policy_files(settings, ledger),
                deleted=ledger.kept_from(),
                erased=ledger.kept_from("erasure"),
            )
            self._child_knows_retention = True
        deadline = time.monotonic() + settings.landing_timeout_seconds
        child.send(Task(path, stream, retention))
        while True:
            said = child.receive(deadline)
            if isinstance(said, Content):
                begun[0] = self._begin(stream, begun[0].source_file, said)
                child.send(begun[0])
            elif isinstance(said, list):
                known = ledger.lake_files_of(stream.name, None if stream.is_reference else said)
                # A file that is damaged would decide what is a duplicate.
                child.send(verified_paths(settings.lake, ledger, known))
            elif isinstance(said, (Load, Gone, NoRoom)):
                return said
            else:
                raise said

    def _fork(self) -> Child:
        settings = self._settings
        shutil.rmtree(self._room, ignore_errors=True)
        self._child_knows_retention = False
        return Child(
            partial(work, settings, self._room, self._ledger.kept_from("erasure")),
            memory_bytes=2 * _bytes(settings.memory_limit) + _MORE_MEMORY_BYTES,
            file_bytes=round(settings.landing_temp_gb * 10**9),
        )

    def _has_room_for(self, load: Load) -> bool:
        """Whether the disk has room for what a file of this size may take, and so is not full."""
        room = shutil.disk_usage(self._settings.home).free
        of_a_file, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
        if of_a_file != resource.RLIM_INFINITY:
            room = min(room, of_a_file)
        return room >= load.file_bytes * _ROOM_PER_BYTE + _ROOM_BYTES

    def _record(self, path: Path, load: Load) -> Load | None:
        """Record what came of the file, and move it out of the way."""
        settings, ledger = self._settings, self._ledger
        if load.failure:
            # A broken file may leave a broken database: the next one gets a new one.
            self.close()
            log.warning("file_set_aside", file=load.source_file, reason=load.failure)
        if not _is_unchanged(path, load):
            log.warning("file_still_changing", file=load.source_file, then="left for the next run")
            self.close()
            ledger.end_attempt(load.source_file)
            return None
        writing.take_in(self._room, load.lake_files, settings.lake)
        load = replace(load, loaded_at=settings.clock())
        ledger.record_load(load)
        move_away(path, load, settings.landing)
        ledger.mark_moved(load)
        if load.unknown_columns:
            log.warning(
                "unknown_columns",
                file=load.source_file,
                columns=load.unknown_columns,
                values_left_out=load.extra_left_out,
            )
        return load


def _bytes(size: str) -> int:
    """A size as settings write it, like 4GB or 512 MiB."""
    number, unit, binary = re.fullmatch(r"([\d.]+)\s?([KMG])(i?)B", size).groups()  # type: ignore[union-attr]  # the setting is checked
    return round(float(number) * float((1024 if binary else 1000) ** _UNITS[unit]))


def _move_recorded_files(settings: Settings, ledger: Ledger) -> None:
    """Move the files of loads that were cut off between the ledger and the move."""
    for load in ledger.loads_not_moved():
        path = settings.landing / load.source_file
        # What could not be read is not read here either.
        if _is_unchanged(path, load) and (
            not load.sha256 or load.sha256 == files.content_of(path).sha256
        ):
            move_away(path, load, settings.landing)
        ledger.mark_moved(load)


def _is_unchanged(path: Path, load: Load) -> bool:
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    return (there.st_size, there.st_mtime_ns) == (load.file_bytes, load.file_modified_ns)


def move_away(path: Path, load: Load, landing: Path) -> None:
    """Move a recorded file to `_loaded/` or `_failed/`, the reason beside it, under its own name.

    Where the name is taken already, the load id goes in front of it.
    """
    is_loaded = load.status == "loaded"
    folder = landing / (files.LOADED_FOLDER if is_loaded else files.FAILED_FOLDER)
    target = folder / load.source_file
    make_folder(target.parent)
    if target.exists() or reason_beside(target).exists():
        target = target.with_name(f"{load.load_id}.{target.name}")
    if load.failure:
        reason_beside(target).write_text(written_reason(load.source_file, load.failure))
    # A rename where it can be, a copy where landing/ and its archive are different file systems.
    shutil.move(path, target)
    sync_folder(target.parent)
