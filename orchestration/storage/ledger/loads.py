"""The deliveries: one row for each file delivered, and what came of it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

from orchestration.storage.ledger.connection import LedgerConnection, from_text, to_text
from orchestration.storage.ledger.customers import EventTimes, insert_event_times
from orchestration.storage.ledger.lake import (
    LakeFile,
    insert_lake_files,
    insert_touches,
    lake_files_of_load,
)


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
    received_in_future: int = 0
    unknown_columns: int = 0
    extra_left_out: int = 0
    unknown_time_zones: int = 0
    withdrawn: int = 0
    lake_files: Sequence[LakeFile] = ()
    event_times: Sequence[EventTimes] = ()
    load_seq: int | None = None

    @property
    def stream_files(self) -> list[LakeFile]:
        """The lake files of the stream itself, without those of rejected rows and of counts."""
        return [file for file in self.lake_files if file.folder == self.stream]

    @property
    def dates_touched(self) -> tuple[date, ...]:
        """UTC dates of which this load brought something of its stream, ascending."""
        days = {file.occurred_date for file in self.stream_files if file.occurred_date}
        return tuple(sorted(days))

    @property
    def places_touched(self) -> set[tuple[str, date | None]]:
        """Folders and dates of the lake whose marts this load may change.

        A reference row has no date, but touches the names; rejected rows are in no mart.
        """
        return {
            (file.folder, file.occurred_date)
            for file in self.lake_files
            if file.folder == self.stream or file.occurred_date
        }


class LoadRecords(LedgerConnection):
    """The loads, oldest first."""

    def record_load(self, load: Load) -> int:
        """Record a load with its lake files, touched dates and times of events, all or nothing.

        Returns its number.
        """
        with self._transaction() as connection:
            cursor = connection.execute(
                "insert into load (load_id, stream, source_file, file_bytes, file_modified_ns, "
                "sha256, status, failure, rows_read, accepted, duplicates, rejected, "
                "conflicting_duplicates, total_mismatches, rejected_by_reason, received_in_future, "
                "unknown_columns, extra_left_out, unknown_time_zones, withdrawn, "
                "started_at, loaded_at) "
                "values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
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
                    load.received_in_future,
                    load.unknown_columns,
                    load.extra_left_out,
                    load.unknown_time_zones,
                    load.withdrawn,
                    to_text(load.started_at),
                    to_text(load.loaded_at),
                ),
            )
            load_seq = cursor.lastrowid
            assert load_seq is not None
            insert_lake_files(connection, load_seq, load.lake_files)
            insert_touches(connection, load_seq, load.places_touched)
            insert_event_times(connection, load.event_times)
            connection.execute("delete from attempt where source_file = ?", (load.source_file,))
        return load_seq

    def unload(self, load: Load, failure: str) -> list[LakeFile]:
        """Record that the load has failed after all, all or nothing. Returns the lake files that
        count no more; what they were in has to be rebuilt."""
        assert load.load_seq is not None
        with self._transaction() as connection:
            lake_files = lake_files_of_load(connection, load.load_seq)
            connection.execute("delete from lake_file where load_seq = ?", (load.load_seq,))
            gone = replace(load, lake_files=lake_files)
            insert_touches(connection, load.load_seq, gone.places_touched)
            connection.execute(
                "update load set status = 'failed', failure = ?, rows_read = 0, accepted = 0, "
                "duplicates = 0, rejected = 0, conflicting_duplicates = 0, total_mismatches = 0, "
                "received_in_future = 0, unknown_time_zones = 0, withdrawn = 0, "
                "rejected_by_reason = '{}' "
                "where load_seq = ?",
                (failure, load.load_seq),
            )
        return lake_files

    def loads_since(self, touch_seq: int) -> list[Load]:
        """The loads that count and changed the lake after change `touch_seq`, oldest first, each
        with its lake files."""
        rows = self._connection.execute(
            "select * from load where status = 'loaded' and load_seq in "
            "(select load_seq from touch where touch_seq > ?) order by load_seq",
            (touch_seq,),
        ).fetchall()
        return [
            replace(
                self._load(row), lake_files=lake_files_of_load(self._connection, row["load_seq"])
            )
            for row in rows
        ]

    def deliveries_of(self, stream: str, sha256: str) -> list[Load]:
        """Earlier loads of the same bytes into the same stream, oldest first."""
        rows = self._connection.execute(
            "select * from load where sha256 = ? and stream = ? order by load_seq",
            (sha256, stream),
        )
        return [self._load(row) for row in rows]

    def loads_not_moved(self) -> list[Load]:
        """Loads whose file was still in the landing folder when the ledger last recorded it."""
        rows = self._connection.execute("select * from load where not is_moved order by load_seq")
        return [self._load(row) for row in rows]

    def mark_moved(self, load: Load) -> None:
        """Note that the load's file is in the landing folder no more."""
        with self._transaction() as connection:
            connection.execute(
                "update load set is_moved = 1 where stream = ? and load_id = ?",
                (load.stream, load.load_id),
            )

    def loads(self, *, after: int = 0) -> list[Load]:
        """Every load whose number is greater than `after`, oldest first, without its lake files
        and times of events."""
        rows = self._connection.execute(
            "select * from load where load_seq > ? order by load_seq", (after,)
        )
        return [self._load(row) for row in rows]

    def newest_load_seq(self) -> int:
        """The number of the newest load; 0 where there is none."""
        (newest,) = self._connection.execute(
            "select coalesce(max(load_seq), 0) from load"
        ).fetchone()
        return int(newest)

    def newest_load_at(self, now: datetime) -> datetime | None:
        """The latest time at which a file was loaded: it does not go back with the clock.

        But none that is more than a day ahead of `now`: that clock was wrong. Where all are, the
        number of the load says which is the newest.
        """
        (newest,) = self._connection.execute(
            "select coalesce((select max(loaded_at) from load where status = 'loaded' "
            "and loaded_at <= ?), (select loaded_at from load where status = 'loaded' "
            "order by load_seq desc limit 1))",
            (to_text(now + timedelta(days=1)),),
        ).fetchone()
        return from_text(newest) if newest else None

    def loaded_at_the_latest(self, load_seq: int) -> datetime:
        """When the load was done, by its own clock or by that of a later load that was earlier."""
        (earliest,) = self._connection.execute(
            "select min(loaded_at) from load where load_seq >= ?", (load_seq,)
        ).fetchone()
        return from_text(earliest)

    def newest_accepted_at(self, streams: Sequence[str]) -> datetime | None:
        """When a file of one of the streams was loaded last that brought at least one new row."""
        (newest,) = self._connection.execute(
            "select (select loaded_at from load where accepted > 0 "
            f"and stream in ({', '.join('?' for _ in streams)}) order by load_seq desc limit 1)",
            list(streams),
        ).fetchone()
        return from_text(newest) if newest else None

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
            received_in_future=row["received_in_future"],
            unknown_columns=row["unknown_columns"],
            extra_left_out=row["extra_left_out"],
            unknown_time_zones=row["unknown_time_zones"],
            withdrawn=row["withdrawn"],
            started_at=from_text(row["started_at"]),
            loaded_at=from_text(row["loaded_at"]),
            load_seq=row["load_seq"],
        )
