"""How Dagster starts runs, and how it notices that one of them is dead or hangs."""

from __future__ import annotations

import time
from pathlib import Path

from dagster._core.launcher import CheckRunHealthResult, DefaultRunLauncher, WorkerStatus
from dagster._core.storage.dagster_run import DagsterRun

from orchestration import run_worker
from orchestration.run_worker import Life

# A run is booked as started a moment before its process shows itself.
SECONDS_TO_SHOW_ITSELF = 60
# What a run that is told to stop has, to book its end; shorter than Dagster's own patience.
GRACE_SECONDS = 20


class RunLauncher(DefaultRunLauncher):
    """Dagster's launcher, which can also tell a dead worker, and ends one that does not stop."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Whether the run's process lives, whoever started it; asked for runs that have started."""
        life = run_worker.life_of(self._dagster_home, run.run_id)
        if life is Life.ALIVE or (life is Life.NOT_SHOWN and self._has_just_started(run)):
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.FAILED, "the run's process is gone")

    def terminate(self, run_id: str) -> bool:
        """Stop the run, by force if it does not stop by itself. Returns whether it was running."""
        was_running = run_worker.life_of(self._dagster_home, run_id) is Life.ALIVE
        is_asked = bool(super().terminate(run_id))  # type: ignore[no-untyped-call]  # Dagster's
        run_worker.end(self._dagster_home, run_id, grace_seconds=GRACE_SECONDS, is_asked=is_asked)
        return is_asked or was_running

    def _has_just_started(self, run: DagsterRun) -> bool:
        record = self._instance.get_run_record_by_id(run.run_id)
        started_at = record.start_time if record else None
        return started_at is None or time.time() - started_at < SECONDS_TO_SHOW_ITSELF

    @property
    def _dagster_home(self) -> Path:
        return Path(self._instance.root_directory)
