"""What breaks under a run: a worker, the Thrift server, a session that is not what it must be."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import yaml

from orchestration.cli.in_process import JobOutcome
from orchestration.publication.publish import current_snapshot
from orchestration.warehouse.dbt import PROJECT
from orchestration.warehouse.spark.connection import profile_variables
from orchestration.warehouse.spark.exchange import handed_back
from published_demo import CHECKOUT
from spark.cluster import HOST, THRIFT_SERVER, Cluster
from spark.engine_pair import EnginePair, copy_landing
from spark.generated import RUNS, deliver_an_hour

pytestmark = pytest.mark.spark

OTHER_SESSION = {
    "spark.sql.session.timeZone": "Asia/Kathmandu",
    "spark.sql.ansi.enabled": "false",
    "spark.sql.parquet.outputTimestampType": "INT96",
    "spark.sql.sources.partitionOverwriteMode": "STATIC",
}


@pytest.fixture(autouse=True)
def whole_cluster(cluster: Cluster) -> Iterator[None]:
    """Whatever a test ends is started again after it."""
    yield
    cluster.up()


def test_a_run_ends_right_though_a_worker_dies(
    generated: EnginePair, tmp_path: Path, cluster: Cluster
) -> None:
    """One of two workers is killed, with its executor; the other does its tasks again."""
    deliver_an_hour(tmp_path, RUNS + 1)
    generated.each(copy_landing(tmp_path))
    outcome = while_spark_works(generated, lambda: cluster.kill("worker-1"))
    assert outcome.succeeded, outcome.problem
    generated.duckdb.run()
    assert generated.differences() == []


def test_a_thrift_server_that_goes_away_fails_the_run_clearly(
    generated: EnginePair, tmp_path: Path, cluster: Cluster
) -> None:
    """The old snapshot is served, the problem is one sentence, and the next run is right."""
    deliver_an_hour(tmp_path, RUNS + 2)
    generated.each(copy_landing(tmp_path))
    served = current_snapshot(generated.spark.settings.snapshots)
    outcome = while_spark_works(generated, lambda: cluster.kill(THRIFT_SERVER))
    assert not outcome.succeeded
    assert "no Thrift server answers" in str(outcome.problem)
    assert "What was published is served on" in str(outcome.problem)
    assert current_snapshot(generated.spark.settings.snapshots) == served

    cluster.up()
    leave_a_table_half_made(generated, cluster)
    generated.run()
    assert generated.spark.last_run()["full_refresh"] is False
    assert generated.differences() == []


def test_a_killed_run_is_made_good_by_the_next(generated: EnginePair, tmp_path: Path) -> None:
    """Without a chance to clean up; Spark gets no word of it, and stops what it was doing."""
    deliver_an_hour(tmp_path, RUNS + 3)
    generated.each(copy_landing(tmp_path))
    settings = generated.spark.settings
    served = current_snapshot(settings.snapshots)
    run = subprocess.Popen(
        [sys.executable, "-c", "from orchestration.cli import main; main()", "run", "hourly"],
        start_new_session=True,
    )
    until_spark_writes(generated, run)
    os.killpg(run.pid, signal.SIGKILL)
    assert run.wait() == -signal.SIGKILL
    assert current_snapshot(settings.snapshots) == served

    generated.run()
    assert generated.spark.last_run()["full_refresh"] is False
    assert generated.differences() == []
    assert list(settings.spark_tables.glob("*/*/.spark-staging-*")) == []
    assert not settings.spark_exchange.exists()


def test_another_session_is_refused(generated: EnginePair, tmp_path: Path) -> None:
    """Before anything is built, with a message that names each setting and what it must be."""
    profiles = yaml.safe_load((CHECKOUT / "profiles.yml").read_text())
    session = profiles["agentstats"]["outputs"]["spark"]["server_side_parameters"]
    session.update({f"set:hiveconf:{name}": value for name, value in OTHER_SESSION.items()})
    (tmp_path / "profiles.yml").write_text(yaml.safe_dump(profiles))
    dbt = subprocess.run(
        [
            *(sys.executable, "-m", "dbt.cli.main", "run", "--target", "spark"),
            *("--project-dir", str(PROJECT), "--profiles-dir", str(tmp_path)),
            *("--target-path", str(tmp_path / "target"), "--log-path", str(tmp_path)),
            "--no-use-colors",
        ],
        env={**os.environ, **profile_variables(generated.spark.settings)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert dbt.returncode != 0
    for name, value in OTHER_SESSION.items():
        assert f"The Spark session has {name} = {value}, not " in dbt.stdout


def leave_a_table_half_made(pair: EnginePair, cluster: Cluster) -> None:
    """What a driver leaves that dies while it makes a table: files that Spark knows nothing of."""
    # Collected where Spark is not installed, too.
    from pyhive import hive

    schema = f"{pair.schema}_marts"
    with (
        closing(hive.connect(HOST, port=cluster.shape.thrift_port)) as connection,
        closing(connection.cursor()) as cursor,
    ):
        cursor.execute(f"drop table if exists {schema}.customers")
    folder = pair.spark.settings.spark_tables / schema / "customers"
    folder.mkdir(parents=True)
    (folder / "part-0.parquet").write_bytes(b"cut off")


def until_spark_writes(pair: EnginePair, run: subprocess.Popen[bytes] | None = None) -> None:
    """Wait for the first mart that a run hands back."""
    written = handed_back(pair.spark.settings)
    while not any(written.glob("*/*")):
        assert run is None or run.poll() is None, "the run was over before anything was written"
        time.sleep(0.05)


def while_spark_works(pair: EnginePair, act: Callable[[], None]) -> JobOutcome:
    """Run the hourly job on Spark, and act once the first mart of it is being written."""
    installation = pair.spark

    def watch() -> None:
        until_spark_writes(pair)
        act()

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    outcome = installation.try_run()
    watching.join(timeout=10)
    assert not watching.is_alive(), "the run was over before anything was written"
    return outcome
