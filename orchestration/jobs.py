"""Running a Dagster job once, in this process, with the same run storage as Dagster's UI."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

from orchestration import dbt
from orchestration.settings import Settings

# Dagster's own files: what it needs to run unattended.
_INSTANCE_YAML = """\
telemetry:
  enabled: false
run_monitoring:
  # A worker that was killed, or hangs, gives its place back.
  enabled: true
  max_runtime_seconds: 21600
concurrency:
  runs:
    max_concurrent_runs: 1
"""

STOPPED = "was stopped by a signal; the next run takes its work up"


@dataclass(frozen=True)
class JobOutcome:
    """How a job ended; `problem` says what went wrong, in one line, where it did not succeed."""

    succeeded: bool
    problem: str | None
    was_interrupted: bool = False


def prepare_dagster(settings: Settings) -> Path:
    """Make what Dagster needs before it can load the definitions. Returns its home folder."""
    dbt.prepare_manifest()
    settings.dagster_home.mkdir(parents=True, exist_ok=True)
    (settings.dagster_home / "dagster.yaml").write_text(_INSTANCE_YAML)
    return settings.dagster_home


def run_job(settings: Settings, name: str, *, full_refresh: bool = False) -> JobOutcome:
    """Run the job to its end. Settings are read again by the job, from the same environment."""
    home = prepare_dagster(settings)
    with warnings.catch_warnings():
        # Dagster warns of its own beta parts while it imports them.
        warnings.simplefilter("ignore")
        import dagster as dg

        from orchestration.definitions import defs
        from orchestration.writer import INTERRUPTIONS

        job = defs.get_job_def(name)
    run_config: dict[str, object] = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    if full_refresh:
        run_config["ops"] = {"roll_up": {"config": {"full_refresh": True}}}
    with dg.DagsterInstance.from_config(str(home)) as instance:
        try:
            result = job.execute_in_process(instance=instance, run_config=run_config)
        except INTERRUPTIONS:
            return JobOutcome(succeeded=False, problem=STOPPED, was_interrupted=True)
        except Exception as error:
            return JobOutcome(succeeded=False, problem=_root_cause(error))
    return JobOutcome(result.success, None if result.success else "see the run in Dagster")


def _root_cause(error: BaseException) -> str:
    """What went wrong first, without the layers that passed it on."""
    while error.__cause__ is not None:
        error = error.__cause__
    return str(getattr(error, "description", None) or error)
