"""How Dagster starts runs, and how it notices that one of them is dead or hangs."""

from __future__ import annotations

import math
import time
from pathlib import Path

import structlog
from dagster import DagsterInstance
from dagster._core.launcher import CheckRunHealthResult, DefaultRunLauncher, WorkerStatus
from dagster._core.storage.dagster_run import DagsterRun
from dagster._core.storage.tags import MAX_RUNTIME_SECONDS_TAG

from orchestration.clock import run_worker
from orchestration.clock.run_worker import Life

log = structlog.get_logger()

# A run is recorded as started a moment before its process shows itself.
SECONDS_TO_SHOW_ITSELF = 60
# How long a run that has to stop may take to record its end; shorter than Dagster's own patience.
GRACE_SECONDS = 20
# How long one that is over its time may take besides, before it is killed without a word.
OVERDUE_SECONDS = 60


class RunLauncher(DefaultRunLauncher):
    """Dagster's launcher, which also detects a dead worker, and ends one that does not stop."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Whether the run's process lives, whoever started it; asked for runs that have started."""
        life = run_worker.life_of(self._dagster_home, run.run_id)
        seconds = self._seconds_since_start(run)
        if life is Life.ALIVE and seconds > _seconds_allowed(self._instance, run) + OVERDUE_SECONDS:
            # Dagster has asked it to stop, or could not: a process that is stopped while it writes
            # to Dagster's own storage locks Dagster out.
            run_worker.end(self._dagster_home, run.run_id, grace_seconds=0, is_asked=True)
            return CheckRunHealthResult(WorkerStatus.FAILED, "it was killed: its time was up")
        if life is Life.ALIVE or (life is Life.NOT_SHOWN and seconds < SECONDS_TO_SHOW_ITSELF):
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.FAILED, "the run's process is gone")

    def terminate(self, run_id: str) -> bool:
        """Stop the run, by force if it does not stop by itself. Returns whether it was running."""
        was_running = run_worker.life_of(self._dagster_home, run_id) is Life.ALIVE
        try:
            is_asked = bool(super().terminate(run_id))  # type: ignore[no-untyped-call]  # Dagster's
        except Exception as error:
            # The code server that would ask it may hang with it. Dagster marks the run as failed
            # then, and starts the next one, which a worker that lives on would keep from writing.
            log.warning("run_not_stopped", run_id=run_id, reason=str(error))
            is_asked = False
        run_worker.end(self._dagster_home, run_id, grace_seconds=GRACE_SECONDS, is_asked=is_asked)
        return is_asked or was_running

    def _seconds_since_start(self, run: DagsterRun) -> float:
        record = self._instance.get_run_record_by_id(run.run_id)
        return time.time() - record.start_time if record and record.start_time else 0

    @property
    def _dagster_home(self) -> Path:
        return Path(self._instance.root_directory)


def _seconds_allowed(instance: DagsterInstance, run: DagsterRun) -> float:
    """How long the run may take: infinite where nothing is set."""
    text = run.tags.get(MAX_RUNTIME_SECONDS_TAG, instance.run_monitoring_max_runtime_seconds)
    return float(text) or math.inf
