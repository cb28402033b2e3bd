"""The published snapshot: opened read-only, replaced while requests run, closed when drained."""

import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb

from api.errors import (
    Busy,
    NotReady,
    QueryTimeout,
    SnapshotOutdated,
    SnapshotUnreadable,
    Unavailable,
)
from api.settings import ServingSettings

_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"
SNAPSHOT_FILE = re.compile(rf"({_NAME}/)?{_NAME}\.duckdb")
BATCH_ROWS = 2048
RETRY_SECONDS = 1.0
WATCH_SECONDS = 0.5

DAMAGED = (duckdb.Error, duckdb.IOException, duckdb.SerializationException)
"""What DuckDB raises where a file is damaged; the first one itself, none of its subclasses."""
INVALIDATED = (duckdb.FatalException, duckdb.InternalException)
"""After these the connection answers nothing any more."""

Row = dict[str, Any]
Signature = tuple[int, int, int]


@dataclass(eq=False)
class Snapshot:
    """One opened snapshot file. `users` and `retired` change only under the lock of its owner."""

    name: str
    path: Path
    snapshot_id: str
    price_book: str | None
    """Which price book its costs are of; None in a file of before there were any."""
    data_as_of: datetime | None
    """Newest load in it, aware and in UTC; None if nothing was ever loaded."""
    retention_days: dict[int, int | None]
    """Days kept, by customer id; None or no entry: nothing is deleted."""
    deleted_before: dict[int, date]
    """What was deleted already, by customer id: a longer retention does not bring it back."""
    time_zones: dict[int, str]
    """The customers' own time zones, as delivered, by customer id; no entry: none."""
    rate_limits: dict[int, int]
    """Requests a minute, by customer id, of those whose tier says how many; the rest as is set."""
    connection: duckdb.DuckDBPyConnection
    damage: str = field(default="")
    """Why some of it could not be read, as it was found; the rest is answered from."""
    users: int = field(default=0)
    retired: bool = field(default=False)


class Lease:
    """One request's hold on one snapshot: whatever it reads comes from that one."""

    def __init__(
        self,
        snapshot: Snapshot,
        *,
        timeout_seconds: float,
        when_invalidated: Callable[[Snapshot], None],
    ) -> None:
        self.snapshot = snapshot
        self._timeout_seconds = timeout_seconds
        self._when_invalidated = when_invalidated
        self._cursor: duckdb.DuckDBPyConnection | None = None  # most requests need none

    def rows(self, sql: str, parameters: dict[str, Any]) -> list[Row]:
        """All rows of a query, as dictionaries in column order.

        Raises what `tuples` raises.
        """
        found = list(self.tuples(sql, parameters))
        columns = [column[0] for column in self._opened_cursor().description or ()]
        return [dict(zip(columns, row, strict=True)) for row in found]

    def tuples(self, sql: str, parameters: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
        """The rows of a query, some at a time, so that a million of them are never in memory.

        Read them to the end, or not at all before the next query.
        Raises QueryTimeout if it takes longer than the setting allows, Busy if it needs more memory
        than there is, SnapshotOutdated if the snapshot has no such table or column, and
        SnapshotUnreadable if the file is damaged.
        """
        cursor = self._opened_cursor()
        stop = threading.Timer(self._timeout_seconds, cursor.interrupt)
        stop.daemon = True
        stop.start()
        try:
            cursor.execute(sql, parameters)
            while batch := cursor.fetchmany(BATCH_ROWS):
                yield from batch
        except duckdb.InterruptException as error:
            raise QueryTimeout(self._timeout_seconds) from error
        except (duckdb.CatalogException, duckdb.BinderException) as error:
            reason = f"{self.snapshot.name}: {error}; run `agentstats run hourly`"
            raise SnapshotOutdated(reason) from error
        except duckdb.OutOfMemoryException as error:
            raise Busy from error
        except duckdb.Error as error:
            if isinstance(error, INVALIDATED):
                self._when_invalidated(self.snapshot)
            elif type(error) not in DAMAGED:
                raise
            self.snapshot.damage = f"{self.snapshot.name}: {error}"
            raise SnapshotUnreadable(self.snapshot.damage) from error
        finally:
            stop.cancel()

    def check(self) -> None:
        """See that the file can be read, as far as that is known. Raises SnapshotUnreadable.

        One that is no longer where it was opened is answered from while this process lives, and not
        by the next one.
        """
        if self.snapshot.damage:
            raise SnapshotUnreadable(self.snapshot.damage)
        try:
            with self.snapshot.path.open("rb") as file:
                is_a_database = file.read(4096)[8:12] == b"DUCK"
        except OSError as error:
            raise SnapshotUnreadable(str(error)) from error
        if not is_a_database:
            raise SnapshotUnreadable(f"{self.snapshot.name} is no database any more")
        self.rows("select snapshot_id from marts.snapshot_info", {})

    def _opened_cursor(self) -> duckdb.DuckDBPyConnection:
        if self._cursor is None:
            self._cursor = self.snapshot.connection.cursor()
        return self._cursor

    def close(self) -> None:
        """Give back what reading took."""
        if self._cursor is not None:
            self._cursor.close()


class Snapshots:
    """The newest snapshot of a folder. The file CURRENT in it names the newest.

    `when_replaced` is called with the id of each snapshot before anything is answered from it.
    """

    def __init__(
        self, settings: ServingSettings, *, when_replaced: Callable[[str], None] = lambda _id: None
    ) -> None:
        self._when_replaced = when_replaced
        self._folder = settings.snapshots_folder
        self._pointer = settings.snapshots_folder / "CURRENT"
        self._timeout_seconds = settings.query_timeout_seconds
        self._config: dict[str, str | bool | int | float | list[str]] = {
            "enable_external_access": False,
            "temp_directory": "",  # a query that outgrows its memory fails; it writes nothing
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "memory_limit": f"{settings.query_memory_mb}MB",
            "threads": settings.query_threads,
        }
        self._lock = threading.Lock()
        self._opening = threading.Lock()
        self._current: Snapshot | None = None
        self._seen: Signature | None = None
        self._retry_at = 0.0
        self._opened_at = 0.0
        self._problem: Unavailable | None = NotReady(NotReady.what)
        self._stop = threading.Event()
        self._watcher: threading.Thread | None = None

    @property
    def problem(self) -> Unavailable | None:
        """Why the newest snapshot is not being served; None if it is."""
        return self._problem

    @property
    def current(self) -> Snapshot | None:
        """The snapshot that the next request will get."""
        return self._current

    @property
    def is_outdated(self) -> bool:
        """Whether CURRENT has been written since it was last followed."""
        try:
            return self._signature() != self._seen
        except OSError:
            return False

    def watch(self) -> None:
        """Follow CURRENT in the background, so that an idle server lets go of unlinked files."""
        self._watcher = threading.Thread(target=self._watch, name="snapshots", daemon=True)
        self._watcher.start()

    def close(self) -> None:
        """Stop following, and close the snapshot as soon as no request uses it."""
        self._stop.set()
        if self._watcher is not None:
            self._watcher.join()
        self._replace(None)

    @contextmanager
    def lease(self) -> Iterator[Lease]:
        """Hold the newest snapshot for one request.

        Raises NotReady if nothing was published, SnapshotUnreadable if it cannot be opened.
        """
        self.refresh()
        with self._lock:
            snapshot = self._current
            if snapshot is None:
                problem = self._problem or NotReady(NotReady.what)
                raise type(problem)(problem.reason)
            snapshot.users += 1
        lease = Lease(
            snapshot,
            timeout_seconds=self._timeout_seconds,
            when_invalidated=self._open_again,
        )
        try:
            yield lease
        finally:
            lease.close()
            with self._lock:
                snapshot.users -= 1
                drained = snapshot.retired and snapshot.users == 0
            if drained:
                snapshot.connection.close()

    def refresh(self) -> None:
        """Open the snapshot that CURRENT names, if it names another one than before."""
        try:
            signature = self._signature()
        except OSError as error:
            if self._current is not None or not isinstance(error, FileNotFoundError):
                self._problem = SnapshotUnreadable(str(error))
            return
        if signature == self._seen or time.monotonic() < self._retry_at:
            return
        # Whoever has a snapshot goes on with it while another thread opens the new one.
        if not self._opening.acquire(blocking=self._current is None):
            return
        try:
            if signature != self._seen:
                self._open_newest(signature)
        finally:
            self._opening.release()

    def _signature(self) -> Signature:
        status = self._pointer.stat()
        return (status.st_ino, status.st_mtime_ns, status.st_size)

    def _watch(self) -> None:
        while not self._stop.wait(WATCH_SECONDS):
            self.refresh()

    def _open_newest(self, signature: Signature) -> None:
        try:
            name = self._pointer.read_text(encoding="utf-8").strip()
            if not SNAPSHOT_FILE.fullmatch(name):
                raise ValueError(f"CURRENT does not name a snapshot file: {name[:80]!r}")
            if self._current is None or self._current.name != name:
                self._replace(self._open(self._folder / name, name))
        except (OSError, ValueError, duckdb.Error) as error:
            # The last good snapshot stays in service; /readyz and the metrics show the problem.
            self._problem = SnapshotUnreadable(f"the newest snapshot cannot be opened: {error}")
            self._retry_at = time.monotonic() + RETRY_SECONDS
            return
        self._seen = signature
        self._opened_at = time.monotonic()
        self._retry_at = 0.0
        self._problem = None

    def _open_again(self, invalidated: Snapshot) -> None:
        """Have the next request open the file again, but not again and again."""
        with self._opening:
            if invalidated is self._current and time.monotonic() >= self._opened_at + RETRY_SECONDS:
                self._seen = None
                self._replace(None)

    def _open(self, path: Path, name: str) -> Snapshot:
        connection = duckdb.connect(os.path.realpath(path), read_only=True, config=self._config)
        try:
            # Two settings that connect() does not take, or that would lock out the one before.
            connection.execute("set global TimeZone = 'UTC'")
            connection.execute("set global lock_configuration = true")
            # A file of before has fewer columns.
            cursor = connection.execute("from marts.snapshot_info")
            names = [column[0] for column in cursor.description or ()]
            found = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
            if len(found) != 1:
                raise ValueError(f"{name} has {len(found)} rows in marts.snapshot_info, not one")
            retention = connection.execute(
                "select customer_id, retention_days from marts.customers"
            ).fetchall()
            time_zones = _time_zones(connection)
            rate_limits = _rate_limits(connection)
            deleted = connection.execute(
                "select customer_id, cast(max(cutoff) as date) from marts.retention_ledger "
                "where customer_id is not null group by customer_id"
            ).fetchall()
        except BaseException:
            connection.close()
            raise
        info = found[0]
        data_as_of = info["data_as_of"]
        return Snapshot(
            name=name,
            path=path,
            snapshot_id=info["snapshot_id"],
            price_book=info.get("price_book"),
            data_as_of=None if data_as_of is None else data_as_of.replace(tzinfo=UTC),
            retention_days=dict(retention),
            deleted_before=dict(deleted),
            time_zones=time_zones,
            rate_limits=rate_limits,
            connection=connection,
        )

    def _replace(self, newest: Snapshot | None) -> None:
        if newest is not None:
            self._when_replaced(newest.snapshot_id)
        with self._lock:
            previous, self._current = self._current, newest
            if previous is None:
                return
            previous.retired = True
            drained = previous.users == 0
        # Closing a parent kills its cursors, so one in use is closed by its last user.
        if drained:
            previous.connection.close()


def _time_zones(connection: duckdb.DuckDBPyConnection) -> dict[int, str]:
    """None of a file that was published before customers had one."""
    if not _has_column(connection, "customers", "time_zone"):
        return {}
    return dict(
        connection.execute(
            "select customer_id, time_zone from marts.customers where time_zone is not null"
        ).fetchall()
    )


def _rate_limits(connection: duckdb.DuckDBPyConnection) -> dict[int, int]:
    """None of a file that was published before tiers had any."""
    if not _has_column(connection, "tiers", "requests_per_minute"):
        return {}
    return dict(
        connection.execute(
            "select customer_id, requests_per_minute from marts.customers "
            "inner join marts.tiers using (tier) where requests_per_minute is not null"
        ).fetchall()
    )


def _has_column(connection: duckdb.DuckDBPyConnection, table: str, column: str) -> bool:
    found = connection.execute(
        "select 1 from duckdb_columns() where schema_name = 'marts' and table_name = ? "
        "and column_name = ?",
        [table, column],
    ).fetchall()
    return bool(found)
