"""Other stores behind the same server: each gives sums of windows from the daily marts.

All that comes after the sums is the product's own, so what differs is only how rows are kept and
found. Names are free for them. A day of a zone without a change of the clocks is a group, which is
less than what the product can do, and in their favour; so is that they price nothing.
"""

import sqlite3
import threading
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Protocol

import duckdb
import polars
import psycopg

from api.cache.series import Sums
from api.metrics.declared import declared
from api.queries.series import SeriesSource
from api.windows import Window

CUSTOMER_QUARTER_HOURLY = "customer_quarter_hourly"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Store(Protocol):
    """What a store answers: the sums of one customer's rows by group."""

    def daily(self, source: SeriesSource, customer_id: int, start: date, end: date) -> Sums:
        """Over UTC dates from `start` on and before `end`."""
        ...

    def by_local_day(
        self, customer_id: int, start: int, end: int, offset: int
    ) -> Sequence[tuple[int, int, int]]:
        """Day, messages and tokens over seconds since 1970, where a day begins at `offset`."""
        ...


class RowsOfStore:
    """Sums of one customer from a store, as `api.cache.customer_rows.CustomerRows` gives them."""

    may_wait = True

    def __init__(self, store: Store, names: dict[str, Sequence[Any]], customer_id: int) -> None:
        self._store = store
        self._names = names
        self._customer_id = customer_id

    def sums_of(self, source: SeriesSource, asked: Window) -> Sums:
        """Sums over a window of whole UTC days."""
        if _is_of_money(source):
            return {}
        whole = asked.whole_days
        return self._store.daily(source, self._customer_id, whole.start.date(), whole.end.date())

    def group_count(self, _source: SeriesSource) -> int:
        """So few that the days of each may be asked for."""
        return 1

    def days_of(
        self, source: SeriesSource, asked: Window, measures: Sequence[int]
    ) -> dict[tuple[Any, ...], list[list[int]]]:
        """Messages and tokens of each date of a zone whose clocks do not change; nothing failed."""
        if _is_of_money(source):
            return {}
        start = int(asked.from_instant.timestamp())
        end = int(asked.to_instant.timestamp())
        offset = start % 86400
        found = {
            day: (messages, tokens)
            for day, messages, tokens in self._store.by_local_day(
                self._customer_id, start, end, offset
            )
        }
        first = (start - offset) // 86400
        days = [found.get(day, (0, 0)) for day in range(first, first + asked.days)]
        places = {"event_count": 0, "message_count": 0, "total_tokens": 1}
        asked_for = [places[source.measures[number]] for number in measures]
        return {(): [[day[place] for day in days] for place in asked_for]}

    def rows(self, query: str) -> Sequence[tuple[Any, ...]]:
        """Names, which cost nothing."""
        return self._names[query]


def _is_of_money(source: SeriesSource) -> bool:
    """Whether it is what costs are made of: the stores price nothing, and are not asked for it."""
    return "cost_usd" in source.measures


class SqlStore:
    """A database that takes SQL: one statement for each question, prepared once."""

    def __init__(self, mark: str) -> None:
        self._mark = mark
        self._statements: dict[SeriesSource, str] = {}
        self._by_local_day = (
            f"select (bucket_start - {mark}) / 86400 as day, sum(message_count), sum(total_tokens)"
            f" from {CUSTOMER_QUARTER_HOURLY} where customer_id = {mark}"
            f" and bucket_start >= {mark} and bucket_start < {mark} group by day"
        )

    def ask(self, statement: str, parameters: Sequence[Any]) -> Sequence[tuple[Any, ...]]:
        """All rows of a statement."""
        raise NotImplementedError

    def daily(self, source: SeriesSource, customer_id: int, start: date, end: date) -> Sums:
        """Over UTC dates from `start` on and before `end`."""
        statement = self._statements.get(source)
        if statement is None:
            statement = self._statements[source] = self._daily_statement(source)
        rows = self.ask(statement, (customer_id, start.toordinal(), end.toordinal()))
        groups = len(source.groups)
        if not groups and rows[0][0] is None:
            return {}
        return {row[:groups]: tuple(map(int, row[groups:])) for row in rows}

    def by_local_day(
        self, customer_id: int, start: int, end: int, offset: int
    ) -> Sequence[tuple[int, int, int]]:
        """Day, messages and tokens over seconds since 1970, where a day begins at `offset`."""
        rows = self.ask(self._by_local_day, (offset, customer_id, start, end))
        return [(int(day), int(messages), int(tokens)) for day, messages, tokens in rows]

    def _daily_statement(self, source: SeriesSource) -> str:
        sums = [f"sum({measure})" for measure in source.measures]
        grouped = f" group by {', '.join(source.groups)}" if source.groups else ""
        return (
            f"select {', '.join([*source.groups, *sums])} from {_table_of(source)}"
            f" where customer_id = {self._mark} and occurred_day >= {self._mark}"
            f" and occurred_day < {self._mark}{grouped}"
        )


class Postgres(SqlStore):
    """PostgreSQL: a connection for each thread, statements prepared at their first use."""

    def __init__(self, url: str) -> None:
        super().__init__("%s")
        self._url = url
        self._of_this_thread = threading.local()

    def ask(self, statement: str, parameters: Sequence[Any]) -> Sequence[tuple[Any, ...]]:
        """All rows of a statement."""
        connection: psycopg.Connection[Any] | None
        connection = getattr(self._of_this_thread, "connection", None)
        if connection is None:
            connection = psycopg.connect(self._url, autocommit=True, prepare_threshold=0)
            self._of_this_thread.connection = connection
        return connection.execute(statement, parameters).fetchall()


class Sqlite(SqlStore):
    """SQLite, on the event loop: its statements wait for nothing."""

    def __init__(self, path: Path) -> None:
        super().__init__("?")
        # Made by the thread that loads the app, and used by that of the event loop alone.
        self._connection = sqlite3.connect(
            f"file:{path}?mode=ro", uri=True, check_same_thread=False
        )

    def ask(self, statement: str, parameters: Sequence[Any]) -> Sequence[tuple[Any, ...]]:
        """All rows of a statement."""
        return self._connection.execute(statement, parameters).fetchall()


class Polars:
    """Polars: a frame for each customer in memory, on the event loop."""

    def __init__(self, database: Path) -> None:
        self._frames: dict[str, dict[Any, polars.DataFrame]] = {}
        with duckdb.connect(str(database), read_only=True) as connection:
            for table in tables():
                frame = polars.from_arrow(connection.execute(table_query(table)).to_arrow_table())
                assert isinstance(frame, polars.DataFrame)
                self._frames[table] = frame.partition_by("customer_id", as_dict=True)

    def daily(self, source: SeriesSource, customer_id: int, start: date, end: date) -> Sums:
        """Over UTC dates from `start` on and before `end`."""
        frame = self._frames[_table_of(source)].get((customer_id,))
        if frame is None:
            return {}
        day = polars.col("occurred_day")
        window = frame.filter((day >= start.toordinal()) & (day < end.toordinal()))
        sums = [polars.col(measure).sum() for measure in source.measures]
        if not source.groups:
            return {(): window.select(sums).row(0)} if window.height else {}
        groups = len(source.groups)
        found = window.group_by(source.groups).agg(sums)
        return {row[:groups]: row[groups:] for row in found.iter_rows()}

    def by_local_day(
        self, customer_id: int, start: int, end: int, offset: int
    ) -> Sequence[tuple[int, int, int]]:
        """Day, messages and tokens over seconds since 1970, where a day begins at `offset`."""
        frame = self._frames[CUSTOMER_QUARTER_HOURLY].get((customer_id,))
        if frame is None:
            return []
        bucket = polars.col("bucket_start")
        rows: list[tuple[int, int, int]] = (
            frame.filter((bucket >= start) & (bucket < end))
            .group_by(((bucket - offset) // 86400).alias("day"))
            .agg(polars.col("message_count").sum(), polars.col("total_tokens").sum())
            .rows()
        )
        return rows


def tables() -> list[str]:
    """The tables that the questions need, by name."""
    return [
        *sorted({mart for family in declared().families.values() for mart in family.daily}),
        CUSTOMER_QUARTER_HOURLY,
    ]


def _table_of(source: SeriesSource) -> str:
    """The table that a series comes from, which has the name of its mart."""
    return source.daily.removeprefix("marts.")


def table_query(table: str) -> str:
    """What is in such a table, from the published file, in the order that it is read in."""
    if table == CUSTOMER_QUARTER_HOURLY:
        return (
            "select customer_id, cast(epoch(bucket_start) as bigint) as bucket_start,"
            " cast(sum(message_count) as bigint) as message_count,"
            " cast(sum(total_tokens) as bigint) as total_tokens"
            " from marts.usage_quarter_hourly group by customer_id, bucket_start"
            " order by customer_id, bucket_start"
        )
    return (
        "select * exclude (occurred_date),"
        " cast(date_diff('day', date '0001-01-01', occurred_date) + 1 as integer) as occurred_day"
        f" from marts.{table} order by customer_id, occurred_day"
    )


def index_column(table: str) -> str:
    """What such a table is indexed by, after the customer."""
    return "bucket_start" if table == CUSTOMER_QUARTER_HOURLY else "occurred_day"
