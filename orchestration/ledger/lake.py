"""The lake in the ledger: which files count, and what changed when."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from orchestration.ledger.book import Book

_COLUMNS = "path, folder, occurred_date, rows, bytes, sha256"


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


class LakeBook(Book):
    """The lake's files, and its changes in the order in which they came."""

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
            f"select {_COLUMNS} from lake_file where load_seq = ?", (load_seq,)
        )
        return [_lake_file(row) for row in rows]


def _lake_file(row: sqlite3.Row) -> LakeFile:
    path, folder, day, count, size, sha256 = row
    return LakeFile(path, folder, date.fromisoformat(day) if day else None, count, size, sha256)
