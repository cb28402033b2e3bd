"""The lake in the ledger: which files count, and what changed when."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any

from orchestration.storage.ledger.connection import LedgerConnection

_COLUMNS = "path, folder, occurred_date, rows, bytes, sha256"


@dataclass(frozen=True)
class LakeFile:
    """A Parquet file of the lake; `path` relative to the lake, `sha256` of its bytes.

    `folder` is the first part of the path: a stream, `rejected_rows` or `delivery_counts`.
    """

    path: str
    folder: str
    occurred_date: date | None
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True)
class FoundWhole:
    """A lake file as it was when its bytes were found to be those of the ledger."""

    sha256: str
    size: int
    modified_ns: int
    changed_ns: int
    inode: int
    device: int


def insert_lake_files(
    connection: sqlite3.Connection, load_seq: int, files: Iterable[LakeFile]
) -> None:
    """Record files as written by a load, inside of the caller's transaction."""
    connection.executemany(
        f"insert into lake_file (load_seq, {_COLUMNS}) values (?, ?, ?, ?, ?, ?, ?)",
        [
            (
                load_seq,
                file.path,
                file.folder,
                file.occurred_date.isoformat() if file.occurred_date else None,
                file.rows,
                file.bytes,
                file.sha256,
            )
            for file in files
        ],
    )


def insert_touches(
    connection: sqlite3.Connection, load_seq: int | None, places: Iterable[tuple[str, date | None]]
) -> None:
    """Record what a load changed, or a deletion (None), by folder and date, inside of the caller's
    transaction."""
    connection.executemany(
        "insert into touch (stream, occurred_date, load_seq, touch_id) "
        "values (?, ?, ?, lower(hex(randomblob(8))))",
        [
            (folder, day.isoformat() if day else None, load_seq)
            for folder, day in sorted(places, key=str)
        ],
    )


def lake_files_of_load(connection: sqlite3.Connection, load_seq: int) -> list[LakeFile]:
    """What a load wrote, as far as it counts."""
    rows = connection.execute(
        f"select {_COLUMNS} from lake_file where load_seq = ? order by path", (load_seq,)
    )
    return [_lake_file(row) for row in rows]


class LakeRecords(LedgerConnection):
    """The lake's files, and its changes in the order in which they came."""

    @cached_property
    def found_whole(self) -> dict[str, FoundWhole]:
        """What of the lake was found to be whole while this ledger is open, by path:
        `orchestration.lake.verified` keeps it."""
        return {}

    def newest_touch_seq(self) -> int:
        """The number of the newest change of the lake; 0 where there is none."""
        (newest,) = self._connection.execute(
            "select coalesce(max(touch_seq), 0) from touch"
        ).fetchone()
        return int(newest)

    def touch_id(self, touch_seq: int) -> str | None:
        """What differs between the change of that number and another ledger's; None without one."""
        row = self._connection.execute(
            "select touch_id from touch where touch_seq = ?", (touch_seq,)
        ).fetchone()
        return str(row[0]) if row else None

    def touched_since(self, touch_seq: int) -> dict[str, list[date]]:
        """What changed in the lake after change `touch_seq`, by stream (or folder of counts).

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

    def touched_dates_by_load(self, *, after: int = 0) -> dict[int, list[date]]:
        """Event dates of its stream that each load touched, by load number; `after` that one."""
        touched: dict[int, list[date]] = {}
        for load_seq, day in self._connection.execute(
            "select touch.load_seq, touch.occurred_date from touch "
            "inner join load on touch.load_seq = load.load_seq and touch.stream = load.stream "
            "where touch.occurred_date is not null and touch.load_seq > ? order by 1, 2",
            (after,),
        ):
            touched.setdefault(load_seq, []).append(date.fromisoformat(day))
        return touched

    def lake_paths(self) -> set[str]:
        """Every lake file that counts, relative to the lake."""
        return {path for (path,) in self._connection.execute("select path from lake_file")}

    def lake_paths_of(self, stream: str, dates: Sequence[date] | None = None) -> list[str]:
        """Paths of a stream's lake files, of the given event dates only where given."""
        return [file.path for file in self.lake_files_of(stream, dates)]

    def lake_files_of(self, stream: str, dates: Sequence[date] | None = None) -> list[LakeFile]:
        """Lake files of a stream, of the given event dates only where given."""
        query = f"select {_COLUMNS} from lake_file where folder = ?"
        if dates is None:
            rows = list(self._connection.execute(f"{query} order by path", (stream,)))
        else:
            rows = [
                row
                for day in dates
                for row in self._connection.execute(
                    f"{query} and occurred_date = ? order by path", (stream, day.isoformat())
                )
            ]
        return [_lake_file(row) for row in rows]

    def lake_file(self, path: str) -> LakeFile | None:
        """The file of that path; None where none counts."""
        row = self._connection.execute(
            f"select {_COLUMNS} from lake_file where path = ?", (path,)
        ).fetchone()
        return _lake_file(row) if row else None

    def announce_rewrite(self, made_of: Mapping[str, Sequence[str]]) -> None:
        """Announce files to be written, each with the files whose rows it will hold."""
        with self._transaction() as connection:
            connection.executemany(
                "insert into lake_rewrite (path, made_of) values (?, ?)",
                [(path, json.dumps(list(sources))) for path, sources in made_of.items()],
            )

    def rewrites(self) -> dict[str, list[str]]:
        """Files of rewrites that may have been cut off: those announced and never counted, with
        what they are made of; and those taken out of the lake, which are made of nothing."""
        return {
            path: json.loads(made_of)
            for path, made_of in self._connection.execute(
                "select path, made_of from lake_rewrite "
                "where path not in (select path from lake_file)"
            )
        }

    def delete_rewrites(self) -> None:
        """Note that nothing of a rewrite is left in the lake but what counts."""
        if self._connection.execute("select 1 from lake_rewrite limit 1").fetchone():
            with self._transaction() as connection:
                connection.execute("delete from lake_rewrite")

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
        return lake_files_of_load(self._connection, load_seq)

    def lake_files(self) -> list[LakeFile]:
        """Every lake file that counts, by path."""
        rows = self._connection.execute(f"select {_COLUMNS} from lake_file order by path")
        return [_lake_file(row) for row in rows]

    def lake_folders(self) -> list[str]:
        """The folders of the lake that hold files, by name."""
        rows = self._connection.execute("select distinct folder from lake_file order by folder")
        return [folder for (folder,) in rows]

    def lake_files_in(self, folder: str) -> list[tuple[LakeFile, int]]:
        """Each file of a folder with the number of its load, by date and path."""
        rows = self._connection.execute(
            f"select {_COLUMNS}, load_seq from lake_file "
            "where folder = ? order by occurred_date, path",
            (folder,),
        )
        return [(_lake_file(described), load_seq) for *described, load_seq in rows]

    def rows_in_lake(self, *, but_in: str) -> int:
        """Rows of every file that counts, one folder aside."""
        (rows,) = self._connection.execute(
            "select coalesce(sum(rows), 0) from lake_file where folder <> ?", (but_in,)
        ).fetchone()
        return int(rows)


def _lake_file(row: Sequence[Any]) -> LakeFile:
    path, folder, day, count, size, sha256 = row
    occurred_date = date.fromisoformat(day) if day else None
    return LakeFile(path, folder, occurred_date, count, size, sha256)
