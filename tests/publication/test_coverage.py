"""From which date on a customer's figures are whole, as the published customers mart says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from installation import Installation, rating, scan, usage_event
from orchestration import pipeline
from orchestration.cli import app
from orchestration.storage.ledger import Load

NOW = "2026-03-20T12:00:00Z"


@pytest.fixture
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installation:
    """A free customer whose events began before its retention, a pro one whose began after, one of
    an unknown tier, one without events, and events of one that was never delivered."""
    monkeypatch.setenv("AGENTSTATS_RETENTION_MAX_DELETE_FRACTION", "1")
    made = Installation(tmp_path / "home", monkeypatch, NOW)
    tiers = {1: "free", 2: "pro", 3: "gold", 4: "enterprise"}
    made.drop("customers", "all.ndjson", [_customer(number, tiers[number]) for number in tiers])
    made.drop(
        "agent_usage_events",
        "first.ndjson",
        [
            _usage(1, 1, "2026-03-13T23:59:59.999999Z"),
            _usage(2, 2, "2026-03-18T00:00:00Z"),
            _usage(3, 3, "2026-03-15T08:00:00Z"),
            _usage(5, 5, "2026-03-16T08:00:00Z"),
        ],
    )
    made.drop("audit_events", "first.ndjson", [scan(1, occurred_at="2026-03-13T08:30:00Z")])
    made.drop("feedback_events", "first.ndjson", [rating(1, occurred_at="2026-03-20T09:15:00.5Z")])
    _publish(made)
    return made


def _publish(installation: Installation) -> None:
    """What the hourly job does, without Dagster."""
    with installation.ledger() as ledger:
        pipeline.land(installation.settings, ledger)
        assert not pipeline.roll_up(installation.settings, ledger).failed
        pipeline.publish_if_changed(installation.settings, ledger, run_id="test")


def _customer(number: int, tier: str, **changes: object) -> dict[str, object]:
    return {
        "customer_id": number,
        "customer_name": f"Customer {number}",
        "tier": tier,
        "retention_days": None,
        "updated_at": "2026-03-01T00:00:00Z",
        **changes,
    }


def _usage(number: int, customer_id: int, occurred_at: str, **changes: object) -> dict[str, Any]:
    return usage_event(number, customer_id=customer_id, occurred_at=occurred_at, **changes)


def _coverage(installation: Installation) -> dict[int, tuple[str | None, ...]]:
    """(covered_from, data_from, retention_from, first_event_at, newest_event_at) by customer."""
    rows = installation.marts(
        "select customer_id, covered_from, data_from, retention_from, first_event_at, "
        "newest_event_at from marts.customers"
    )
    return {
        row["customer_id"]: tuple(
            None if value is None else str(value) for value in list(row.values())[1:]
        )
        for row in rows
    }


def _load(installation: Installation, name: str) -> Load:
    return installation.loads()[name]


def test_a_customer_is_covered_from_the_later_of_first_data_and_retention(
    installation: Installation,
) -> None:
    """By events of every stream, to the microsecond, whatever was deleted since. What retention
    shows is what the API says, for customers with events and without, of a tier and of none."""
    found = _coverage(installation)
    assert found == {
        1: (
            *("2026-03-14", "2026-03-14", "2026-03-13"),
            *("2026-03-13 08:30:00", "2026-03-20 09:15:00.500000"),
        ),
        2: (
            *("2026-03-19", "2026-03-19", "2025-12-20"),
            *("2026-03-18 00:00:00", "2026-03-18 00:00:00"),
        ),
        3: ("2026-03-16", "2026-03-16", None, "2026-03-15 08:00:00", "2026-03-15 08:00:00"),
        4: (None, None, "2025-03-20", None, None),
    }
    with installation.client() as client:
        for number, (_, _, retention_from, _, _) in found.items():
            answer = client.get(
                "/api/stats/usage/summary", headers={"X-API-Key": installation.key(number)}
            )
            assert answer.headers["X-Covered-From"] == (retention_from or "1970-01-01")

    # The first event outlives its deletion.
    installation.drop("customers", "policy.ndjson", [_customer(3, "pro", updated_at=NOW)])
    with installation.ledger() as ledger:
        pipeline.land(installation.settings, ledger)
    installation.set_clock("2026-03-25T12:00:00Z")
    installation.run("nightly")
    first, newest = "2026-03-13 08:30:00", "2026-03-20 09:15:00.500000"
    assert _coverage(installation)[1] == ("2026-03-18", "2026-03-14", "2026-03-18", first, newest)

    # An older event that comes late moves it back; a duplicate and a rejected row do not, and a
    # longer tier brings nothing back. A warehouse made anew loses nothing of it.
    later = "2026-03-25T00:00:00Z"
    installation.drop("customers", "longer.ndjson", [_customer(1, "pro", updated_at=later)])
    installation.drop("customers", "delivered.ndjson", [_customer(5, "pro", updated_at=later)])
    installation.drop(
        "agent_usage_events",
        "late.ndjson",
        [
            # Deleted once, so refused; far ahead, so refused; known, so nothing new.
            _usage(6, 1, "2026-03-10T08:00:00Z"),
            _usage(7, 1, "2026-03-30T08:00:00Z"),
            _usage(2, 2, "2026-03-18T00:00:00Z"),
            _usage(8, 2, "2026-03-02T10:00:00Z", input_tokens=-1),
            _usage(9, 2, "2026-03-04T10:00:00Z"),
        ],
    )
    installation.settings.warehouse.unlink()
    _publish(installation)
    load = _load(installation, "agent_usage_events/late.ndjson")
    assert (load.accepted, load.duplicates, load.rejected) == (1, 1, 3)
    found = _coverage(installation)
    assert found[1] == ("2026-03-18", "2026-03-14", "2026-03-18", first, newest)
    assert found[2][1:4:2] == ("2026-03-05", "2026-03-04 10:00:00")
    # It was not delivered yet when its event came.
    assert found[5][:2] == ("2026-03-17", "2026-03-17")

    # Erasure takes it with everything else.
    erased = CliRunner().invoke(app, ["erase", "--customer", "1", "--json"])
    assert erased.exit_code == 0, erased.output
    with installation.ledger() as ledger:
        assert 1 not in {times.customer_id for times in ledger.event_times()}
    installation.set_clock("2026-03-26T12:00:00Z")
    again = "2026-03-26T00:00:00Z"
    installation.drop("customers", "again.ndjson", [_customer(1, "pro", updated_at=again)])
    installation.drop("agent_usage_events", "again.ndjson", [_usage(1, 1, "2026-03-26T08:00:00Z")])
    _publish(installation)
    begins = ("2026-03-27", "2026-03-27", "2026-03-26", *["2026-03-26 08:00:00"] * 2)
    assert _coverage(installation)[1] == begins
