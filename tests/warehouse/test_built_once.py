"""Views, seeds and constants are left as they are from run to run, and made anew where one is
missing, whatever took it."""

from __future__ import annotations

from contextlib import closing

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
