"""Running a Dagster job once, in this process, with the same run storage as Dagster's UI."""

from __future__ import annotations

import uuid
import warnings
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from orchestration.clock import run_worker
from orchestration.clock.dagster_home import prepare_dagster
from orchestration.monitoring import alerts
from orchestration.monitoring.alerts import Alert
from orchestration.monitoring.problems import in_its_words
from orchestration.settings import Settings
from orchestration.storage.ledger import Ledger

# What is printed goes to the terminal, and nowhere else: Dagster would start two processes for each
# run to copy it, which outlive a run that is killed.
_OVERRIDES = {
    "compute_logs": {
        "module": "dagster._core.storage.noop_compute_log_manager",
        "class": "NoOpComputeLogManager",
    }
}

STOPPED = "was stopped by a signal; the next run takes its work up"


@dataclass(frozen=True)
class JobOutcome:
    """How a job ended; `problem` says what went wrong, in one line, where it did not succeed.

    `detail` is what the run's record says, `set_aside` what it published without.
    """

    succeeded: bool
    problem: str | None
    was_interrupted: bool = False
    detail: Mapping[str, Any] = field(default_factory=dict)

    @property
    def set_aside(self) -> list[str]:
        return list(self.detail.get("set_aside", []))


def run_job(settings: Settings, name: str, *, full_refresh: bool = False) -> JobOutcome:
    """Run the job to its end. Settings are read again by the job, from the same environment.

    A failure is posted to the webhook, where one is set.
    """
    run_id = str(uuid.uuid4())
    try:
        outcome = _run_job(settings, name, run_id, full_refresh=full_refresh)
    except OSError as error:
        outcome = JobOutcome(succeeded=False, problem=in_its_words(error))
    except Exception as error:
        _alert(settings, name, run_id, in_its_words(error))
        raise
    if not outcome.succeeded:
        _alert(settings, name, run_id, outcome.problem or "it failed")
    return outcome


def _run_job(settings: Settings, name: str, run_id: str, *, full_refresh: bool) -> JobOutcome:
    home = prepare_dagster(settings)
    with warnings.catch_warnings():
        # Dagster warns of its own beta parts while it imports them.
        warnings.simplefilter("ignore")
        import dagster as dg
        from dagster._core.instance.ref import InstanceRef

        from orchestration.clock.retries import TAGS_OF_COMMAND_LINE
        from orchestration.clock.writer import INTERRUPTIONS
        from orchestration.definitions import defs

        job = defs.resolve_job_def(name)
    run_config: dict[str, object] = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    if full_refresh:
        run_config["ops"] = {"roll_up": {"config": {"full_refresh": True}}}
    run_worker.remove_dead(home)
    storage = InstanceRef.from_dir(str(home), overrides=_OVERRIDES)
    with dg.DagsterInstance.from_ref(storage) as instance, run_worker.alive(home, run_id):
        try:
            result = job.execute_in_process(
                instance=instance,
                run_config=run_config,
                run_id=run_id,
                tags=TAGS_OF_COMMAND_LINE,
            )
        except INTERRUPTIONS:
            return JobOutcome(succeeded=False, problem=STOPPED, was_interrupted=True)
        except Exception as error:
            return JobOutcome(succeeded=False, problem=in_its_words(error))
    if not result.success:
        return JobOutcome(succeeded=False, problem="see the run in Dagster")
    with closing(Ledger(settings.ledger_path)) as ledger:
        return JobOutcome(succeeded=True, problem=None, detail=ledger.run(run_id).detail)


def _alert(settings: Settings, job: str, run_id: str, problem: str) -> None:
    alerts.post(
        settings,
        Alert(
            event="run_failed",
            job=job,
            run_id=run_id,
            time=settings.clock(),
            problem=f"{job} failed: {problem}",
            next=alerts.LOOK,
        ),
    )
