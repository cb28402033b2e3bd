"""A run builds what came has made another: no marts of other streams, and no views, seeds and
constants, but where one is missing, whatever took it."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import pytest

from installation import Installation, rating, scan, usage_event
from orchestration import pipeline
from orchestration.storage.ledger import Ledger
from orchestration.warehouse import dbt, rollups, warehouse_file
from orchestration.warehouse.reconciliation import reconcile


def drop(installation: Installation, number: int) -> None:
    """One event of each stream."""
    installation.drop("agent_usage_events", f"{number}.ndjson", [usage_event(number)])
    installation.drop("audit_events", f"{number}.ndjson", [scan(number)])
    installation.drop("feedback_events", f"{number}.ndjson", [rating(number)])


@pytest.fixture
def installation(installation: Installation) -> Installation:
    """An installation that has had its first run."""
    drop(installation, 1)
    installation.run()
    return installation


def counted(installation: Installation) -> dict[str, int]:
    """Events of each stream that the published marts count."""
    (row,) = installation.marts(
        "select (select sum(message_count) from marts.usage_quarter_hourly) as usage, "
        "(select sum(scan_count) from marts.compliance_quarter_hourly) as scans, "
        "(select sum(rating_count) from marts.feedback_quarter_hourly) as ratings"
    )
    return row


def test_a_recount_of_a_warehouse_written_anew_leaves_the_next_run_whole(
    installation: Installation,
) -> None:
    """The recount makes those views that it reads, and no others."""
    with closing(Ledger(installation.settings.ledger_path)) as ledger:
        warehouse_file.rewrite(installation.settings, ledger)
        assert not rollups.has_what_is_built_once(installation.settings)
        assert reconcile(installation.settings, ledger).adds_up
        assert not rollups.has_what_is_built_once(installation.settings)
        drop(installation, 2)
        pipeline.land(installation.settings, ledger)
    installation.run()
    assert rollups.has_what_is_built_once(installation.settings)
    assert counted(installation) == {"usage": 2, "scans": 2, "ratings": 2}


def test_whatever_is_missing_is_made_anew(installation: Installation) -> None:
    """Each of them taken alone is noticed; with half of them gone, the next run is whole."""
    settings = installation.settings
    names = dbt.built_once(settings)
    assert {schema for schema, _ in names} == {"staging", "intermediate", "marts"}
    with rollups.open_warehouse(settings) as warehouse:
        views = set(
            warehouse.execute(
                "select schema_name, view_name from duckdb_views() where not internal"
            ).fetchall()
        )
    kinds = {name: "view" if name in views else "table" for name in names}
    for (schema, name), kind in kinds.items():
        with rollups.open_warehouse(settings) as warehouse:
            warehouse.execute(f"alter {kind} {schema}.{name} rename to moved")
        assert not rollups.has_what_is_built_once(settings), name
        with rollups.open_warehouse(settings) as warehouse:
            warehouse.execute(f"alter {kind} {schema}.moved rename to {name}")
        assert rollups.has_what_is_built_once(settings), name
    with rollups.open_warehouse(settings) as warehouse:
        for schema, name in names[::2]:
            warehouse.execute(f"drop {kinds[schema, name]} {schema}.{name}")
    drop(installation, 2)
    installation.run()
    assert rollups.has_what_is_built_once(settings)
    assert counted(installation) == {"usage": 2, "scans": 2, "ratings": 2}


def built(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> tuple[set[str], str]:
    """The tables that the next run builds, and the names of the tests that it runs."""
    nodes: list[list[str]] = []
    build = dbt.build

    def watched(*arguments: Any, **options: Any) -> list[dbt.NodeResult]:
        results = build(*arguments, **options)
        nodes.extend(result.unique_id.split(".") for result in results)
        return results

    with monkeypatch.context() as patched:
        patched.setattr(dbt, "build", watched)
        installation.run()
    names = {kind: [name[2] for name in nodes if name[0] == kind] for kind in ("model", "test")}
    return set(names["model"]), " ".join(names["test"])


def test_a_run_builds_the_marts_of_what_came(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the tests of them and of their rows; a scan takes its model from a response, so that the
    marts of both are built where there are both."""
    installation.drop("feedback_events", "2.ndjson", [rating(2)])
    tables, tests = built(installation, monkeypatch)
    of_ratings = {"feedback_quarter_hourly", "feedback_daily", "load_bucket_daily"}
    assert tables == {*of_ratings, "delivery_quarter_hourly"}
    assert "stg_feedback_events" in tests
    assert "stg_agent_usage_events" not in tests
    assert "marts_count_every_event_once" in tests
    installation.drop(
        "agent_usage_events", "2.ndjson", [usage_event(2, occurred_at="2026-02-27T08:00:00Z")]
    )
    tables, tests = built(installation, monkeypatch)
    assert "usage_quarter_hourly" in tables
    assert not any(name.startswith(("compliance", "pii", "feedback")) for name in tables)
    installation.drop(
        "audit_events", "2.ndjson", [scan(2, occurred_at="2026-02-27T08:00:00Z", model=None)]
    )
    tables, tests = built(installation, monkeypatch)
    assert {"compliance_quarter_hourly", "pii_daily", "usage_quarter_hourly"} <= tables
    installation.drop("customers", "2.ndjson", [{"customer_id": 1, "tier": "pro"}])
    tables, tests = built(installation, monkeypatch)
    assert tables == {"agents", "agent_types", "attributes", "customers", "tiers"}
    assert "stg_customers" in tests
    found = installation.fingerprints()
    installation.run(full_refresh=True)
    assert installation.fingerprints() == found
