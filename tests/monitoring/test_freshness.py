"""Data that stops: seen on the data itself, though runs go on."""

from __future__ import annotations

from collections.abc import Mapping

import dagster as dg

from installation import Installation, usage_event
from orchestration.clock.dagster_home import prepare_dagster
from orchestration.monitoring.freshness import (
    NEW_DATA_ARRIVES,
    PUBLISHED_DATA_IS_RECENT,
    Freshness,
    check_freshness,
)
from orchestration.monitoring.status import gather


def _checks(installation: Installation) -> Mapping[str, Freshness]:
    return {each.check: each for each in check_freshness(installation.settings)}


def test_an_empty_home_has_no_data_yet(installation: Installation) -> None:
    """Red, but not as something that stopped."""
    checks = _checks(installation)
    assert set(checks) == {NEW_DATA_ARRIVES, PUBLISHED_DATA_IS_RECENT}
    assert all("none yet" in str(each.problem) for each in checks.values())
    assert not (installation.home / "ledger.db").exists()


def test_runs_without_new_data_do_not_keep_it_green(installation: Installation) -> None:
    """The same file again is loaded and read, and brings nothing new."""
    event = usage_event(1, occurred_at="2026-03-01T11:40:00Z")
    installation.drop("agent_usage_events", "a.ndjson", [event])
    installation.run()
    assert all(each.is_fresh for each in _checks(installation).values())
    assert _checks(installation)[PUBLISHED_DATA_IS_RECENT].age_hours == 0.5

    # 24 hours after the load, and the quarter hour of the event is half an hour older than that.
    installation.set_clock("2026-03-02T12:00:00Z")
    installation.drop("agent_usage_events", "again.ndjson", [event])
    installation.run()
    checks = _checks(installation)
    assert checks[NEW_DATA_ARRIVES].is_fresh
    assert checks[NEW_DATA_ARRIVES].age_hours == 24
    assert not checks[PUBLISHED_DATA_IS_RECENT].is_fresh

    installation.set_clock("2026-03-02T12:00:01Z")
    problem = _checks(installation)[NEW_DATA_ARRIVES].problem
    assert str(problem).startswith("no event was accepted: the newest is of 2026-03-01 12:00 UTC")
    assert [each.is_fresh for each in gather(installation.settings).freshness] == [False, False]


def test_the_run_itself_shows_it_as_asset_checks(installation: Installation) -> None:
    """Without a daemon too, and without failing the run."""
    event = usage_event(1, occurred_at="2026-02-20T11:40:00Z")
    installation.drop("agent_usage_events", "a.ndjson", [event])
    installation.run(in_dagster=True)
    home = prepare_dagster(installation.settings)
    keys = {
        NEW_DATA_ARRIVES: dg.AssetKey(["raw", "agent_usage_events"]),
        PUBLISHED_DATA_IS_RECENT: dg.AssetKey("snapshot"),
    }
    found = {}
    with dg.DagsterInstance.from_config(str(home)) as instance:
        for name, key in keys.items():
            (record,) = instance.event_log_storage.get_asset_check_execution_history(
                dg.AssetCheckKey(key, name), limit=5
            )
            assert record.event is not None and record.event.asset_check_evaluation is not None
            found[name] = record.event.asset_check_evaluation.passed
    assert found == {NEW_DATA_ARRIVES: True, PUBLISHED_DATA_IS_RECENT: False}
