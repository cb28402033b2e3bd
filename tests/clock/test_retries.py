"""What is tried again under Dagster's daemon, and what is not."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import dagster as dg
import duckdb
import pytest

from installation import Installation, usage_event
from orchestration.clock import retries
from orchestration.clock.dagster_home import prepare_dagster
from orchestration.pipeline import RollUp
from orchestration.settings import Settings, SettingsError
from orchestration.storage.ledger import Ledger, Load
from orchestration.storage.writer_lock import WriterBusy, writer_lock
from orchestration.warehouse.dbt import DbtFailed, NodeResult
from orchestration.warehouse.rollups import LakeRead, Scope, WarehouseUnusable

_SCOPE = Scope(0, {}, has_new_names=False, is_full=False, reason="")


@pytest.mark.parametrize(
    "error",
    [
        sqlite3.OperationalError("database is locked"),
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EIO, "Input/output error"),
        WriterBusy("another"),
        WarehouseUnusable("open in another program"),
    ],
)
def test_what_time_mends_is_worth_another_try(error: Exception) -> None:
    """As it is, or as the cause of what was raised."""
    assert retries.passes_with_time(error)
    outer = DbtFailed("dbt build: it could not go on")
    outer.__cause__ = error
    assert retries.passes_with_time(outer)


def test_an_error_of_duckdb_with_a_file_is_worth_another_try() -> None:
    """As DuckDB itself raises it."""
    with pytest.raises(duckdb.IOException) as raised:
        duckdb.connect("/proc/there/is/no/such/folder.duckdb")
    assert retries.passes_with_time(raised.value)


@pytest.mark.parametrize(
    "error",
    [
        SettingsError("AGENTSTATS_NOW: wrong"),
        DbtFailed("a model is wrong"),
        dg.Failure("3 groups do not add up", allow_retries=False),
        PermissionError(errno.EACCES, "Permission denied"),
        FileNotFoundError(errno.ENOENT, "No such file"),
        ValueError("a fault of ours"),
    ],
)
def test_what_would_fail_again_is_not(error: Exception) -> None:
    """Somebody has to look at it."""
    assert not retries.passes_with_time(error)


@pytest.mark.parametrize(
    ("nodes", "is_disk"),
    [
        ([("model.a", "error", "IO Error: Could not write file: No space left on device")], True),
        ([("model.a", "error", "IO Error: …"), ("model.b", "skipped", None)], True),
        ([("test.a", "fail", "Got 3 results, configured to fail if != 0")], False),
        ([("model.a", "error", "IO Error: …"), ("test.b", "fail", "Got 1 result")], False),
        ([("model.a", "error", "Binder Error: no such column")], False),
    ],
)
def test_a_roll_up_is_tried_again_only_for_the_disk(
    nodes: list[tuple[str, str, str | None]], is_disk: bool
) -> None:
    """A data test that fails would fail again on the same data."""
    results = [NodeResult(name, status, 0.1, None, message) for name, status, message in nodes]
    assert RollUp(_SCOPE, results, LakeRead()).failed_on_disk is is_disk


@pytest.fixture
def instance(installation: Installation) -> Iterator[dg.DagsterInstance]:
    """Return Dagster's storage of the installation."""
    home = prepare_dagster(installation.settings)
    with dg.DagsterInstance.from_config(str(home)) as instance:
        yield instance


def test_a_step_under_the_daemon_waits_for_a_busy_writer(
    installation: Installation, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is tried again until the other is done; the same job of the command line ends at once."""
    from orchestration.definitions import defs

    monkeypatch.setattr(retries, "SECONDS_BETWEEN", 0)
    installation.drop("agent_usage_events", "a.ndjson", [usage_event(1)])
    settings = installation.settings
    hourly = defs.resolve_job_def("hourly")
    with writer_lock(settings.home, task="somebody else", now=settings.clock()):
        waiting = hourly.execute_in_process(instance=instance, raise_on_error=False)
        assert "somebody else" in str(installation.try_run(in_dagster=True).problem)
    tries = [event for event in waiting.all_events if event.step_key == "land"]
    assert len([event for event in tries if event.is_step_up_for_retry]) == retries.MAX_RETRIES
    assert len([event for event in tries if event.is_step_failure]) == 1
    of_command_line = instance.get_run_records(limit=1)[0].dagster_run
    assert of_command_line.tags[retries.STARTED_BY_TAG] == retries.COMMAND_LINE
    events = instance.all_logs(of_command_line.run_id)
    assert not [e for e in events if e.dagster_event and e.dagster_event.is_step_up_for_retry]


def test_a_step_that_succeeds_the_second_time_goes_on(
    installation: Installation, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ledger that is locked for a moment costs a moment."""
    from orchestration import pipeline
    from orchestration.definitions import defs

    monkeypatch.setattr(retries, "SECONDS_BETWEEN", 0)
    installation.drop("agent_usage_events", "a.ndjson", [usage_event(1)])
    plain_land, tries = pipeline.land, 0

    def land_with_a_locked_ledger(settings: Settings, ledger: Ledger, **options: Any) -> list[Load]:
        """Land while another program locks the ledger, the first time."""
        nonlocal tries
        tries += 1
        if tries > 1:
            return plain_land(settings, ledger, **options)
        ledger._connection.execute("pragma busy_timeout = 100")
        with closing(sqlite3.connect(settings.ledger_path, isolation_level=None)) as other:
            other.execute("begin exclusive")
            return plain_land(settings, ledger, **options)

    monkeypatch.setattr(pipeline, "land", land_with_a_locked_ledger)
    result = defs.resolve_job_def("hourly").execute_in_process(instance=instance)
    assert result.success
    assert len([event for event in result.all_events if event.is_step_up_for_retry]) == 1
    assert installation.marts("select sum(message_count) as n from marts.customer_daily") == [
        {"n": 1}
    ]
