"""Dagster's event log in SQLite, on connections that are kept.

Dagster's own opens the file, compiles the statement, commits with a sync to disk and closes the
file again for each of the hundreds of events of a run: a third of the time of a small run.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from dagster._core.storage.event_log.sqlite import SqliteEventLogStorage
from dagster._core.storage.sql import create_engine
from sqlalchemy import Connection, Engine, QueuePool, event

if TYPE_CHECKING:
    from dagster._serdes import ConfigurableClassData

# The index, the run under way, and a few that somebody looks at.
_KEPT_FILES = 8
_BUSY_TIMEOUT_SECONDS = 60


class EventLog(SqliteEventLogStorage):
    """The same files as Dagster's own storage, read and written in the same way."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._engines: OrderedDict[str, Engine] = OrderedDict()
        super().__init__(base_dir, inst_data)

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> EventLog:
        return cls(inst_data=inst_data, **config_value)

    def dispose(self) -> None:
        super().dispose()
        with self._db_lock:
            while self._engines:
                self._engines.popitem()[1].dispose()

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        # The lock also keeps two threads from using a connection at once.
        with self._db_lock:
            engine = self._engine_of(shard)
            if shard not in self._initialized_dbs:
                self._initdb(engine)
                self._initialized_dbs.add(shard)
            with engine.connect() as connection, connection.begin():
                yield connection

    def _engine_of(self, shard: str) -> Engine:
        engine = self._engines.get(shard)
        if engine is None:
            engine = create_engine(
                self.conn_string_for_shard(shard),
                poolclass=QueuePool,
                pool_size=1,
                connect_args={"timeout": _BUSY_TIMEOUT_SECONDS, "check_same_thread": False},
            )
            event.listen(engine, "connect", _sync_when_the_log_is_moved)
            self._engines[shard] = engine
            if len(self._engines) > _KEPT_FILES:
                self._engines.popitem(last=False)[1].dispose()
        self._engines.move_to_end(shard)
        return engine


def _sync_when_the_log_is_moved(connection: Any, _: Any) -> None:
    """A power cut may take the last events, never the file: https://sqlite.org/wal.html#fast"""
    connection.execute("pragma synchronous = normal")
