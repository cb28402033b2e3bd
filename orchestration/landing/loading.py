"""What becomes of one file, from its bytes to Parquet in a room of its own.

All of it happens in a child process, which opens nothing but the file and lake files that its
parent names, and writes nowhere but to its room: `land` records what came of it.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import date, datetime
from multiprocessing.connection import Connection
from pathlib import Path

import duckdb

from orchestration.contract.streams import Stream
from orchestration.lake import writing
from orchestration.lake.policy import PolicyFiles, fill_cutoffs, kept_from, read_policies
from orchestration.landing import files
from orchestration.landing.classification import classify, dates_of
from orchestration.landing.event_times import event_times_of_file
from orchestration.landing.files import Content, UnreadableFile
from orchestration.landing.reading import BROKEN, read_rows, reason
from orchestration.settings import Settings
from orchestration.storage.database import connect
from orchestration.storage.full_disk import reports_no_room
from orchestration.storage.ledger import Load
from orchestration.storage.sql import literal


@dataclass(frozen=True)
class Retention:
    """What is kept: the lake files of policies, and up to when each customer's data was deleted,
    for any cause, and erased."""

    policies: PolicyFiles
    deleted: Mapping[int, datetime]
    erased: Mapping[int, datetime]


@dataclass(frozen=True)
class Task:
    """A file to load. `retention` is there where it changed since the task before."""

    path: Path
    stream: Stream
    retention: Retention | None


@dataclass(frozen=True)
class Gone:
    """The file cannot be opened; it is not there any more, or not ours to read."""

    reason: str


@dataclass(frozen=True)
class NoRoom:
    """There was no room on the disk, or more was wanted of it than a file may take."""

    error: Exception


# What a file may say of itself while it is loaded, and what is to be known of it then: of its
# content, its load with a number; of its dates, the lake files that may hold the same rows.
Ask = Callable[[Content | list[date]], object]


def work(settings: Settings, room: Path, erased: Mapping[int, datetime], pipe: Connection) -> None:
    """Load one file after the other, as the pipe says, into `room`.

    Answers each `Task` with the `Load`, `Gone`, `NoRoom`, or the error that is the run's, after the
    questions of `Ask`.
    """

    def ask(question: Content | list[date]) -> object:
        pipe.send(question)
        return pipe.recv()

    with closing(connect(settings)) as database:
        spilled = room / "spilled"
        spilled.mkdir(parents=True)
        limit = round(settings.landing_temp_gb * 1000)
        database.execute(f"set temp_directory = {literal(str(spilled))}")
        database.execute(f"set max_temp_directory_size = '{limit}MB'")
        # A name that was delivered before its customer was erased does not come back either.
        fill_cutoffs(database, "erased", erased)
        while True:
            task: Task = pipe.recv()
            try:
                answer: object = _load(task, settings, room, database, ask)
            except Exception as error:
                answer = NoRoom(_sendable(error)) if _is_no_room(error) else _sendable(error)
            pipe.send(answer)


def _load(
    task: Task, settings: Settings, room: Path, database: duckdb.DuckDBPyConnection, ask: Ask
) -> Load | Gone:
    try:
        content = files.content_of(task.path)
    except OSError as error:
        return Gone(str(error))
    load = ask(content)
    assert isinstance(load, Load)
    connection = database.cursor()
    try:
        if task.retention:
            _fill_retention(connection, task.retention, settings)
        return _classify_and_write(task, load, settings, room, connection, ask)
    except UnreadableFile as error:
        return replace(load, failure=str(error))
    finally:
        connection.close()


def _fill_retention(
    connection: duckdb.DuckDBPyConnection, retention: Retention, settings: Settings
) -> None:
    """Make the table `retention` (customer_id, kept_from): the first instant that is kept.

    What was deleted once stays deleted, though the customer's policy may be longer by now; unless
    there is a legal hold.
    """
    policies = read_policies(connection, retention.policies)
    fill_cutoffs(
        connection,
        "retention",
        kept_from(policies, settings.clock(), deleted=retention.deleted, erased=retention.erased),
    )


def _classify_and_write(
    task: Task,
    load: Load,
    settings: Settings,
    room: Path,
    connection: duckdb.DuckDBPyConnection,
    ask: Ask,
) -> Load:
    """Check the file's rows and write them to the room. Raises `UnreadableFile`."""
    stream = task.stream
    rows = read_rows(connection, files.detect_format(task.path, stream), settings)
    known_paths: list[str] = []
    try:
        dates = [] if stream.is_reference else dates_of(connection)
        known = ask(dates)
        assert isinstance(known, list)
        known_paths = known
        counts = classify(connection, stream, known_paths, settings.clock())
        lake_files = writing.write_good_rows(connection, stream, load.load_id, room, dates)
        event_times = []
        if not stream.is_reference:
            event_times = event_times_of_file(connection)
            lake_files += writing.write_counts(connection, stream.name, load.load_id, room)
        if counts.rejected:
            lake_files += writing.write_rejected_rows(
                connection,
                stream,
                load.load_id,
                load.source_file,
                settings.clock(),
                room,
            )
    except BROKEN as error:
        if _is_no_room(error) or not _can_be_read(connection, known_paths):
            # The disk's fault, or that of the lake.
            raise
        raise UnreadableFile(
            f"cannot be loaded: {reason(error, files.detect_format(task.path, stream))}"
        ) from error
    return replace(
        load,
        status="loaded",
        rows_read=counts.rows_read,
        accepted=counts.accepted,
        duplicates=counts.duplicates,
        rejected=counts.rejected,
        conflicting_duplicates=counts.conflicting_duplicates,
        total_mismatches=counts.total_mismatches,
        rejected_by_reason=counts.rejected_by_reason,
        received_in_future=counts.received_in_future,
        unknown_columns=len(rows.unknown_columns),
        extra_left_out=counts.extra_left_out,
        unknown_time_zones=counts.unknown_time_zones,
        withdrawn=counts.withdrawn,
        lake_files=tuple(lake_files),
        event_times=event_times,
    )


def _can_be_read(connection: duckdb.DuckDBPyConnection, lake_files: Sequence[str]) -> bool:
    """Whether the lake is not what is wrong where rows cannot be compared with it."""
    try:
        for path in lake_files:
            connection.execute(
                f"select max(hash(lake)) from read_parquet({literal(path)}, "
                "hive_partitioning = false) as lake"
            ).fetchall()
    except duckdb.Error:
        return False
    return True


def _is_no_room(error: BaseException) -> bool:
    return reports_no_room(str(error))


def _sendable(error: Exception) -> Exception:
    """The error as it can go through a pipe."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
