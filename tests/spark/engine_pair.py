"""The same deliveries and the same jobs, on DuckDB and on Spark; and what differs after them."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import pytest

from installation import Installation
from orchestration.publication.publish import current_snapshot
from spark.cluster import Cluster

# What is of the run and not of the data.
_OF_THE_RUN = {
    "snapshot_info": {
        *("snapshot_id", "published_at", "marts_version", "run_id", "engine"),
        *("load_seq", "deletion_seq"),
    },
    "retention_ledger": {"run_id"},
}


@dataclass
class EnginePair:
    """Two installations: `duckdb` and `spark`. Settings are in the environment, one at a time."""

    folder: Path
    environment: pytest.MonkeyPatch
    now: str
    cluster: Cluster
    # The tests of a cluster share it, each with schemas of its own.
    schema: str = field(default_factory=lambda: f"t{uuid.uuid4().hex[:12]}")

    def __post_init__(self) -> None:
        self.engines = {engine: self._install(engine) for engine in ("duckdb", "spark")}

    @property
    def duckdb(self) -> Installation:
        return self.turn_to("duckdb")

    @property
    def spark(self) -> Installation:
        return self.turn_to("spark")

    def turn_to(self, engine: str) -> Installation:
        """The installation on that engine, whose settings the environment has from now on."""
        installation = self.engines[engine]
        variables: Mapping[str, str] = {
            "AGENTSTATS_HOME": str(installation.home),
            "AGENTSTATS_NOW": installation.now,
            "AGENTSTATS_ENGINE": engine,
            "AGENTSTATS_SPARK_PORT": str(self.cluster.shape.thrift_port),
            "AGENTSTATS_SPARK_SCHEMA": self.schema,
        }
        for name, value in variables.items():
            self.environment.setenv(name, value)
        return installation

    def each(self, act: Callable[[Installation], object]) -> None:
        """Do the same to both."""
        for engine in self.engines:
            act(self.turn_to(engine))

    def run(self, job: str = "hourly", *, full_refresh: bool = False) -> None:
        """Run a job on both, which must succeed."""
        self.each(lambda installation: installation.run(job, full_refresh=full_refresh))

    def differences(self) -> list[str]:
        """What is not the same in the two published files: tables, columns, types or rows."""
        snapshots = [current_snapshot(each.settings.snapshots) for each in self._in_turn()]
        return differences_of_snapshots(*map(str, snapshots))

    def _in_turn(self) -> list[Installation]:
        return [self.engines["duckdb"], self.engines["spark"]]

    def _install(self, engine: str) -> Installation:
        return Installation(self.folder / engine, self.environment, self.now)


def differences_of_snapshots(one: str, other: str) -> list[str]:
    """Tables, columns, their order and types, and rows with how often each is there."""
    found = []
    with duckdb.connect() as connection:
        connection.execute(f"attach '{one}' as one (read_only)")
        connection.execute(f"attach '{other}' as other (read_only)")
        columns = {
            name: connection.execute(
                "select table_name, column_name, data_type from duckdb_columns() "
                "where database_name = ? and schema_name = 'marts' "
                "order by table_name, column_index",
                [name],
            ).fetchall()
            for name in ("one", "other")
        }
        if columns["one"] != columns["other"]:
            found.append(f"columns: {set(columns['one']) ^ set(columns['other'])}")
        for table in sorted({table for table, _, _ in columns["one"]}):
            listed = ", ".join(
                name
                for of_table, name, _ in columns["one"]
                if of_table == table and name not in _OF_THE_RUN.get(table, set())
            )
            for left, right in (("one", "other"), ("other", "one")):
                (missing,) = connection.execute(
                    f"select count(*) from (select {listed} from {left}.marts.{table} "
                    f"except all select {listed} from {right}.marts.{table})"
                ).fetchall()[0]
                if missing:
                    found.append(f"{table}: {missing} rows of {left} are not in {right}")
    return found


def copy_landing(source: Path) -> Callable[[Installation], None]:
    """Drops a copy of a landing folder, which may be read-only."""

    def drop(installation: Installation) -> None:
        target = installation.home / "landing"
        shutil.copytree(source, target, copy_function=shutil.copyfile, dirs_exist_ok=True)
        for folder in (target, *(path for path in target.rglob("*") if path.is_dir())):
            folder.chmod(0o755)

    return drop
