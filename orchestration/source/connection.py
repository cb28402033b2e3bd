"""The connection to the source: short read-only transactions, and errors that name no secret.

Rows travel as Arrow from PostgreSQL's binary COPY into DuckDB; Python never sees one of them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from orchestration.contract.source_url import SourceUrl
from orchestration.errors import AgentstatsError
from orchestration.settings import Settings
from orchestration.storage.database import connect
from orchestration.storage.sql import literal

# A lock that somebody holds longer than this is a change of the table: the next run goes on.
LOCK_TIMEOUT_SECONDS = 10
# pg_current_snapshot and xid8 came with 13, scans of a range of pages with 14.
OLDEST_VERSION = 140000

_SQLSTATE = re.compile(r"SQLSTATE: (\w{5})")
_HINTS = (
    ("password authentication failed", "check user and password in AGENTSTATS_POSTGRES_URL"),
    ("no password supplied", "AGENTSTATS_POSTGRES_URL has no password, and the server wants one"),
    ("no pg_hba.conf entry", "let this host in, in the server's pg_hba.conf"),
    ("could not translate host name", "check the host in AGENTSTATS_POSTGRES_URL"),
    ("does not exist", "check AGENTSTATS_POSTGRES_URL; `agentstats source check` lists what is"),
    ("permission denied", "grant what docs/postgresql.md lists to the role"),
    ("row-level security", "give the role BYPASSRLS, or a view of all rows to read"),
    (
        "statement timeout",
        "raise AGENTSTATS_POSTGRES_STATEMENT_TIMEOUT_SECONDS or lower "
        "AGENTSTATS_POSTGRES_CHUNK_ROWS",
    ),
    ("lock timeout", "another session is changing the table; the next run reads it"),
    ("conflict with recovery", "the replica cancelled it: raise its max_standby_streaming_delay"),
)
_NEXT_RUN = "nothing is lost, the next run goes on from here"


class SourceProblem(AgentstatsError):
    """The source could not be read; the message says why and what to do, without any secret."""


class SourceAway(SourceProblem):
    """There is no connection to be had, so there is no use in trying the next stream."""


@dataclass(frozen=True)
class Moment:
    """One snapshot of the source, of which everything in a transaction is read.

    `xmin`: every transaction below it was over, and what it committed is in the snapshot; `xmax`:
    none from here on is in it. Both are 64-bit. `history` changes with the server, with its
    timeline (a promoted replica, a restore), and with the database.
    """

    history: str
    xmin: int
    xmax: int


class Source:
    """An open connection; `database` is the DuckDB that its rows go through."""

    def __init__(self, url: SourceUrl, settings: Settings) -> None:
        # The driver is loaded only where a source is set.
        import adbc_driver_manager
        import adbc_driver_postgresql

        self._adbc = adbc_driver_manager
        self._url = url
        self._statement_timeout_ms = round(settings.postgres_statement_timeout_seconds * 1000)
        settings.scratch.mkdir(parents=True, exist_ok=True)
        try:
            self._server = adbc_driver_postgresql.connect(url.with_defaults())
            self._connection = adbc_driver_manager.AdbcConnection(self._server)
        except adbc_driver_manager.Error as error:
            raise SourceAway(self._explain(str(error))) from None
        self.database = connect(settings)

    def close(self) -> None:
        """Leave the server, whatever state the connection is in."""
        self.database.close()
        for each in (self._connection, self._server):
            try:
                each.close()
            except self._adbc.Error:
                # The server has closed it already.
                continue

    @contextmanager
    def transaction(self, *, lock: str | None = None) -> Iterator[None]:
        """One read-only snapshot of the source for the time of the block.

        `lock` is a quoted table that must keep its shape meanwhile. The lock is the one that any
        SELECT takes, and it must come first: only then is nothing changed between the snapshot
        and the lock.
        """
        self._run("begin isolation level repeatable read read only")
        try:
            self._run(f"set local statement_timeout = {self._statement_timeout_ms}")
            self._run(f"set local lock_timeout = {LOCK_TIMEOUT_SECONDS * 1000}")
            self._run("set local timezone = 'UTC'")
            # Rows that a policy hides would be missing without a word: better an error.
            self._run("set local row_security = off")
            if lock:
                self._run(f"lock table {lock} in access share mode")
            yield
            self._run("commit")
        except BaseException:
            # Where the server has cut the connection, it has ended the transaction too.
            self._try("rollback")
            raise

    def moment(self) -> Moment:
        """The snapshot of the transaction that is open."""
        version, encoding, xmin, xmax, database, is_replica = self.rows(
            "select current_setting('server_version_num')::int, "
            "current_setting('server_encoding'), "
            "pg_snapshot_xmin(snapshot)::text, pg_snapshot_xmax(snapshot)::text, "
            "(select oid::bigint from pg_database where datname = current_database()), "
            "pg_is_in_recovery() from pg_current_snapshot() as snapshot"
        )[0]
        if version < OLDEST_VERSION:
            raise SourceProblem(
                f"{self._url.shown}: the server is PostgreSQL {version // 10000}; 14 is the oldest "
                "that can be read"
            )
        if encoding == "SQL_ASCII":
            raise SourceProblem(
                f"{self._url.shown}: the database is SQL_ASCII, so its texts are of no known "
                "encoding; move it to one in UTF8"
            )
        system = self.rows("select system_identifier::text from pg_control_system()")[0][0]
        timeline = (
            "select greatest(timeline_id, coalesce(min_recovery_end_timeline, 0)) "
            "from pg_control_checkpoint(), pg_control_recovery()"
            if is_replica
            # The control file has a promotion only after the next checkpoint.
            else "select ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int"
        )
        history = f"{system}/{self.rows(timeline)[0][0]}/{database}"
        return Moment(history, int(xmin), int(xmax))

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """The rows of a small query: facts about the source, never its data."""
        return self._read(query, "select * from pulled")

    def plan_rows(self, query: str) -> int:
        """How many rows the server's planner expects of a query."""
        plan = self._read(f"explain (format json) {query}", "select * from pulled", use_copy=False)
        return int(json.loads(plan[0][0])[0]["Plan"]["Plan Rows"])

    def write(self, query: str, received: str, target: Path) -> int:
        """Stream the query's rows into a Parquet file; `received` is DuckDB's select list.

        Returns the number of rows. Raises `SourceProblem` where the stream is cut; then what is
        at `target` is worth nothing.
        """
        before = self._snapshot_id()
        copied = self._read(
            query,
            # Read once and soon: twice the size of zstd, at half its cost.
            f"copy (select {received} from pulled) to {literal(str(target))} "
            "(format parquet, compression snappy)",
        )
        # The end of a stream is believed only in the transaction that began it.
        if self._snapshot_id() != before:
            raise SourceProblem(self._explain("the connection was replaced in mid-pull"))
        return int(copied[0][0])

    def _snapshot_id(self) -> str:
        return str(self.rows("select pg_current_snapshot()::text")[0][0])

    def _read(self, query: str, taken: str, *, use_copy: bool = True) -> list[tuple[Any, ...]]:
        statement = self._adbc.AdbcStatement(self._connection)
        try:
            if not use_copy:
                # What COPY does not take, like EXPLAIN.
                statement.set_options(**{"adbc.postgresql.use_copy": "false"})
            statement.set_sql_query(query)
            stream, _ = statement.execute_query()
            self.database.register("pulled", stream)
            try:
                return self.database.execute(taken).fetchall()
            finally:
                self.database.unregister("pulled")
        except self._adbc.Error as error:
            raise SourceProblem(self._explain(str(error))) from None
        except duckdb.Error as error:
            if "reading the stream" not in str(error):
                # Ours, like a full disk.
                raise
            raise SourceProblem(self._explain(str(error))) from None
        finally:
            self._close(statement)

    def _run(self, command: str) -> None:
        statement = self._adbc.AdbcStatement(self._connection)
        try:
            statement.set_sql_query(command)
            statement.execute_update()
        except self._adbc.Error as error:
            raise SourceProblem(self._explain(str(error))) from None
        finally:
            self._close(statement)

    def _try(self, command: str) -> None:
        try:
            self._run(command)
        except SourceProblem:
            return

    def _close(self, statement: Any) -> None:
        try:
            statement.close()
        except self._adbc.Error:
            return

    def _explain(self, error: str) -> str:
        """What went wrong and what to do, in one line, with every secret hidden."""
        state = _SQLSTATE.search(error)
        said = error.split("\n\nQuery was:")[0].split("\nQuery was:")[0]
        said = re.sub(
            r"^.*\[libpq\] |^IO: |Failed to execute query '.*?': ", "", said, flags=re.DOTALL
        )
        said = said.split("\n")[0].strip().rstrip(".")
        hint = next((hint for sign, hint in _HINTS if sign in said), _NEXT_RUN)
        code = f" (SQLSTATE {state[1]})" if state else ""
        return self._url.hide(f"PostgreSQL {self._url.shown}: {said}{code}; {hint}")


@contextmanager
def open_source(settings: Settings) -> Iterator[Source]:
    """The source of the settings, for the time of the block. Raises `SourceProblem`."""
    source = Source(settings.source_url(), settings)
    try:
        yield source
    finally:
        source.close()
