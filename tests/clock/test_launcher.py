"""What Dagster's monitoring learns of a run's process."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.events import DagsterEvent
from dagster._core.launcher import WorkerStatus

from dagster_daemon.workers import RUN_ID, worker
from installation import Installation
from orchestration.clock.dagster_home import prepare_dagster
from orchestration.clock.launcher import OVERDUE_SECONDS, SECONDS_TO_SHOW_ITSELF, RunLauncher


@dg.op
def nothing() -> None:
    """Do nothing."""


@dg.job
def job_of_a_test() -> None:
    """A job that is recorded, and never run."""
    nothing()


@pytest.fixture
def instance(installation: Installation) -> Iterator[dg.DagsterInstance]:
    """Return Dagster's storage of the installation, with its launcher."""
    home = prepare_dagster(installation.settings)
    with dg.DagsterInstance.from_config(str(home)) as instance:
        yield instance


def _health(instance: dg.DagsterInstance, *, seconds_ago: float, allowed: int = 600) -> object:
    """What the launcher says of the run, recorded as started so long ago."""
    run = instance.create_run_for_job(
        job_of_a_test, run_id=RUN_ID, tags={"dagster/max_runtime": str(allowed)}
    )
    event = DagsterEvent(dg.DagsterEventType.PIPELINE_START.value, run.job_name)
    instance.report_dagster_event(event, RUN_ID, timestamp=time.time() - seconds_ago)
    assert isinstance(instance.run_launcher, RunLauncher)
    assert instance.run_launcher.supports_check_run_worker_health
    return instance.run_launcher.check_run_worker_health(run).status


def test_a_run_that_has_just_started_is_given_time(instance: dg.DagsterInstance) -> None:
    """Its process shows itself a moment after it was recorded."""
    assert _health(instance, seconds_ago=1) is WorkerStatus.RUNNING


def test_a_run_whose_process_never_showed_itself_is_dead(instance: dg.DagsterInstance) -> None:
    """After a minute."""
    assert _health(instance, seconds_ago=SECONDS_TO_SHOW_ITSELF + 1) is WorkerStatus.FAILED


def test_a_killed_process_is_dead_at_once(instance: dg.DagsterInstance) -> None:
    """However short the run is under way."""
    with worker(Path(instance.root_directory)) as process:
        process.kill()
        process.wait()
        assert _health(instance, seconds_ago=1) is WorkerStatus.FAILED


def test_a_process_that_works_is_left_alone(instance: dg.DagsterInstance) -> None:
    """Until its time is up, and for as long as Dagster needs to end it in good order."""
    with worker(Path(instance.root_directory)) as process:
        seconds = 600 + OVERDUE_SECONDS - 10
        assert _health(instance, seconds_ago=seconds) is WorkerStatus.RUNNING
        assert process.poll() is None


def test_a_process_that_is_overdue_is_killed(instance: dg.DagsterInstance) -> None:
    """It may hold a lock on Dagster's own storage, so that nothing can be recorded before that."""
    with worker(Path(instance.root_directory), "deaf") as process:
        seconds = 600 + OVERDUE_SECONDS + 1
        assert _health(instance, seconds_ago=seconds) is WorkerStatus.FAILED
        assert process.wait(timeout=10) == -9
