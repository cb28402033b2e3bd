"""A legal hold keeps rows from its date on, shows no more of them, and forbids erasure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from installation import Installation, usage_event
from orchestration.cli import app
from orchestration.erase import LegalHold
from orchestration.lake.writing import COUNTS_FOLDER
from orchestration.monitoring.status import gather
from orchestration.publication.export import export
from retention.lakes import Lake
from retention.test_nightly_deletes import customer

NOW = "2026-03-20T12:00:00Z"
USAGE = "agent_usage_events"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Two free customers with an event on each day of March up to the 12th."""
    made = Lake(tmp_path / "home", "2026-03-12T12:00:00Z")
    made.drop("customers", [customer(1, "enterprise"), customer(2, "enterprise")])
    made.drop(USAGE, [event(each, day) for each in (1, 2) for day in range(1, 13)])
    made.land()
    made.drop("customers", [
        customer(each, "free", updated_at="2026-03-11T00:00:00Z") for each in (1, 2)
    ])  # fmt: skip
    return made


@pytest.fixture
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installation:
    """One that may delete whatever is expired."""
    monkeypatch.setenv("AGENTSTATS_RETENTION_MAX_DELETE_FRACTION", "1")
    return Installation(tmp_path / "home", monkeypatch, NOW)


def event(customer_id: int, day: int, **changes: Any) -> dict[str, Any]:
    """A usage event of a day of March, at its first instant."""
    at = f"2026-03-{day:02}T00:00:00Z"
    times = {"occurred_at": at, "received_at": at}
    return usage_event(day, customer_id=customer_id, **{**times, **changes})


def hold(
    customer_id: int, day: int, *, released: bool | None = None, updated: int = 10
) -> dict[str, Any]:
    """A hold from a day of March on, by a row that was changed on another."""
    return {
        "customer_id": customer_id,
        "hold_from": f"2026-03-{day:02}",
        "released": released,
        "updated_at": f"2026-03-{updated:02}T08:00:00Z",
    }


def days_of(lake: Lake, customer_id: int, folder: str = USAGE) -> list[int]:
    """Days of March that the lake has rows of."""
    rows = [row for row in lake.rows(folder) if row["customer_id"] == customer_id]
    return sorted({row["occurred_at"].day for row in rows})


def test_rows_from_the_date_of_the_hold_on_stay_until_it_is_released(lake: Lake) -> None:
    """With what came of them; what is older goes, and another customer's does as ever."""
    lake.drop("legal_holds", [hold(1, 3)])
    lake.land()
    lake.delete()
    for folder in (USAGE, COUNTS_FOLDER):
        assert days_of(lake, 1, folder) == list(range(3, 13))
        assert days_of(lake, 2, folder) == list(range(5, 13))
    lake.now = "2026-03-16T03:00:00Z"
    lake.delete()
    assert (days_of(lake, 1)[0], days_of(lake, 2)[0]) == (3, 9)
    lake.drop("legal_holds", [hold(1, 3, released=True, updated=15)])
    lake.land()
    lake.delete()
    assert (days_of(lake, 1)[0], days_of(lake, 2)[0]) == (9, 9)


def test_late_rows_are_not_expired_while_the_hold_lasts(lake: Lake) -> None:
    """Also of a date that was deleted before the hold; not one instant before its date."""
    lake.land()
    lake.delete()
    assert days_of(lake, 1)[0] == 5
    lake.drop("legal_holds", [hold(1, 3)])
    late = [
        event(1, 2, event_id="before", occurred_at="2026-03-02T23:59:59.999999Z"),
        event(1, 3, event_id="first"),
        event(1, 4, event_id="later"),
    ]
    lake.drop(USAGE, [*late, event(2, 4, event_id="of another")])
    lake.land()
    assert days_of(lake, 1)[0] == 3
    rejected = [(row["customer_id"], row["reason"]) for row in lake.rows("rejected_rows")]
    assert sorted(rejected) == [(1, "expired"), (2, "expired")]
    lake.delete()
    assert days_of(lake, 1)[0] == 3
    lake.drop("legal_holds", [hold(1, 3, released=True, updated=11)])
    lake.drop(USAGE, [event(1, 3, event_id="after the hold")])
    lake.land()
    lake.delete()
    assert days_of(lake, 1)[0] == 5
    assert lake.agrees_with_ledger()


def test_rejected_rows_stay_under_a_hold(lake: Lake) -> None:
    """Their text as delivered, from the date of the hold on."""
    for each in (1, 2):
        rows = [event(each, day, event_id=f"bad {day}", input_tokens=-1) for day in (2, 3, 12)]
        lake.drop(USAGE, rows)
    lake.drop("legal_holds", [hold(1, 3)])
    lake.land()
    lake.delete()
    assert days_of(lake, 1, "rejected_rows") == [3, 12]
    assert days_of(lake, 2, "rejected_rows") == [12]


def test_quarantined_rows_stay_under_a_hold(lake: Lake) -> None:
    """As those of the lake."""
    lake.drop("legal_holds", [hold(1, 3)])
    lake.land()
    for path in sorted((lake.home / "lake" / USAGE).rglob("*.parquet")):
        target = lake.home / "quarantine" / path.relative_to(lake.home / "lake")
        target.parent.mkdir(parents=True)
        target.write_bytes(path.read_bytes())
    lake.delete()
    left = {path.parent.name[-2:] for path in (lake.home / "quarantine").rglob("*.parquet")}
    assert sorted(left) == [f"{day:02}" for day in range(3, 13)]


def test_a_hold_is_the_newest_row_of_its_customer(lake: Lake) -> None:
    """In whatever order they come; one that begins later than what is kept takes nothing away."""
    lake.drop("legal_holds", [hold(1, 4, updated=9)])
    lake.drop("legal_holds", [hold(1, 2, updated=8)])
    lake.drop("legal_holds", [hold(2, 11, updated=8)])
    lake.land()
    lake.delete()
    assert (days_of(lake, 1)[0], days_of(lake, 2)[0]) == (4, 5)


def test_dry_run_and_status_name_who_is_under_a_hold(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the date; one that was released is not named."""
    lake.drop("legal_holds", [hold(1, 3), hold(2, 3, released=True)])
    lake.land()
    monkeypatch.setenv("AGENTSTATS_HOME", str(lake.home))
    monkeypatch.setenv("AGENTSTATS_NOW", lake.now)
    run = CliRunner()
    dry = run.invoke(app, ["retention", "--dry-run"])
    assert "Customer 1 is under a legal hold: its rows from 2026-03-03 on stay." in dry.output
    assert "Customer 2" not in dry.output
    as_json = json.loads(run.invoke(app, ["retention", "--dry-run", "--json"]).stdout)
    assert as_json["legal_holds"] == {"1": "2026-03-03"}
    cutoffs = {each["customer_id"]: each["cutoff"][:10] for each in as_json["groups"]}
    assert cutoffs == {1: "2026-03-03", 2: "2026-03-05"}
    assert {number: str(day) for number, day in gather(lake.settings).legal_holds.items()} == {
        1: "2026-03-03"
    }
    shown = run.invoke(app, ["status"]).stdout
    assert "Legal hold    of customer 1: its rows from 2026-03-03 on stay" in shown


def test_marts_keep_what_the_api_does_not_show(installation: Installation) -> None:
    """It hides what the tier hides, before and after the nightly run; so does an export."""
    installation.drop("customers", "a.ndjson", [customer(1, "free")])
    installation.drop("legal_holds", "a.csv", [hold(1, 3)])
    installation.drop(USAGE, "a.ndjson", [event(1, day) for day in (2, 3, 12, 13, 20)])
    for job in ("hourly", "nightly"):
        installation.run(job)
        days = installation.marts(
            "select occurred_date from marts.customer_daily order by occurred_date"
        )
        assert [row["occurred_date"].day for row in days] == [3, 12, 13, 20]
        (row,) = installation.marts("select retention_days, retention_from from marts.customers")
        assert (row["retention_days"], str(row["retention_from"])) == (7, "2026-03-13")
        key = {"X-API-Key": installation.key(1)}
        with installation.client() as api:
            summary = api.get("/api/stats/usage/summary?days=30", headers=key)
            assert summary.json()["total_messages"] == 2
            assert summary.headers["X-Covered-From"] == "2026-03-13"
            timeline = api.get("/api/stats/usage/timeline?days=20", headers=key).json()
            assert sum(timeline["messages"]) == 2
    exported = export(installation.settings, installation.home / "exported", customer_id=1)
    rows = {file.table: file.rows for file in exported.files}
    assert rows["customer_daily"] == 2


def test_what_is_lost_under_a_hold_is_not_taken_for_deleted(installation: Installation) -> None:
    """Though the date was deleted before the hold; and what goes after the hold takes it along."""
    installation.drop("customers", "a.ndjson", [customer(1, "enterprise")])
    installation.drop(USAGE, "a.ndjson", [event(1, day) for day in (4, 20)])
    installation.run("hourly")
    free = customer(1, "free", updated_at="2026-03-11T00:00:00Z")
    installation.drop("customers", "b.ndjson", [free])
    installation.run("hourly")
    installation.run("nightly")
    installation.drop("legal_holds", "a.ndjson", [hold(1, 3)])
    installation.drop(USAGE, "b.ndjson", [event(1, 4, event_id="late")])
    installation.run("hourly")
    (path,) = (installation.home / "lake" / USAGE / "occurred_date=2026-03-04").iterdir()
    path.unlink()
    run = CliRunner()
    given_up = run.invoke(
        app, ["lake", "forget", str(path.relative_to(installation.home / "lake")), "--yes"]
    )
    assert given_up.exit_code == 0, given_up.output
    installation.run("hourly")
    found = json.loads(run.invoke(app, ["reconcile", "--json"]).stdout)
    assert (found["lost"], found["differences"], found["file_differences"]) == (1, [], [])
    installation.drop("legal_holds", "b.ndjson", [hold(1, 3, released=True, updated=11)])
    installation.run("hourly")
    installation.run("nightly")
    found = json.loads(run.invoke(app, ["reconcile", "--json"]).stdout)
    assert (found["lost"], found["differences"], found["file_differences"]) == (0, [], [])


def test_erasure_refuses_under_a_hold_and_names_it(installation: Installation) -> None:
    """Also where the hold waits to be landed; nothing goes, not even a key. Then it is released."""
    installation.drop("customers", "a.ndjson", [customer(1, "free")])
    installation.drop(USAGE, "a.ndjson", [event(1, day) for day in (19, 20)])
    installation.run()
    installation.key(1)
    installation.drop("legal_holds", "a.ndjson", [hold(1, 3)])
    run = CliRunner()
    for _ in range(2):
        with pytest.raises(LegalHold, match="customer 1 is under a legal hold from 2026-03-03 on"):
            run.invoke(app, ["erase", "--customer", "1"], catch_exceptions=False)
        assert len(installation.lake(USAGE)) == 2
        with installation.ledger() as ledger:
            assert ledger.deletions() == []
            assert ledger.runs(1)[0].status == "failed"
    listed = run.invoke(app, ["keys", "list"])
    assert "test" in listed.stdout
    row = hold(1, 3, released=True, updated=19)
    installation.drop("legal_holds", "b.ndjson", [row])
    erased = run.invoke(app, ["erase", "--customer", "1"])
    assert erased.exit_code == 0, erased.output
    assert installation.lake(USAGE) == installation.lake("legal_holds") == []


def test_what_was_erased_does_not_come_back_by_a_hold(installation: Installation) -> None:
    """A hold that comes after the erasure is about what comes after it."""
    installation.drop("customers", "a.ndjson", [customer(1, "pro")])
    installation.drop(USAGE, "a.ndjson", [event(1, 19)])
    installation.run()
    assert CliRunner().invoke(app, ["erase", "--customer", "1"]).exit_code == 0
    installation.set_clock("2026-03-22T12:00:00Z")
    installation.drop("customers", "b.ndjson", [customer(1, "pro", updated_at="2026-03-22")])
    installation.drop("legal_holds", "b.ndjson", [hold(1, 1, updated=21)])
    installation.drop(USAGE, "b.ndjson", [event(1, 19), event(1, 20), event(1, 21)])
    installation.run()
    assert [row["occurred_at"].day for row in installation.lake(USAGE)] == [21]


@pytest.mark.parametrize("name", ["a.parquet", "a.ndjson", "a.csv"])
def test_a_date_is_read_in_every_format(installation: Installation, name: str) -> None:
    """A time counts by its date in UTC; what is no date rejects the row, and so does none."""
    written = {
        1: "2026-03-03",
        2: "2026-03-03T23:30:00-01:00",
        3: "2026-03-03 00:00:00",
        4: "2026-02-30",
        5: "3.3.2026",
        6: " ",
        7: None,
    }
    rows = [{**hold(number, 3), "hold_from": day} for number, day in written.items()]
    installation.drop("legal_holds", name, rows)
    installation.try_run()
    (load,) = installation.loads().values()
    assert load.rejected_by_reason == {"invalid_hold_from": 2, "missing_hold_from": 2}
    found = {row["customer_id"]: str(row["hold_from"]) for row in installation.lake("legal_holds")}
    assert found == {1: "2026-03-03", 2: "2026-03-04", 3: "2026-03-03"}
