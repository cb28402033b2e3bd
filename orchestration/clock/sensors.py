"""What Dagster's daemon watches between the ticks: files that arrive, runs that fail, silence."""

# No postponed annotations here: Dagster checks the type of `context`.
import hashlib
import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime

import dagster as dg

from orchestration.clock.freshness_checks import evaluation_of
from orchestration.clock.retries import COMMAND_LINE, STARTED_BY_TAG
from orchestration.clock.schedules import hourly
from orchestration.contract.streams import STREAMS
from orchestration.landing.files import waiting_files
from orchestration.monitoring import alerts
from orchestration.monitoring.alerts import Alert
from orchestration.monitoring.freshness import Freshness, check_freshness
from orchestration.settings import Settings, read_settings

_UNDER_WAY = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
# A green or red check is written down again so often, to show that it was looked at.
_SECONDS_BETWEEN_SAME_RESULTS = 3600
# Failures of which a run of the command line has sent an alert by itself.
_ALERTED_BY_COMMAND_LINE = {"STEP_FAILURE", "RUN_EXCEPTION", "JOB_INITIALIZATION_FAILURE"}


@dg.sensor(
    name="files_arrive",
    job=hourly,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts the hourly job when finished files wait in landing/.",
)
def files_arrive(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    """Start one run for the files that wait, and none again for just the same files.

    What waits is what the run would load. Files that a run left behind (it failed, or they were
    still being written) are taken up by the next scheduled run, or with the next file that comes.
    """
    settings = read_settings()
    if not settings.arrival_interval_seconds:
        return dg.SkipReason(
            "files wait for the schedule: AGENTSTATS_ARRIVAL_INTERVAL_SECONDS is 0"
        )
    waiting = _fingerprint(settings)
    if waiting is None:
        return dg.SensorResult(skip_reason="nothing waits", cursor="")
    if waiting == context.cursor:
        return dg.SkipReason("these files were there when the last run was started for them")
    if context.instance.get_runs_count(dg.RunsFilter(statuses=_UNDER_WAY)):
        return dg.SkipReason("a run is queued or under way")
    newest = context.instance.get_run_records(dg.RunsFilter(job_name=hourly.name), limit=1)
    # Dagster's times are those of the wall, whatever AGENTSTATS_NOW says.
    due_at = (
        newest[0].create_timestamp.timestamp() + settings.arrival_interval_seconds if newest else 0
    )
    if time.time() < due_at:
        at = datetime.fromtimestamp(due_at, UTC)
        return dg.SkipReason(f"the last run is just over; the next starts at {at:%H:%M:%S} UTC")
    # The run before is part of the key: the same file may be dropped again another day.
    before = newest[0].dagster_run.run_id if newest else "none"
    return dg.SensorResult(
        run_requests=[dg.RunRequest(run_key=f"{before}:{waiting}")], cursor=waiting
    )


def _fingerprint(settings: Settings) -> str | None:
    """Which files wait, with their sizes and times; None where there are none."""
    files = []
    for stream in STREAMS:
        for path in waiting_files(settings.landing, stream):
            try:
                there = path.stat()
            except FileNotFoundError:
                continue
            files.append((str(path), there.st_size, there.st_mtime_ns))
    return hashlib.sha256(json.dumps(files).encode()).hexdigest() if files else None


@dg.run_failure_sensor(
    name="runs_fail",
    minimum_interval_seconds=15,
    default_status=dg.DefaultSensorStatus.RUNNING,
    # Those of the command line belong to no code location.
    monitor_all_code_locations=True,
    description="Posts failed runs to AGENTSTATS_FAILURE_WEBHOOK_URL.",
)
def runs_fail(context: dg.RunFailureSensorContext) -> None:
    """Send an alert of every failed run, also of one whose process was killed."""
    run = context.instance.get_run_by_id(context.dagster_run.run_id) or context.dagster_run
    if (
        run.tags.get(STARTED_BY_TAG) == COMMAND_LINE
        and run.tags.get("dagster/failure_reason") in _ALERTED_BY_COMMAND_LINE
    ):
        return
    settings = read_settings()
    will_retry = run.tags.get("dagster/will_retry") == "true"
    undelivered = alerts.post(
        settings,
        Alert(
            event="run_failed",
            job=run.job_name,
            run_id=run.run_id,
            time=settings.clock(),
            problem=f"{run.job_name} failed: {_problem(context)}",
            next=alerts.RETRIED if will_retry else alerts.LOOK,
            will_retry=will_retry,
        ),
    )
    if undelivered:
        context.instance.report_engine_event(undelivered, run)


# What Dagster raises around an error of a step.
_LAYERS = ("DagsterExecutionStepExecutionError", "RetryRequested", "RetryRequestedFromPolicy")


def _problem(context: dg.RunFailureSensorContext) -> str:
    """What went wrong, in the words of the step that it stopped: without Dagster's around it."""
    for event in context.get_step_failure_events():
        data = event.step_failure_data
        if data.user_failure_data and data.user_failure_data.description:
            return str(data.user_failure_data.description)
        error = data.error
        while error and error.cause and error.cls_name in _LAYERS:
            error = error.cause
        if error:
            return error.message
    return context.failure_event.message or "its process ended"


@dg.sensor(
    name="data_stops",
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Turns the freshness checks red when data stops, and posts it to "
    "AGENTSTATS_FAILURE_WEBHOOK_URL.",
)
def data_stops(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """Look at the data, without a run: silence must show even where no run comes through."""
    settings = read_settings()
    found = check_freshness(settings)
    known = json.loads(context.cursor) if context.cursor else {}
    was_fresh: dict[str, bool | None] = known.get("is_fresh", {})
    # A home that never had data has no colour yet: its first data is no change to alert of.
    is_fresh = {each.check: each.is_fresh if each.newest else None for each in found}
    for each in found:
        _alert_of_change(settings, each, was_fresh.get(each.check))
    written_at = known.get("written_at", 0)
    if is_fresh == was_fresh and time.time() - written_at < _SECONDS_BETWEEN_SAME_RESULTS:
        return dg.SensorResult(skip_reason=_summary(found))
    return dg.SensorResult(
        asset_events=[evaluation_of(each) for each in found],
        cursor=json.dumps({"is_fresh": is_fresh, "written_at": time.time()}),
        skip_reason=_summary(found),
    )


def _alert_of_change(settings: Settings, each: Freshness, was_fresh: bool | None) -> None:
    """Post where a check has just changed its colour."""
    if was_fresh is None or was_fresh == each.is_fresh:
        return
    alerts.post(
        settings,
        Alert(
            event="data_flows_again" if each.is_fresh else "data_stopped",
            job=None,
            run_id=None,
            time=settings.clock(),
            problem=each.problem or f"{each.check} is green again",
            next="nothing" if each.is_fresh else alerts.LOOK,
        ),
    )


def _summary(found: Sequence[Freshness]) -> str:
    return "; ".join(each.problem or f"{each.check}: fresh" for each in found)
