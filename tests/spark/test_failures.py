"""What breaks under a run: a worker, the Thrift server, a session that is not what it must be."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from orchestration.dbt import PROJECT
from orchestration.jobs import JobOutcome
from orchestration.publication import current_snapshot
from orchestration.settings import CHECKOUT
from orchestration.spark.cluster import THRIFT_SERVER, Cluster
from orchestration.spark.connection import profile_variables
from spark.deliveries import NOW, write_customers, write_events
from spark.twins import Twins, copy_landing

pytestmark = pytest.mark.spark


@pytest.fixture
def twins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cluster: Cluster) -> Iterator[Twins]:
    """Both with a day's events published, and another file waiting."""
    twins = Twins(tmp_path, monkeypatch, NOW.isoformat(), cluster)
    write_customers(tmp_path / "first", "customers", "'pro'", "2026-01-01")
    write_events(tmp_path / "first", "events", 0, 20_000)
    twins.each(copy_landing(tmp_path / "first"))
    twins.run()
    write_events(tmp_path / "second", "more", 20_000, 40_000)
    twins.each(copy_landing(tmp_path / "second"))
    yield twins
    cluster.up()


def while_spark_works(twins: Twins, act: Callable[[], None]) -> JobOutcome:
    """Run the hourly job on Spark, and act once the first mart of it is being written."""
    installation = twins.spark
    handed_back = installation.settings.spark_exchange

    def watch() -> None:
        while not any(handed_back.glob("*/*")):
            time.sleep(0.05)
        act()

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    outcome = installation.try_run()
    watching.join(timeout=10)
    assert not watching.is_alive(), "the run was over before anything was written"
    return outcome


def test_a_run_ends_right_though_a_worker_dies(twins: Twins, cluster: Cluster) -> None:
    """One of two workers is killed, with its executor; the other does its tasks again."""
    outcome = while_spark_works(twins, lambda: cluster.kill("worker-1"))
    assert outcome.succeeded, outcome.problem
    twins.duckdb.run()
    assert twins.differences() == []


def test_a_thrift_server_that_goes_away_fails_the_run_clearly(
    twins: Twins, cluster: Cluster
) -> None:
    """The old snapshot is served, the problem is one sentence, and the next run is right."""
    served = current_snapshot(twins.spark.settings.snapshots)
    outcome = while_spark_works(twins, lambda: cluster.kill(THRIFT_SERVER))
    assert not outcome.succeeded
    assert "no Thrift server answers" in str(outcome.problem)
    assert current_snapshot(twins.spark.settings.snapshots) == served

    cluster.up()
    twins.run()
    assert twins.differences() == []


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("spark.sql.session.timeZone", "Asia/Kathmandu"),
        ("spark.sql.ansi.enabled", "false"),
        ("spark.sql.parquet.outputTimestampType", "INT96"),
        ("spark.sql.sources.partitionOverwriteMode", "STATIC"),
    ],
)
def test_another_session_is_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    cluster: Cluster,
    setting: str,
    value: str,
) -> None:
    """Before anything is built, with a message that names the setting and what it must be."""
    settings = Twins(tmp_path, monkeypatch, NOW.isoformat(), cluster).spark.settings
    profiles = yaml.safe_load((CHECKOUT / "profiles.yml").read_text())
    session = profiles["agentstats"]["outputs"]["spark"]["server_side_parameters"]
    session[f"set:hiveconf:{setting}"] = value
    (tmp_path / "profiles.yml").write_text(yaml.safe_dump(profiles))
    dbt = subprocess.run(
        [
            str(Path(sys.executable).with_name("dbt")),
            *("run", "--target", "spark", "--project-dir", str(PROJECT)),
            *("--profiles-dir", str(tmp_path), "--target-path", str(tmp_path / "target")),
            *("--log-path", str(tmp_path), "--no-use-colors"),
        ],
        env={**os.environ, **profile_variables(settings)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert dbt.returncode != 0
    assert f"The Spark session has {setting} = {value}" in dbt.stdout
