"""What Dagster loads: jobs, schedules, lineage and checks."""

from __future__ import annotations

import json
import subprocess
import sys

import dagster as dg
import pytest

from api.installation import parsed_ahead
from installation import Installation, usage_event
from orchestration.clock.dagster_home import prepare_dagster
from orchestration.contract.streams import STREAMS
from orchestration.warehouse.dbt import parse_into


@pytest.fixture(scope="module")
def defs() -> dg.Definitions:
    """The definitions, as Dagster imports them."""
    parse_into(parsed_ahead())
    from orchestration.definitions import defs

    return defs


def test_the_schedules_run_at_minute_5_and_at_3_in_utc(defs: dg.Definitions) -> None:
    """Both run unless somebody stops them."""
    found = {
        schedule.job_name: (schedule.cron_schedule, schedule.execution_timezone)
        for schedule in defs.get_repository_def().schedule_defs
    }
    assert found == {"hourly": ("5 * * * *", "UTC"), "nightly": ("0 3 * * *", "UTC")}


def test_lineage_goes_from_each_landing_folder_to_the_snapshot(defs: dg.Definitions) -> None:
    """No link is missing between what is dropped and what is published."""
    graph = defs.resolve_asset_graph()
    upstream = {dg.AssetKey("snapshot")}
    waiting = [dg.AssetKey("snapshot")]
    while waiting:
        for parent in graph.get(waiting.pop()).parent_keys - upstream:
            upstream.add(parent)
            waiting.append(parent)
    for stream in STREAMS:
        assert dg.AssetKey(["landing", stream.name]) in upstream
        assert dg.AssetKey(["raw", stream.name]) in upstream


def test_every_data_test_is_an_asset_check(defs: dg.Definitions) -> None:
    """A test that fails is red in Dagster, beside the mart it is about."""
    manifest = json.loads(parse_into(parsed_ahead()).read_text())
    tests = {node["name"] for node in manifest["nodes"].values() if node["resource_type"] == "test"}
    checks = {key.name for key in defs.resolve_asset_graph().asset_check_keys}
    own = {"new_data_arrives", "published_data_is_recent", "nothing_set_aside"}
    assert checks - tests == own
    assert tests <= checks


def test_every_step_of_a_job_shows_that_its_process_lives(defs: dg.Definitions) -> None:
    """The writer does it for the run; a step without it would be taken for dead after a minute."""
    for name in ("hourly", "nightly"):
        for op in defs.resolve_job_def(name).top_level_node_defs:
            assert isinstance(op, dg.OpDefinition)
            assert "writer" in op.required_resource_keys, op.name


def test_the_jobs_have_these_steps(defs: dg.Definitions) -> None:
    """Nothing is in a job by accident."""
    steps = {
        name: {op.name for op in defs.resolve_job_def(name).top_level_node_defs}
        for name in ("hourly", "nightly")
    }
    assert steps == {
        "hourly": {"land", "roll_up", "snapshot", "freshness"},
        "nightly": {
            *("retention", "roll_up", "reconcile", "warehouse_file"),
            *("landing_archive", "forecast_backtest"),
            *("snapshot", "dagster_history", "freshness"),
        },
    }


def test_the_same_job_runs_from_dagsters_own_command(installation: Installation) -> None:
    """As the scheduler's worker would run it: another process, the same lock and ledger."""
    installation.drop("agent_usage_events", "a.ndjson", [usage_event(1)])
    home = prepare_dagster(installation.settings)
    installation.environment.setenv("DAGSTER_HOME", str(home))
    ran = subprocess.run(
        [
            *(sys.executable, "-m", "dagster", "job", "execute"),
            *("--module-name", "orchestration.definitions", "--job", "hourly"),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    with installation.ledger() as ledger:
        (run,) = ledger.runs(5)
    assert (run.job, run.status) == ("hourly", "succeeded")
    assert installation.marts("select sum(message_count) as n from marts.customer_daily") == [
        {"n": 1}
    ]
