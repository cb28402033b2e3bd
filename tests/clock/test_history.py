"""What Dagster keeps of its runs has an end."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import dagster as dg

from installation import Installation, usage_event
from orchestration.clock import history
from orchestration.clock.dagster_home import prepare_dagster
from orchestration.clock.freshness_checks import evaluation_of
from orchestration.monitoring.freshness import check_freshness


def _rows(database: Path, table: str, where: str = "true") -> int:
    with closing(sqlite3.connect(database)) as connection:
        (count,) = connection.execute(f"select count(*) from {table} where {where}").fetchone()
    return int(count)


def test_old_runs_are_deleted_with_all_that_belongs_to_them(installation: Installation) -> None:
    """Events, check results and files go; the newest result of each check stays, and new runs."""
    installation.drop("agent_usage_events", "a.ndjson", [usage_event(1)])
    installation.run(in_dagster=True)
    installation.drop("agent_usage_events", "b.ndjson", [usage_event(2)])
    installation.run(in_dagster=True)
    home = prepare_dagster(installation.settings)
    index = home / "history" / "runs" / "index.db"
    runs = home / "history" / "runs.db"
    with dg.DagsterInstance.from_config(str(home)) as instance:
        for each in check_freshness(installation.settings):
            instance.report_runless_asset_event(evaluation_of(each))
        first, second = (
            record.dagster_run.run_id for record in instance.get_run_records(ascending=True)
        )
        between = [record.end_time for record in instance.get_run_records(ascending=True)]
        assert between[0] is not None
        assert history.delete_runs(instance, before=between[0] + 0.001) == 1
        assert [record.dagster_run.run_id for record in instance.get_run_records()] == [second]
        assert _rows(index, "event_logs", f"run_id = '{first}'") == 0
        assert _rows(index, "event_logs", f"run_id = '{second}'") > 0
        assert not list(home.rglob(f"*{first}*"))
        assert list(home.rglob(f"*{second}*"))

        checks = _rows(index, "(select distinct asset_key, check_name from asset_check_executions)")
        assert _rows(index, "asset_check_executions") > checks
        later = time.time() + 3600
        assert history.delete_runs(instance, before=later) == 1
        history.delete_events_without_run(instance, before=later)
    assert _rows(index, "asset_check_executions") == checks
    assert (_rows(index, "event_logs"), _rows(runs, "runs"), _rows(runs, "run_tags")) == (0, 0, 0)


def test_the_nightly_run_deletes_old_runs(installation: Installation) -> None:
    """Of itself: no operator has to think of it."""
    installation.run(in_dagster=True)
    installation.run("nightly", in_dagster=True)
    assert installation.last_run()["dagster_runs_deleted"] == 0
    home = prepare_dagster(installation.settings)
    long_ago = "2020-01-01 00:00:00.000000"
    with closing(sqlite3.connect(home / "history" / "runs.db")) as connection:
        connection.execute("update runs set update_timestamp = ? where 1", [long_ago])
        connection.commit()
    installation.run("nightly", in_dagster=True)
    assert installation.last_run()["dagster_runs_deleted"] == 2
