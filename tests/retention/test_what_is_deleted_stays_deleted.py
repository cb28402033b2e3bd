"""Tiers that change, files that come again, and what the API shows meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest

from installation import Installation, usage_event
from retention.test_nightly_deletes import EIGHT_DAYS_LATER, FIRST_DAY, customer

LATER = "2026-03-08T12:00:00Z"


@pytest.fixture
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installation:
    """A free customer with an event on 1 and on 5 March; the guard allows everything."""
    installed = Installation(tmp_path / "home", monkeypatch, FIRST_DAY)
    monkeypatch.setenv("AGENTSTATS_RETENTION_MAX_DELETE_FRACTION", "1")
    installed.set_clock("2026-03-06T09:00:00Z")
    installed.drop("customers", "customers.csv", [customer(1, "free")])
    installed.drop("agent_usage_events", "both.ndjson", events())
    installed.run()
    return installed


def events() -> list[dict[str, object]]:
    return [usage_event(1), usage_event(5, occurred_at="2026-03-05T08:00:00Z")]


def messages_of_90_days(installation: Installation) -> tuple[int, str]:
    """(total_messages, X-Covered-From) as the API answers customer 1."""
    headers = {"X-API-Key": installation.key(1)}
    with installation.client() as client:
        answer = client.get("/api/stats/usage/summary?days=90", headers=headers)
    assert answer.status_code == 200
    return answer.json()["total_messages"], answer.headers["X-Covered-From"]


def test_the_api_clamps_before_the_job_has_run(installation: Installation) -> None:
    """From midnight on the expired day is out of sight, though it is still in the snapshot."""
    installation.set_clock("2026-03-08T23:59:59Z")
    assert messages_of_90_days(installation) == (2, "2026-03-01")
    installation.set_clock("2026-03-09T00:00:00Z")
    assert messages_of_90_days(installation) == (1, "2026-03-02")


def test_a_longer_tier_brings_nothing_back(installation: Installation) -> None:
    """Deleted events that are delivered again are expired, though the tier would keep them now."""
    installation.set_clock(EIGHT_DAYS_LATER)
    installation.run("nightly")
    longer = {**customer(1, "pro"), "updated_at": "2026-03-09T00:00:00Z"}
    installation.drop("customers", "longer.csv", [longer])
    installation.drop("agent_usage_events", "again.ndjson", [*events(), usage_event(2)])
    installation.run()
    load = installation.loads()["agent_usage_events/again.ndjson"]
    assert (load.duplicates, load.rejected_by_reason) == (1, {"expired": 2})
    assert messages_of_90_days(installation) == (1, "2026-03-02")
    # What the free tier had not taken yet is kept for as long as the new tier says.
    installation.set_clock("2026-05-01T03:00:00Z")
    installation.run("nightly")
    assert messages_of_90_days(installation) == (1, "2026-03-02")


def test_a_shorter_tier_takes_effect_at_the_next_run(installation: Installation) -> None:
    """An enterprise customer's 1 day takes what the free tier would have kept."""
    shorter = customer(1, "enterprise", retention_days=1, updated_at="2026-03-06T00:00:00Z")
    installation.drop("customers", "shorter.csv", [shorter])
    installation.run()
    assert messages_of_90_days(installation) == (1, "2026-03-05")
    assert len(installation.lake("agent_usage_events")) == 2
    installation.run("nightly")
    assert [row["event_id"] for row in installation.lake("agent_usage_events")] == ["event-5"]


def test_a_clock_that_goes_back_brings_nothing_back(installation: Installation) -> None:
    """What was deleted by a later clock is refused by an earlier one."""
    installation.set_clock(EIGHT_DAYS_LATER)
    installation.run("nightly")
    installation.set_clock("2026-03-06T09:00:00Z")
    installation.drop("agent_usage_events", "again.ndjson", [usage_event(1)])
    installation.run()
    load = installation.loads()["agent_usage_events/again.ndjson"]
    assert load.rejected_by_reason == {"expired": 1}
    assert messages_of_90_days(installation) == (1, "2026-03-02")
