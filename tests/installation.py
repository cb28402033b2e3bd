"""A whole agentstats in a temporary folder: drop files, run jobs, ask the API."""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import duckdb
import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.auth.keys import KeyStore
from orchestration.cli import in_process
from orchestration.cli.in_process import JobOutcome, run_job
from orchestration.publication.publish import current_snapshot
from orchestration.settings import Settings, read_settings
from orchestration.storage.ledger import Ledger, Load
from plain_run import run_plainly

Row = Mapping[str, Any]


@dataclass
class Installation:
    """An installation with a clock that stands still. Its settings are in the environment too,
    because jobs read them there.

    Where it is `built_ahead`, its first run finds every table, and nothing in them; otherwise it
    builds and recounts all, as a new installation does.
    """

    home: Path
    environment: pytest.MonkeyPatch
    now: str
    extra: dict[str, str] = field(default_factory=dict)
    built_ahead: bool = True

    warehouse_built_ahead: ClassVar[Callable[[], Path] | None] = None
    """Makes or finds the folder of what they begin with; set by conftest.py."""

    def __post_init__(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        self.environment.setenv("AGENTSTATS_HOME", str(self.home))
        self.environment.setenv("AGENTSTATS_RATE_LIMIT", "1000000")
        self.set_clock(self.now)

    def set_clock(self, now: str) -> None:
        """Let it be another time."""
        self.now = now
        self.environment.setenv("AGENTSTATS_NOW", now)

    @property
    def settings(self) -> Settings:
        return read_settings()

    def drop(self, stream: str, name: str, rows: Sequence[Row]) -> Path:
        """Write rows as a landing file, in the format that the name says."""
        path = self.home / "landing" / stream / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_rows(path, rows)
        return path

    def drop_bytes(self, stream: str, name: str, content: bytes) -> Path:
        """Write a landing file as it is."""
        path = self.home / "landing" / stream / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def run(
        self, job: str = "hourly", *, full_refresh: bool = False, in_dagster: bool = False
    ) -> JobOutcome:
        """Run a job, which must succeed."""
        outcome = self.try_run(job, full_refresh=full_refresh, in_dagster=in_dagster)
        assert outcome.succeeded, outcome.problem
        return outcome

    def try_run(
        self, job: str = "hourly", *, full_refresh: bool = False, in_dagster: bool = False
    ) -> JobOutcome:
        """Run a job that may fail; its steps alone, where Dagster is not what is tested."""
        settings = self.settings
        made = Installation.warehouse_built_ahead if self.built_ahead else None
        if made and settings.engine == "duckdb" and not settings.ledger_path.exists():
            for file in made().iterdir():
                shutil.copy(file, settings.home)
        with self.environment.context() as environment:
            if not in_dagster:
                environment.setattr(in_process, "_run_job", run_plainly)
            return run_job(self.settings, job, full_refresh=full_refresh)

    def last_run(self) -> Mapping[str, Any]:
        """What the newest run says about itself."""
        with self.ledger() as ledger:
            return ledger.runs(1)[0].detail

    @contextmanager
    def ledger(self) -> Iterator[Ledger]:
        """The ledger, open for the time of the block."""
        ledger = Ledger(self.settings.ledger_path)
        try:
            yield ledger
        finally:
            ledger.close()

    def loads(self) -> dict[str, Load]:
        """The newest load of each source file, by its path below landing/."""
        with self.ledger() as ledger:
            return {load.source_file: load for load in ledger.loads()}

    def lake(self, stream: str) -> list[dict[str, Any]]:
        """Every row in the lake of a stream."""
        with self.ledger() as ledger:
            paths = [str(self.settings.lake / path) for path in ledger.lake_paths_of(stream)]
        if not paths:
            return []
        return query_rows(
            duckdb.connect(), "select * from read_parquet($paths, hive_partitioning = false)",
            {"paths": paths},
        )  # fmt: skip

    def marts(self, query: str) -> list[dict[str, Any]]:
        """The rows of a query over the published snapshot."""
        path = current_snapshot(self.settings.snapshots)
        assert path is not None, "nothing is published"
        return rows_of_snapshot(path, query)

    def fingerprints(self) -> dict[str, str]:
        """A hash of all rows of each published mart, whatever their order."""
        path = current_snapshot(self.settings.snapshots)
        assert path is not None, "nothing is published"
        return fingerprints_of_snapshot(path)

    @contextmanager
    def client(self) -> Iterator[TestClient]:
        """The API over the published snapshot."""
        with TestClient(create_app(self.settings)) as client:
            yield client

    def key(self, customer_id: int) -> str:
        """A new API key of a customer."""
        return KeyStore(self.settings.keys_path).create(customer_id, "test")[1]


@contextmanager
def installation_in(folder: Path, now: str) -> Iterator[Installation]:
    """An installation made anew, for each example of a property."""
    shutil.rmtree(folder, ignore_errors=True)
    with pytest.MonkeyPatch.context() as environment:
        yield Installation(folder, environment, now)


def rows_of_snapshot(path: Path, query: str) -> list[dict[str, Any]]:
    """The rows of a query over a snapshot file."""
    connection = duckdb.connect(str(path), read_only=True)
    try:
        return query_rows(connection, query, {})
    finally:
        connection.close()


def fingerprints_of_snapshot(path: Path) -> dict[str, str]:
    """A hash of all rows of each mart in a snapshot file, whatever their order.

    Not of those that tell of runs and of files, which differ by nature.
    """
    names = rows_of_snapshot(
        path,
        "select table_name from duckdb_tables() where schema_name = 'marts' and table_name "
        "not in ('snapshot_info', 'load_ledger', 'reconciliation', 'reconciled_sums') order by 1",
    )
    found = {}
    for row in names:
        rows = rows_of_snapshot(path, f"select * from marts.{row['table_name']} order by all")
        text = json.dumps(rows, default=str)
        found[row["table_name"]] = hashlib.sha256(text.encode()).hexdigest()
    return found


def query_rows(
    connection: duckdb.DuckDBPyConnection, query: str, parameters: dict[str, Any]
) -> list[dict[str, Any]]:
    """All rows of a query as dictionaries."""
    rows = connection.execute(query, parameters).fetchall()
    names = [column[0] for column in connection.description or ()]
    return [dict(zip(names, row, strict=True)) for row in rows]


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Write rows as Parquet, NDJSON or CSV, gzipped if the name says so. Texts stay texts."""
    name = path.name.removesuffix(".gz")
    names = list(dict.fromkeys(key for row in rows for key in row))
    if name.endswith((".ndjson", ".jsonl")):
        text = "".join(json.dumps(row) + "\n" for row in rows)
        content = text.encode()
    elif name.endswith(".csv"):
        import io

        buffer = io.StringIO()
        writer = csv.DictWriter(buffer, names)
        writer.writeheader()
        for row in rows:
            writer.writerow(
                {
                    key: json.dumps(value) if isinstance(value, dict) else value
                    for key, value in row.items()
                }
            )
        content = buffer.getvalue().encode()
    elif name.endswith(".parquet"):
        # By way of JSON, so that DuckDB finds the types as another producer's tool would.
        with duckdb.connect() as connection:
            lines = path.with_name(f".{path.name}.ndjson")
            lines.write_text("".join(json.dumps(row) + "\n" for row in rows))
            connection.execute(
                f"copy (from read_json('{lines}', map_inference_threshold = 0)) "
                f"to '{path}' (format parquet)"
            )
            lines.unlink()
        return
    else:
        raise ValueError(path)
    path.write_bytes(gzip.compress(content) if path.name.endswith(".gz") else content)


def usage_event(number: int, **changes: Any) -> dict[str, Any]:
    """A good usage event; `number` makes it itself, `changes` replace or add columns."""
    return {
        "event_id": f"event-{number}",
        "customer_id": 1,
        "agent_id": 11,
        "agent_type_id": 5,
        "model_used": "claude-sonnet-4",
        "input_tokens": 100,
        "output_tokens": 10,
        "total_tokens": 110,
        "response_time_ms": 1500,
        "occurred_at": "2026-03-01T08:00:00Z",
        "received_at": "2026-03-01T08:00:01Z",
        **changes,
    }


def scan(number: int, **changes: Any) -> dict[str, Any]:
    """A good scan of the response `event-<number>`."""
    return {
        "audit_id": f"audit-{number}",
        "customer_id": 1,
        "agent_id": 11,
        "agent_type_id": 5,
        "event_id": f"event-{number}",
        "toxicity_score": 0.1,
        "is_toxic": None,
        "pii_redactions": {"PERSON": 1},
        "occurred_at": "2026-03-01T08:00:00Z",
        "received_at": "2026-03-01T08:00:05Z",
        **changes,
    }


def rating(number: int, **changes: Any) -> dict[str, Any]:
    """A good star rating."""
    return {
        "feedback_id": f"feedback-{number}",
        "customer_id": 1,
        "agent_type_id": 5,
        "agent_id": 11,
        "rating": 4,
        "running_instances": 2,
        "occurred_at": "2026-03-01T08:00:00Z",
        "received_at": "2026-03-01T08:00:01Z",
        **changes,
    }


def utc(text: str) -> datetime:
    """An aware UTC time from ISO 8601."""
    return datetime.fromisoformat(text).astimezone(UTC)
