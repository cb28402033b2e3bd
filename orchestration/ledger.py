"""The book of what was done: one row for each file delivered, and what came of it.

`ledger.db` is SQLite, because it must take a row at a time, survive `kill -9`, and be there when
the warehouse is not: the warehouse can be rebuilt from the lake, the ledger cannot. Whatever is
written to the lake counts only once the ledger says so, in one transaction.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

_SCHEMA = """
create table if not exists load (
    load_seq integer primary key autoincrement,
    load_id text not null,
    stream text not null,
    source_file text not null,
    file_bytes integer not null,
    file_modified_ns integer not null,
    sha256 text not null,
    status text not null check (status in ('loaded', 'failed')),
    failure text,
    rows_read integer not null,
    accepted integer not null,
    duplicates integer not null,
    rejected integer not null,
    conflicting_duplicates integer not null,
    total_mismatches integer not null,
    rejected_by_reason text not null,
    unknown_columns text not null,
    started_at text not null,
    loaded_at text not null,
    is_moved integer not null default 0,
    unique (stream, load_id),
    check (rows_read = accepted + duplicates + rejected)
);
create index if not exists load_by_content on load (sha256, stream);
create table if not exists lake_file (
    path text primary key,
    load_seq integer not null references load,
    folder text not null,
    occurred_date text,
    rows integer not null,
    bytes integer not null,
    sha256 text not null
);
create index if not exists lake_file_by_date on lake_file (folder, occurred_date);
create table if not exists touch (
    touch_seq integer primary key autoincrement,
    stream text not null,
    occurred_date text,
    load_seq integer references load
);
create index if not exists touch_by_load on touch (load_seq);
create table if not exists deletion (
    deletion_seq integer primary key autoincrement,
    run_id text not null,
    customer_id integer not null,
    table_name text not null,
    cause text not null check (cause in ('retention', 'erasure')),
    cutoff text,
    rows integer not null,
    oldest text,
    newest text,
    deleted_at text not null
);
create index if not exists deletion_by_customer on deletion (customer_id);
create table if not exists run (
    run_id text primary key,
    job text not null,
    pid integer not null,
    started_at text not null,
    ended_at text,
    status text not null check (status in ('running', 'succeeded', 'failed', 'interrupted')),
    detail text not null
);
"""


@dataclass(frozen=True)
class LakeFile:
    """A Parquet file of the lake; `path` relative to the lake, `sha256` of its bytes.

    `folder` is the first part of the path: a stream, or `rejected_rows`.
    """

    path: str
    folder: str
    occurred_date: date | None
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Load:
    """What came of one delivered file; counts are rows. read = accepted + duplicates + rejected."""

    load_id: str
    stream: str
    source_file: str
    file_bytes: int
    file_modified_ns: int
    sha256: str
    status: str
    rows_read: int
    accepted: int
    duplicates: int
    rejected: int
    conflicting_duplicates: int
    total_mismatches: int
    started_at: datetime
    loaded_at: datetime
    failure: str | None = None
    rejected_by_reason: Mapping[str, int] = field(default_factory=dict)
    unknown_columns: Sequence[str] = ()
    lake_files: Sequence[LakeFile] = ()
    load_seq: int | None = None

    @property
    def stream_files(self) -> list[LakeFile]:
        """The lake files of the stream itself, without those of rejected rows."""
        return [file for file in self.lake_files if file.folder == self.stream]

    @property
    def dates_touched(self) -> tuple[date, ...]:
        """UTC dates whose marts this load may change, ascending."""
        return tuple(sorted({file.occurred_date for file in self.lake_files if file.occurred_date}))


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


class Ledger:
    """Open `ledger.db` under the home folder, made if it is not there."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(path, timeout=30, isolation_level=None)
        self._connection.row_factory = sqlite3.Row
        # FULL: a load that the ledger knows must still be known after a power cut.
        self._connection.execute("pragma synchronous = full")
        self._connection.execute("pragma foreign_keys = on")
        self._connection.executescript(_SCHEMA)

    def close(self) -> None:
        self._connection.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self._connection.execute("begin immediate")
        try:
            yield self._connection
        except BaseException:
            self._connection.execute("rollback")
            raise
        self._connection.execute("commit")

    def record_load(self, load: Load) -> int:
        """Book a load with its lake files and touched dates, all or nothing. Returns its number."""
        with self._transaction() as connection:
            cursor = connection.execute(
                "insert into load (load_id, stream, source_file, file_bytes, file_modified_ns, "
                "sha256, status, failure, rows_read, accepted, duplicates, rejected, "
                "conflicting_duplicates, total_mismatches, rejected_by_reason, unknown_columns, "
                "started_at, loaded_at) "
                "values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    load.load_id,
                    load.stream,
                    load.source_file,
                    load.file_bytes,
                    load.file_modified_ns,
                    load.sha256,
                    load.status,
                    load.failure,
                    load.rows_read,
                    load.accepted,
                    load.duplicates,
                    load.rejected,
                    load.conflicting_duplicates,
                    load.total_mismatches,
                    json.dumps(dict(sorted(load.rejected_by_reason.items()))),
                    json.dumps(list(load.unknown_columns)),
                    _to_text(load.started_at),
                    _to_text(load.loaded_at),
                ),
            )
            load_seq = cursor.lastrowid
            assert load_seq is not None
            connection.executemany(
                "insert into lake_file (path, load_seq, folder, occurred_date, rows, bytes, "
                "sha256) values (?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        file.path,
                        load_seq,
                        file.folder,
                        file.occurred_date.isoformat() if file.occurred_date else None,
                        file.rows,
                        file.bytes,
                        file.sha256,
                    )
                    for file in load.lake_files
                ],
            )
            connection.executemany(
                "insert into touch (stream, occurred_date, load_seq) values (?, ?, ?)",
                [
                    (load.stream, day.isoformat() if day else None, load_seq)
                    # A reference row has no date, but touches the names.
                    for day in sorted({file.occurred_date for file in load.stream_files}, key=str)
                ],
            )
        return load_seq

    def deliveries_of(self, stream: str, sha256: str) -> list[Load]:
        """Earlier loads of the same bytes into the same stream, oldest first."""
        rows = self._connection.execute(
            "select * from load where sha256 = ? and stream = ? order by load_seq",
            (sha256, stream),
        )
        return [self._load(row) for row in rows]

    def loads_not_moved(self) -> list[Load]:
        """Loads whose file was still in the landing folder when the ledger last heard of it."""
        rows = self._connection.execute("select * from load where not is_moved order by load_seq")
        return [self._load(row) for row in rows]

    def mark_moved(self, load: Load) -> None:
        """Note that the load's file is in the landing folder no more."""
        with self._transaction() as connection:
            connection.execute(
                "update load set is_moved = 1 where stream = ? and load_id = ?",
                (load.stream, load.load_id),
            )

    def loads(self) -> list[Load]:
        """Every load, oldest first, without its lake files."""
        return [
            self._load(row)
            for row in self._connection.execute("select * from load order by load_seq")
        ]

    def newest_load_seq(self) -> int:
        """The number of the newest load; 0 where there is none."""
        (newest,) = self._connection.execute(
            "select coalesce(max(load_seq), 0) from load"
        ).fetchone()
        return int(newest)

    def newest_load_at(self) -> datetime | None:
        """When the newest file was loaded."""
        (newest,) = self._connection.execute(
            "select max(loaded_at) from load where status = 'loaded'"
        ).fetchone()
        return _from_text(newest) if newest else None

    def newest_touch_seq(self) -> int:
        """The number of the newest change of the lake; 0 where there is none."""
        (newest,) = self._connection.execute(
            "select coalesce(max(touch_seq), 0) from touch"
        ).fetchone()
        return int(newest)

    def touched_since(self, touch_seq: int) -> dict[str, list[date]]:
        """What changed in the lake after change number `touch_seq`, by stream.

        Event dates, ascending; a reference stream has no dates, and is there with none.
        """
        rows = self._connection.execute(
            "select distinct stream, occurred_date from touch where touch_seq > ? "
            "order by stream, occurred_date",
            (touch_seq,),
        )
        touched: dict[str, list[date]] = {}
        for stream, day in rows:
            days = touched.setdefault(stream, [])
            if day:
                days.append(date.fromisoformat(day))
        return touched

    def lake_paths(self) -> set[str]:
        """Every lake file that counts, relative to the lake."""
        return {path for (path,) in self._connection.execute("select path from lake_file")}

    def lake_paths_of(self, stream: str, dates: Sequence[date] | None = None) -> list[str]:
        """Lake files of a stream, of the given event dates only where given."""
        if dates is None:
            rows = self._connection.execute(
                "select path from lake_file where folder = ? order by path", (stream,)
            )
            return [path for (path,) in rows]
        found: list[str] = []
        for day in dates:
            rows = self._connection.execute(
                "select path from lake_file where folder = ? and occurred_date = ? order by path",
                (stream, day.isoformat()),
            )
            found.extend(path for (path,) in rows)
        return found

    def dates_in_lake(self, stream: str) -> list[date]:
        """Event dates of which the lake holds rows of the stream, ascending."""
        rows = self._connection.execute(
            "select distinct occurred_date from lake_file "
            "where folder = ? and occurred_date is not null order by 1",
            (stream,),
        )
        return [date.fromisoformat(day) for (day,) in rows]

    def lake_files_of_load(self, load_seq: int) -> list[LakeFile]:
        """What a load wrote."""
        rows = self._connection.execute(
            "select path, folder, occurred_date, rows, bytes, sha256 from lake_file "
            "where load_seq = ?",
            (load_seq,),
        )
        return [
            LakeFile(path, folder, date.fromisoformat(day) if day else None, count, size, sha256)
            for path, folder, day, count, size, sha256 in rows
        ]

    def touched_dates_by_load(self) -> dict[int, list[date]]:
        """Event dates that each load touched, by load number."""
        touched: dict[int, list[date]] = {}
        for load_seq, day in self._connection.execute(
            "select load_seq, occurred_date from touch "
            "where load_seq is not null and occurred_date is not null "
            "order by load_seq, occurred_date"
        ):
            touched.setdefault(load_seq, []).append(date.fromisoformat(day))
        return touched

    def start_run(self, *, run_id: str, job: str, pid: int, at: datetime) -> None:
        """Book the start of a run. The writer lock is held, so any other "running" one is dead."""
        with self._transaction() as connection:
            connection.execute(
                "update run set status = 'interrupted', ended_at = ? where status = 'running'",
                (_to_text(at),),
            )
            connection.execute(
                "insert into run (run_id, job, pid, started_at, status, detail) "
                "values (?, ?, ?, ?, 'running', '{}')",
                (run_id, job, pid, _to_text(at)),
            )

    def note_in_run(self, run_id: str, detail: Mapping[str, object]) -> None:
        """Add what a step of the run has to say to the run's record."""
        with self._transaction() as connection:
            connection.execute(
                "update run set detail = json_patch(detail, ?) where run_id = ?",
                (json.dumps(detail, default=str), run_id),
            )

    def end_run(self, run_id: str, *, succeeded: bool, at: datetime) -> None:
        """Book the end of a run."""
        with self._transaction() as connection:
            connection.execute(
                "update run set status = ?, ended_at = ? where run_id = ?",
                ("succeeded" if succeeded else "failed", _to_text(at), run_id),
            )

    def runs(self, limit: int) -> list[Run]:
        """The newest runs, newest first."""
        rows = self._connection.execute(
            "select * from run order by started_at desc, rowid desc limit ?", (limit,)
        )
        return [
            Run(
                row["run_id"],
                row["job"],
                row["pid"],
                _from_text(row["started_at"]),
                _from_text(row["ended_at"]) if row["ended_at"] else None,
                row["status"],
                json.loads(row["detail"]),
            )
            for row in rows
        ]

    def _load(self, row: sqlite3.Row) -> Load:
        return Load(
            load_id=row["load_id"],
            stream=row["stream"],
            source_file=row["source_file"],
            file_bytes=row["file_bytes"],
            file_modified_ns=row["file_modified_ns"],
            sha256=row["sha256"],
            status=row["status"],
            failure=row["failure"],
            rows_read=row["rows_read"],
            accepted=row["accepted"],
            duplicates=row["duplicates"],
            rejected=row["rejected"],
            conflicting_duplicates=row["conflicting_duplicates"],
            total_mismatches=row["total_mismatches"],
            rejected_by_reason=json.loads(row["rejected_by_reason"]),
            unknown_columns=tuple(json.loads(row["unknown_columns"])),
            started_at=_from_text(row["started_at"]),
            loaded_at=_from_text(row["loaded_at"]),
            load_seq=row["load_seq"],
        )


def _to_text(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat(timespec="microseconds")


def _from_text(text: str) -> datetime:
    return datetime.fromisoformat(text)
