"""Tiers that are delivered add to the built-in ones, or replace them, for every part alike."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from installation import Installation, usage_event
from orchestration import pipeline
from orchestration.cli import app
from orchestration.lake.policy import policy_files, read_policies, strictest_cutoff
from orchestration.monitoring.status import gather
from orchestration.storage.database import connect
from retention.lakes import Lake
from retention.test_nightly_deletes import customer

NOW = "2026-03-20T12:00:00Z"
USAGE = "agent_usage_events"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """A lake under a clock that stands still."""
    return Lake(tmp_path / "home", NOW)


@pytest.fixture
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installation:
    """One that may delete whatever is expired."""
    monkeypatch.setenv("AGENTSTATS_RETENTION_MAX_DELETE_FRACTION", "1")
    return Installation(tmp_path / "home", monkeypatch, NOW)


def tier(name: str, **columns: Any) -> dict[str, Any]:
    """A tier's row with some of its columns."""
    return {"tier": name, "updated_at": "2026-03-01T08:00:00Z", **columns}


def event(customer_id: int, day: str) -> dict[str, Any]:
    """A usage event of a day, at its first instant."""
    at = f"{day}T00:00:00Z"
    return usage_event(int(day[-2:]), customer_id=customer_id, occurred_at=at, received_at=at)


def days_of(lake: Lake, customer_id: int) -> list[int]:
    """Days of March that the lake has events of."""
    rows = [row for row in lake.rows(USAGE) if row["customer_id"] == customer_id]
    return sorted(row["occurred_at"].day for row in rows)


def deliver(lake: Lake, customers: Mapping[int, Mapping[str, Any]]) -> None:
    """The customers, and of each an event on every day from the 1st to the 20th."""
    lake.drop("customers", [customer(number, **given) for number, given in customers.items()])
    for number in customers:
        lake.drop(USAGE, [event(number, f"2026-03-{day:02}") for day in range(1, 21)])


def test_landing_and_deletion_follow_a_delivered_tier(lake: Lake) -> None:
    """Of a new tier, of one that replaces a built-in one, and of one that lets customers choose."""
    lake.drop("tiers", [
        tier("trial", retention_days=2),
        tier("pro", retention_days=4),
        tier("team", default_retention_days=6, max_retention_days=10),
    ])  # fmt: skip
    deliver(lake, {
        1: {"tier": "trial"},
        2: {"tier": "pro"},
        3: {"tier": "team"},
        4: {"tier": "team", "retention_days": 10},
        5: {"tier": "free"},
    })  # fmt: skip
    lake.land()
    firsts = {number: days_of(lake, number)[0] for number in range(1, 6)}
    assert firsts == {1: 18, 2: 16, 3: 14, 4: 10, 5: 13}
    assert len(lake.rows("rejected_rows")) == 5 * 20 - (3 + 5 + 7 + 11 + 8)
    lake.now = "2026-03-21T03:00:00Z"
    lake.delete()
    firsts = {number: days_of(lake, number)[0] for number in range(1, 6)}
    assert firsts == {1: 19, 2: 17, 3: 15, 4: 11, 5: 14}


def test_the_newest_row_of_a_tier_holds_whatever_order_they_come_in(lake: Lake) -> None:
    """As of every name: by updated_at, then by what says most."""
    deliver(lake, {1: {"tier": "trial"}})
    lake.drop("tiers", [tier("trial", retention_days=9, updated_at="2026-03-02T08:00:00Z")])
    lake.drop("tiers", [tier("trial", retention_days=3)])
    lake.drop("tiers", [tier("trial", retention_days=5, updated_at=None)])
    lake.land()
    assert days_of(lake, 1) == list(range(11, 21))
    lake.drop("tiers", [tier("trial", retention_days=3, updated_at="2026-03-03T08:00:00Z")])
    lake.land()
    lake.delete()
    assert days_of(lake, 1) == list(range(17, 21))


@pytest.mark.parametrize(
    ("given", "own", "problem"),
    [
        (
            {"retention_days": 0},
            None,
            "tier 'odd' has retention_days 0, which is not within 1 to 2557",
        ),
        ({"retention_days": 2558}, 5, "has retention_days 2558, which is not within 1 to 2557"),
        ({"max_retention_days": 60}, 61, "retention_days 61 is not within 1 to 60"),
        ({"max_retention_days": 60}, None, "says neither how many days it keeps nor how many by"),
        ({"max_retention_days": 99_999}, 2558, "retention_days 2558 is not within 1 to 2557"),
        (
            {"default_retention_days": 61, "max_retention_days": 60},
            None,
            "has default_retention_days 61, which is not within 1 to 60",
        ),
        ({}, 5, "says neither how many days it keeps nor how many by default"),
    ],
)
def test_an_invalid_tier_is_an_invalid_policy_of_its_customers(
    lake: Lake, given: Mapping[str, Any], own: int | None, problem: str
) -> None:
    """Nothing of theirs is deleted or expires; the others go on, and it is said what is wrong."""
    lake.drop("tiers", [tier("odd", **given)])
    deliver(lake, {1: {"tier": "odd", "retention_days": own}, 2: {"tier": "free"}})
    lake.land()
    lake.delete()
    assert (days_of(lake, 1)[0], days_of(lake, 2)[0]) == (1, 13)
    status = gather(lake.settings)
    assert list(status.invalid_policies) == [1]
    assert problem in status.invalid_policies[1]


def test_an_unknown_tier_is_named_with_all_that_there_are(lake: Lake) -> None:
    """The built-in ones first."""
    lake.drop("tiers", [tier("trial", retention_days=2)])
    deliver(lake, {1: {"tier": "gold"}})
    lake.land()
    problem = "tier 'gold' is unknown; tiers are free, starter, pro, enterprise, trial"
    assert gather(lake.settings).invalid_policies == {1: problem}


def test_an_unknown_customer_goes_by_the_shortest_valid_tier(installation: Installation) -> None:
    """Also where a tier is shorter than the built-in ones; an invalid one has no say."""
    now = datetime.fromisoformat(NOW)
    for name, days, first in (("trial", 2, 18), ("odd", -5, 18), ("odder", 99_999, 18)):
        installation.drop("tiers", f"{name}.ndjson", [tier(name, retention_days=days)])
        installation.drop("customers", f"{name}.ndjson", [customer(1, name)])
        with installation.ledger() as ledger:
            pipeline.land(installation.settings, ledger)
        with installation.ledger() as ledger, closing(connect(installation.settings)) as database:
            policies = read_policies(database, policy_files(installation.settings, ledger))
        assert strictest_cutoff(policies, now).day == first


def test_a_run_with_an_invalid_tier_publishes_and_names_its_customers(
    installation: Installation,
) -> None:
    """It ends with 3, though the file that brought it is of tiers and not of customers."""
    installation.drop("customers", "a.ndjson", [customer(1, "pro"), customer(2, "free")])
    installation.drop(USAGE, "a.ndjson", [event(1, "2026-03-01"), event(2, "2026-03-19")])
    installation.run()
    installation.drop("tiers", "a.ndjson", [tier("pro", daily_token_budget=5)])
    outcome = installation.try_run()
    assert outcome.succeeded
    (named,) = installation.last_run()["set_aside"]
    assert named.startswith("nothing of customer 1 is deleted, because its tier 'pro' says neither")
    shown = installation.marts(
        "select customer_id, retention_days from marts.customers order by customer_id"
    )
    assert [row["retention_days"] for row in shown] == [None, 7]


def test_marts_and_api_say_what_holds(installation: Installation) -> None:
    """Days, budget and requests a minute of the delivered row; the API hides by its days."""
    installation.drop("tiers", "a.ndjson", [
        tier(
            "pro",
            retention_days=5,
            daily_token_budget=70,
            requests_per_minute=3,
            max_running_agents=4,
            agent_hour_usd="0.0125",
        ),
    ])  # fmt: skip
    installation.drop("customers", "a.ndjson", [customer(1, "pro"), customer(2, "starter")])
    days = ["2026-03-14", "2026-03-15", "2026-03-20"]
    installation.drop(USAGE, "a.ndjson", [event(1, day) for day in days])
    installation.run()
    (pro,) = installation.marts(
        "select * exclude (updated_at), cast(agent_hour_usd as varchar) as usd from marts.tiers "
        "where tier = 'pro'"
    )
    assert pro["usd"] == "0.012500000000"
    assert (pro["retention_days"], pro["max_running_agents"], pro["is_built_in"]) == (5, 4, False)
    names = installation.marts("select tier from marts.tiers where is_built_in order by tier")
    assert [row["tier"] for row in names] == ["enterprise", "free", "starter"]
    keys = {number: {"X-API-Key": installation.key(number)} for number in (1, 2)}
    with installation.client() as api:
        api.get("/readyz")
        account = api.get("/api/stats/account", headers=keys[1])
        assert account.headers["X-Covered-From"] == "2026-03-15"
        assert account.headers["X-RateLimit-Limit"] == "3"
        body = account.json()
        assert (body["retention_days"], body["requests_per_minute"]) == (5, 3)
        assert (body["retention_from"], body["daily_token_budget"]) == ("2026-03-15", 70)
        other = api.get("/api/stats/account", headers=keys[2]).json()
        assert (other["requests_per_minute"], other["daily_token_budget"]) == (1_000_000, 50_000)
        summary = api.get("/api/stats/usage/summary?days=30", headers=keys[1]).json()
        assert summary["total_messages"] == 2


@pytest.mark.parametrize("name", ["a.parquet", "a.ndjson", "a.csv"])
def test_rows_that_break_a_rule_are_rejected_alone(installation: Installation, name: str) -> None:
    """In each format; days of any number land, so that a wrong one is found and not passed over."""
    good = {"retention_days": 5, "requests_per_minute": 1, "agent_hour_usd": 0.1}
    changes: list[tuple[dict[str, Any], str | None]] = [
        ({}, None),
        ({"retention_days": -5}, None),
        ({"agent_hour_usd": 1e9}, None),
        ({"tier": " "}, "missing_tier"),
        ({"tier": "x" * 257}, "invalid_tier"),
        ({"requests_per_minute": 0}, "invalid_requests_per_minute"),
        ({"daily_token_budget": -1}, "invalid_daily_token_budget"),
        ({"max_running_agents": 10**12 + 1}, "invalid_max_running_agents"),
        ({"agent_hour_usd": -0.5}, "invalid_agent_hour_usd"),
        ({"agent_hour_usd": 1000000001}, "invalid_agent_hour_usd"),
        ({"updated_at": "2026-03-20T13:00:00Z"}, "updated_in_future"),
    ]
    rows = [
        {**tier(f"tier {number}", **good), "daily_token_budget": None, "max_running_agents": 1}
        | change
        for number, (change, _) in enumerate(changes)
    ]
    installation.drop("tiers", name, rows)
    installation.try_run()
    (load,) = installation.loads().values()
    expected = [reason for _, reason in changes if reason]
    assert load.accepted == len(changes) - len(expected)
    assert load.rejected_by_reason == {
        reason: expected.count(reason) for reason in sorted(set(expected))
    }
    assert {row["customer_id"] for row in installation.lake("rejected_rows")} == {None}


def test_an_erasure_leaves_the_tiers(installation: Installation) -> None:
    """No customer's, also where one is called as the customer is, and quarantined ones too."""
    installation.drop("tiers", "a.ndjson", [tier("Acme Special", retention_days=9)])
    row = customer(1, "Acme Special", customer_name="Acme Special")
    installation.drop("customers", "a.ndjson", [row])
    installation.drop(USAGE, "a.ndjson", [event(1, "2026-03-19")])
    installation.run()
    quarantined = installation.home / "quarantine/tiers/a.parquet"
    quarantined.parent.mkdir(parents=True)
    (path,) = (installation.settings.lake / "tiers").glob("*.parquet")
    quarantined.write_bytes(path.read_bytes())
    erased = CliRunner().invoke(app, ["erase", "--customer", "1"])
    assert erased.exit_code == 0, erased.output
    assert quarantined.exists()
    names = installation.marts("select tier from marts.tiers where not is_built_in")
    assert [row["tier"] for row in names] == ["Acme Special"]
