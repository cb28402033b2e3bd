"""After retention, and after the kill of a nightly run, marts are those of the retained events."""

from __future__ import annotations

import json
import random
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from installation import Installation, rating, scan, usage_event, utc
from orchestration.retention import nightly
from orchestration.storage.writer_lock import writer_lock
from recount.deliveries import recount
from recount.marts import COUNTED, marts
from retention.test_nightly_deletes import customer

NOW = "2026-03-20T09:00:00Z"
LATER = "2026-03-24T03:00:00Z"


@pytest.fixture
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installation:
    """Events of three tiers on twelve days, each some rows in each of two files."""
    installed = Installation(tmp_path / "home", monkeypatch, NOW)
    monkeypatch.setenv("AGENTSTATS_RETENTION_MAX_DELETE_FRACTION", "1")
    installed.drop(
        "customers",
        "customers.csv",
        [customer(1, "free"), customer(2, "starter"), customer(3, "enterprise", retention_days=5)],
    )
    dice = random.Random(20260324)
    for file in range(2):
        rows: dict[str, list[dict[str, Any]]] = {
            "agent_usage_events": [],
            "audit_events": [],
            "feedback_events": [],
        }
        for number in range(file * 200, file * 200 + 200):
            occurred_at = datetime(2026, 3, 8, tzinfo=UTC) + timedelta(
                seconds=dice.randrange(12 * 86_400)
            )
            common: dict[str, Any] = {
                "customer_id": dice.choice([1, 2, 3]),
                "occurred_at": occurred_at.isoformat(),
                "agent_id": dice.randrange(1, 4),
            }
            rows["agent_usage_events"].append(usage_event(number, **common))
            rows["audit_events"].append(scan(number, **common))
            rows["feedback_events"].append(rating(number, **common))
        for stream, of_stream in rows.items():
            installed.drop(stream, f"{file}.ndjson", of_stream)
    shutil.copytree(installed.home / "landing", tmp_path / "delivered")
    installed.run()
    return installed


def assert_marts_are_of_what_is_kept(installation: Installation, now: str) -> None:
    """Compare each mart with a recount of the delivered files as if landed `now`."""
    expected = marts(recount(installation.home.parent / "delivered", utc(now)))
    assert sum(row["message_count"] for row in expected["customer_daily"]) > 50
    for mart, rows in expected.items():
        found = [
            {
                name: value.isoformat() if hasattr(value, "isoformat") else value
                for name, value in row.items()
            }
            for row in installation.marts(f"select {COUNTED} from marts.{mart}")
        ]
        assert sorted(found, key=_sorted_text) == sorted(rows, key=_sorted_text), mart


def _sorted_text(row: dict[str, Any]) -> str:
    return json.dumps(row, sort_keys=True, default=str)


def test_marts_equal_a_recount_of_the_retained_events(installation: Installation) -> None:
    """Before the job, of all that was kept then; after it, of what is kept now."""
    assert_marts_are_of_what_is_kept(installation, NOW)
    installation.set_clock(LATER)
    installation.run("nightly")
    assert_marts_are_of_what_is_kept(installation, LATER)
    after = installation.fingerprints()
    installation.run("hourly", full_refresh=True)
    assert installation.fingerprints() == after


def test_an_hourly_run_finishes_a_nightly_one_that_was_cut_off(
    installation: Installation,
) -> None:
    """Cut off once the lake is done: the hourly run rebuilds, publishes, unlinks, recounts."""
    installation.set_clock(LATER)
    settings = installation.settings
    with (
        writer_lock(settings.home, task="cut off", now=settings.clock()),
        installation.ledger() as ledger,
    ):
        nightly.delete_expired(settings, ledger, run_id="cut-off")
    installation.run("hourly")
    assert_marts_are_of_what_is_kept(installation, LATER)
    assert len(list(settings.snapshots.glob("*/agentstats.duckdb"))) == 1
    assert installation.marts(
        "select min(occurred_date)::varchar as first from marts.reconciliation "
        "where customer_id = 3"
    ) == [{"first": "2026-03-19"}]
