"""The clock, for real: schedules, sensors, dead and hanging workers, the queue, alerts, silence.

One daemon, one webserver and one receiver of alerts serve all tests of this file. What is passed
over in silence here would be found by an operator at night.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import duckdb
import pytest
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.scheduler.instigation import InstigatorTick, ScheduleInstigatorData

from dagster_daemon.services import Dagster, Receiver, dagster, receiver, wait_for
from installation import usage_event, write_rows
from orchestration.clock.run_worker import Life, life_of
from orchestration.publication.publish import current_snapshot
from orchestration.settings import read_settings
from orchestration.storage.writer_lock import writer_lock

pytestmark = pytest.mark.daemon

NOW = datetime.fromisoformat("2026-03-04T12:00:00+00:00")
HOURS_DOWN = 72
# A file for each three hours, so that the test does not spend its time on opening files.
HOURS_OF_A_FILE = 3
EVENTS_IN_A_FILE = 9

_STATES = """
{ schedulesOrError(repositorySelector: {repositoryName: "__repository__",
      repositoryLocationName: "orchestration.definitions"}) {
    ... on Schedules { results { name scheduleState { id status } } } }
  sensorsOrError(repositorySelector: {repositoryName: "__repository__",
      repositoryLocationName: "orchestration.definitions"}) {
    ... on Sensors { results { name sensorState { id status } } } } }
"""
_START = """
mutation ($name: String!) { startSchedule(scheduleSelector: {scheduleName: $name,
    repositoryName: "__repository__", repositoryLocationName: "orchestration.definitions"}) {
    __typename } }
"""
_STOP = "mutation ($id: String!) { stopRunningSchedule(id: $id) { __typename } }"
_LAUNCH_WITH_TIMEOUT = """
mutation ($seconds: String!) {
  launchRun(executionParams: {selector: {jobName: "hourly", repositoryName: "__repository__",
      repositoryLocationName: "orchestration.definitions"}, runConfigData: "{}",
      executionMetadata: {tags: [{key: "dagster/max_runtime", value: $seconds}]}}) {
    ... on LaunchRunSuccess { run { runId } } } }
"""


@dataclass
class Running:
    """Everything that runs, and what it found when it was started."""

    services: Dagster
    receiver: Receiver
    home: Path
    states_at_first: dict[str, str]
    up_at: datetime

    def drop(self, name: str, first: int, count: int, occurred_at: datetime) -> Path:
        """Drop a finished file of usage events."""
        path = self.home / "landing" / "agent_usage_events" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_rows(
            path,
            [
                usage_event(number, occurred_at=occurred_at.isoformat(), received_at=None)
                for number in range(first, first + count)
            ],
        )
        return path

    def messages(self) -> int:
        """How many messages the published marts hold."""
        path = current_snapshot(self.home / "snapshots")
        if path is None:
            return 0
        with closing(duckdb.connect(str(path), read_only=True)) as snapshot:
            rows = snapshot.execute(
                "select coalesce(sum(message_count), 0) from marts.customer_daily"
            ).fetchall()
        return int(rows[0][0])


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Return Dagster, started after three days of downtime, in which files kept coming."""
    home = tmp_path_factory.mktemp("daemon") / "home"
    with (
        receiver() as hook,
        dagster(
            home,
            AGENTSTATS_NOW=NOW.isoformat(),
            AGENTSTATS_ARRIVAL_INTERVAL_SECONDS="1",
            AGENTSTATS_LOCK_WAIT_SECONDS="300",
            AGENTSTATS_FRESHNESS_HOURS="24",
            AGENTSTATS_FAILURE_WEBHOOK_URL=hook.address,
        ) as services,
    ):
        # What was before the downtime: marts, which a first nightly run could not do without.
        services.run_from_command_line("hourly")
        services.start_webserver()
        states = services.ask(_STATES)
        found = Running(
            services,
            hook,
            home,
            {
                each["name"]: each[kind]["status"]
                for kinds, kind in (
                    ("schedulesOrError", "scheduleState"),
                    ("sensorsOrError", "sensorState"),
                )
                for each in states[kinds]["results"]
            },
            datetime.now(UTC),
        )
        _be_down(found)
        services.start_daemon()
        services.wait_for_runs(2)
        services.wait_for_runs(1, "nightly")
        # The tests below start runs themselves; minute 5 of an hour must not come between.
        for each in services.ask(_STATES)["schedulesOrError"]["results"]:
            services.ask(_STOP, id=each["scheduleState"]["id"])
        services.wait_until_idle()
        yield found


def _be_down(running: Running) -> None:
    """Let it be as if the daemon had last looked at its schedules 72 hours ago."""
    # Off and on again: what was never switched by hand has no stored state to set back.
    for schedule in running.services.ask(_STATES)["schedulesOrError"]["results"]:
        running.services.ask(_STOP, id=schedule["scheduleState"]["id"])
        running.services.ask(_START, name=schedule["name"])
    since = time.time() - HOURS_DOWN * 3600
    states = running.services.instance.all_instigator_state(instigator_type=InstigatorType.SCHEDULE)
    assert len(states) == 2
    for state in states:
        data = state.instigator_data
        assert isinstance(data, ScheduleInstigatorData)
        running.services.instance.update_instigator_state(
            state.with_data(ScheduleInstigatorData(data.cron_schedule, start_timestamp=since))
        )
    for number in range(HOURS_DOWN // HOURS_OF_A_FILE):
        running.drop(
            f"while-down-{number:02}.ndjson",
            number * EVENTS_IN_A_FILE,
            EVENTS_IN_A_FILE,
            NOW - timedelta(hours=HOURS_DOWN - number * HOURS_OF_A_FILE),
        )


def test_schedules_and_sensors_run_from_the_first_start(running: Running) -> None:
    """No operator has to switch anything on in the UI."""
    assert running.states_at_first == {
        "hourly_at_minute_5": "RUNNING",
        "nightly_at_3": "RUNNING",
        "files_arrive": "RUNNING",
        "runs_fail": "RUNNING",
        "data_stops": "RUNNING",
    }


def test_72_hours_of_downtime_are_caught_up_by_one_run(running: Running) -> None:
    """Of 72 missed ticks one is run; it, or the sensor's run before it, loads all 72 hours."""
    for job in ("hourly", "nightly"):
        missed = [
            run
            for run in running.services.runs(job)
            if "dagster/schedule_name" in run.tags
            and datetime.fromisoformat(run.tags[".dagster/scheduled_execution_time"])
            < running.up_at
        ]
        assert len(missed) == 1, job
    with closing(sqlite3.connect(running.home / "ledger.db")) as ledger:
        (loads, rows) = ledger.execute(
            "select count(*), sum(accepted) from load where source_file like '%/while-down-%'"
        ).fetchone()
        with_loads = ledger.execute(
            "select count(*) from run where job = 'hourly' and "
            "json_extract(detail, '$.files_loaded') > 1"
        ).fetchone()
    files = HOURS_DOWN // HOURS_OF_A_FILE
    assert (loads, rows, with_loads) == (files, files * EVENTS_IN_A_FILE, (1,))
    assert running.messages() >= files * EVENTS_IN_A_FILE


def test_a_file_that_arrives_starts_a_run_once(running: Running) -> None:
    """A finished file is in the marts soon; unfinished ones start nothing, and are not touched."""
    services = running.services
    before = running.messages()
    known = {run.run_id for run in services.runs()}
    unfinished = [running.drop(name, 90_000, 1, NOW) for name in ("_a.ndjson", ".b.ndjson")]
    being_written = running.drop("_c.ndjson", 90_000, 1, NOW)
    unfinished.append(being_written.rename(being_written.with_name("c.ndjson.tmp")))
    running.drop("arrived.ndjson", 10_000, 5, NOW - timedelta(minutes=30))
    wait_for("the marts hold what arrived", lambda: running.messages() == before + 5)
    started = [run for run in services.runs() if run.run_id not in known]
    assert [run.tags.get("dagster/sensor_name") for run in started] == ["files_arrive"]
    services.wait_until(started[0].run_id, "SUCCESS")
    ended_at = time.time()
    wait_for(
        "the sensor looks again, and finds nothing to do",
        lambda: any(
            tick.timestamp > ended_at and tick.skip_reason == "nothing waits"
            for tick in _ticks(services, "files_arrive")
        ),
    )
    assert len([run for run in services.runs() if run.run_id not in known]) == 1
    assert all(path.exists() for path in unfinished)


def test_a_killed_worker_frees_its_place_and_is_run_again(running: Running) -> None:
    """kill -9 of the worker: failed within seconds, reported, and made up for by another run."""
    services = running.services
    with _busy(running):
        run_id = services.launch("hourly")
        os.kill(services.wait_for_worker(run_id), signal.SIGKILL)
        services.wait_until(run_id, "FAILURE", seconds=60)
        again = wait_for(
            "another run takes its place",
            lambda: next((run for run in services.runs() if run.parent_run_id == run_id), None),
        )
        services.wait_until(again.run_id, "STARTED")
    services.wait_until(again.run_id, "SUCCESS")
    (alert,) = wait_for("an alert was sent", lambda: running.receiver.of(run_id))
    assert (alert["event"], alert["job"], alert["will_retry"]) == ("run_failed", "hourly", True)
    assert alert["next"].startswith("nothing yet") and "\n" not in alert["problem"]


def test_a_run_that_died_with_its_daemon_is_found_when_it_is_back(running: Running) -> None:
    """After a power cut its parent process is gone too; the lock is free, so the worker is dead."""
    services = running.services
    with _busy(running):
        run_id = services.launch("hourly")
        worker = services.wait_for_worker(run_id)
        services.kill_all("daemon")
        # The worker is in the code server's group, not in the daemon's.
        if life_of(services.home, run_id) is Life.ALIVE:
            os.kill(worker, signal.SIGKILL)
        wait_for("the worker is dead", lambda: life_of(services.home, run_id) is not Life.ALIVE)
        assert services.status(run_id) == "STARTED"
        services.start_daemon()
        services.wait_until(run_id, "FAILURE")
    again = wait_for(
        "another run takes its place",
        lambda: next((run for run in services.runs() if run.parent_run_id == run_id), None),
    )
    services.wait_until(again.run_id, "SUCCESS")
    assert wait_for("an alert was sent", lambda: running.receiver.of(run_id))[0]["will_retry"]


def test_a_run_that_hangs_is_ended_when_its_time_is_up(running: Running) -> None:
    """A stopped process reacts to nothing: it is killed, so that the next run can write."""
    services = running.services
    with _busy(running):
        answer = services.ask(_LAUNCH_WITH_TIMEOUT, seconds="40")
        run_id = answer["launchRun"]["run"]["runId"]
        worker = services.wait_for_worker(run_id)
        wait_for("it waits in its first step", lambda: services.is_in_step(run_id, "land"))
        os.kill(worker, signal.SIGSTOP)
        services.wait_until(run_id, "FAILURE")
        wait_for("it is killed", lambda: life_of(services.home, run_id) is not Life.ALIVE)
    services.wait_until_idle()
    services.wait_until(services.launch("hourly"), "SUCCESS")


def test_the_nightly_run_waits_for_the_hourly_one(running: Running) -> None:
    """At 03:00 an hourly run may be under way: the queue holds the nightly one back."""
    services = running.services
    with _busy(running):
        hourly = services.launch("hourly")
        services.wait_for_worker(hourly)
        nightly = services.launch("nightly")
        services.wait_until(nightly, "QUEUED")
        # The queue is looked at every five seconds.
        time.sleep(7)
        assert (services.status(hourly), services.status(nightly)) == ("STARTED", "QUEUED")
    services.wait_until(hourly, "SUCCESS")
    services.wait_until(nightly, "SUCCESS")
    records = {
        record.dagster_run.run_id: record
        for record in services.instance.get_run_records(dg.RunsFilter(run_ids=[hourly, nightly]))
    }
    (hourly_end, nightly_start) = (records[hourly].end_time, records[nightly].start_time)
    assert hourly_end is not None and nightly_start is not None
    assert hourly_end <= nightly_start


def test_a_run_that_would_fail_again_is_reported_but_not_repeated(running: Running) -> None:
    """A difference in the recount needs somebody to look at it."""
    services = running.services
    with _changed_ledger(running.home):
        run_id = services.launch("nightly")
        services.wait_until(run_id, "FAILURE")
        (alert,) = wait_for("an alert was sent", lambda: running.receiver.of(run_id))
    assert alert["problem"].startswith("nightly failed: ") and "do not add up" in alert["problem"]
    assert alert["will_retry"] is False and "agentstats status" in alert["next"]
    assert "a-secret-token" not in str(alert) + services.log("daemon")
    assert services.run(run_id).tags["dagster/will_retry"] == "false"
    assert [run for run in services.runs("nightly") if run.parent_run_id == run_id] == []


def test_the_checks_turn_red_when_data_stops(running: Running) -> None:
    """A day and a half without files, and no run at all: red in Dagster, and reported once."""
    services = running.services
    wait_for("it was looked at", lambda: _check(services, "raw/agent_usage_events") is True)
    services.stop("daemon")
    services.settings["AGENTSTATS_NOW"] = (NOW + timedelta(hours=36)).isoformat()
    runs_before = len(services.runs()) + len(services.runs("nightly"))
    services.start_daemon()
    wait_for("arrival is red", lambda: _check(services, "raw/agent_usage_events") is False)
    wait_for("publication is red", lambda: _check(services, "snapshot") is False)
    stopped = [alert for alert in running.receiver.posted if alert["event"] == "data_stopped"]
    assert sorted(alert["problem"].split(":")[0] for alert in stopped) == [
        "no event was accepted",
        "the newest published event is old",
    ]
    assert len(services.runs()) + len(services.runs("nightly")) == runs_before


def _busy(running: Running) -> contextlib.AbstractContextManager[None]:
    """Take the writer lock as a command at a terminal would: runs wait in their first step."""
    settings = read_settings(running.services.settings)
    return writer_lock(settings.home, task="a test", now=settings.clock(), wait_seconds=60)


@contextlib.contextmanager
def _changed_ledger(home: Path) -> Iterator[None]:
    """Let the ledger claim one row less than the lake holds, for the time of the block."""
    with closing(sqlite3.connect(home / "ledger.db", isolation_level=None)) as ledger:
        change = (
            "update load set accepted = accepted {} 1, duplicates = duplicates {} 1 "
            "where load_seq = (select min(load_seq) from load where accepted > 0)"
        )
        ledger.execute(change.format("-", "+"))
        try:
            yield
        finally:
            ledger.execute(change.format("+", "-"))


def _ticks(services: Dagster, name: str) -> list[InstigatorTick]:
    """The newest ticks of a sensor."""
    (state,) = [
        each for each in services.instance.all_instigator_state() if each.instigator_name == name
    ]
    return list(services.instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=5))


def _check(services: Dagster, asset: str) -> bool | None:
    """Whether the newest freshness check of an asset is green; None before the first."""
    name = "published_data_is_recent" if asset == "snapshot" else "new_data_arrives"
    key = dg.AssetCheckKey(dg.AssetKey(asset.split("/")), name)
    records = services.instance.event_log_storage.get_asset_check_execution_history(key, limit=1)
    if not records or records[0].event is None:
        return None
    evaluation = records[0].event.asset_check_evaluation
    return None if evaluation is None else bool(evaluation.passed)
