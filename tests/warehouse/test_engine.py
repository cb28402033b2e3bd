"""Which engine builds the marts: what happens where Spark is asked for and is not there."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

import pytest

from installation import Installation, usage_event
from orchestration.publication.publish import current_snapshot
from orchestration.warehouse.spark import connection
from spark.cluster import free_port


@pytest.fixture
def published(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> Installation:
    """Its first event is published by DuckDB; its second waits for Spark."""
    installation.drop("agent_usage_events", "first.ndjson", [usage_event(1)])
    installation.run()
    installation.drop("agent_usage_events", "second.ndjson", [usage_event(2)])
    monkeypatch.setenv("AGENTSTATS_ENGINE", "spark")
    monkeypatch.setenv("AGENTSTATS_SPARK_PORT", str(free_port()))
    return installation


@pytest.mark.parametrize(
    ("is_installed", "problem"),
    [(False, "needs the extra `spark`"), (True, "no Thrift server answers at 127.0.0.1")],
)
def test_a_run_without_spark_says_so_and_loses_nothing(
    published: Installation, monkeypatch: pytest.MonkeyPatch, is_installed: bool, problem: str
) -> None:
    """The old snapshot stays the published one, and the next run has the event that came."""
    monkeypatch.setattr(
        connection, "find_spec", lambda _: find_spec("duckdb") if is_installed else None
    )
    served = current_snapshot(published.settings.snapshots)
    outcome = published.try_run()
    assert not outcome.succeeded
    assert problem in str(outcome.problem)
    assert current_snapshot(published.settings.snapshots) == served

    monkeypatch.setenv("AGENTSTATS_ENGINE", "duckdb")
    published.run()
    assert published.marts("select message_count from marts.customer_daily") == [
        {"message_count": 2}
    ]


def test_a_command_without_spark_ends_in_one_line(published: Installation) -> None:
    """`agentstats reconcile` says what is missing, without a stack trace."""
    published.try_run()
    command = "from orchestration.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", command, "reconcile"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "error:" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_run_on_duckdb_leaves_nothing_of_sparks_tables(
    published: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Retention would not reach them any more."""
    monkeypatch.setenv("AGENTSTATS_ENGINE", "duckdb")
    table = published.settings.spark_tables / "agentstats_marts" / "customer_daily"
    table.mkdir(parents=True)
    (table / "part-0.parquet").write_bytes(b"PAR1")
    published.run()
    assert not published.settings.spark_tables.exists()
