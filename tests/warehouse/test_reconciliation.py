"""The proof: deliveries, lake and marts agree by stream, customer and date, or the run fails."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import duckdb
import pytest

from installation import Installation, rating, scan, usage_event
from orchestration.publication.publish import current_snapshot
from orchestration.warehouse.reconciliation import reconcile
from recount.deliveries import recount
from recount.quality import data_quality, per_date

NOW = "2026-03-01T12:00:00Z"
ZONES = ("UTC", "Asia/Kathmandu", "Pacific/Kiritimati", "America/Los_Angeles")


def drop_everything(installation: Installation, everything: Path) -> None:
    """Three runs: good, late, repeated, conflicting and broken rows of three customers."""

    def drop(stream: str, name: str, rows: list[dict[str, object]]) -> None:
        landed = installation.drop(stream, name, rows)
        copy = everything / stream / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(landed.read_bytes())

    drop("customers", "c.ndjson", [{"customer_id": 1, "tier": "free"},
                                   {"customer_id": 2, "tier": "pro"}])  # fmt: skip
    first = [
        usage_event(1),
        usage_event(2, occurred_at="2026-02-27T18:14:59.999999Z", total_tokens=1),
        usage_event(2, customer_id=2, occurred_at="2026-02-27T18:15:00Z"),
        usage_event(3, agent_id=None),
        usage_event(4, occurred_at="not yet"),
        usage_event(5, customer_id=None),
    ]
    drop("agent_usage_events", "1.ndjson", first)
    drop("audit_events", "1.ndjson", [scan(1), scan(2, pii_redactions="none")])
    installation.run()
    # Delivered again to the byte; late; and once more with other tokens.
    drop("agent_usage_events", "2.ndjson", first)
    drop("agent_usage_events", "3.ndjson", [
        usage_event(6, occurred_at="2026-02-25T00:00:00Z"),
        usage_event(1, output_tokens=99, total_tokens=199, received_at="2026-03-01T09:00:00Z"),
    ])  # fmt: skip
    installation.run()
    drop("feedback_events", "1.ndjson", [rating(1), rating(2, rating=9), rating(1)])
    drop("agent_usage_events", "4.ndjson", [
        usage_event(7, occurred_at="2026-02-21T23:59:59Z"),
        usage_event(8, customer_id=2, occurred_at="2026-02-21T23:59:59Z"),
    ])  # fmt: skip
    installation.run()


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what was delivered."""
    return tmp_path_factory.mktemp("everything")


@pytest.fixture(scope="module")
def delivered(tmp_path_factory: pytest.TempPathFactory, everything: Path) -> Iterator[Installation]:
    """Three hourly runs and a nightly one, once for all tests here that change nothing."""
    with pytest.MonkeyPatch.context() as environment:
        home = tmp_path_factory.mktemp("delivered") / "home"
        installation = Installation(home, environment, NOW)
        drop_everything(installation, everything)
        installation.run("nightly")
        yield installation


def test_the_mart_holds_what_was_counted_row_by_row(
    delivered: Installation, everything: Path
) -> None:
    """Delivered, accepted, duplicates, rejected and anomalies of each stream, customer and date."""
    now = datetime.fromisoformat(NOW)
    found = {
        (row.pop("stream"), row.pop("customer_id"), row.pop("occurred_date").isoformat()): row
        for row in delivered.marts("select * from marts.reconciliation")
    }
    expected = per_date(recount(everything, now), now)
    assert {key: {name: row[name] for name in expected[key]} for key, row in found.items()} == (
        expected
    )
    for key, row in found.items():
        assert row["difference"] == 0, key
        assert row["accepted"] == row["in_lake"] == row["in_marts"], key
        assert row["delivered"] == row["accepted"] + row["duplicates"] + row["rejected"], key
    for row in delivered.marts("select * from marts.reconciled_sums"):
        assert (row["difference"], row["mart_that_differs"]) == (0, None), row
    # By hand: both versions of event 1, and the one that counts.
    (tokens,) = delivered.marts(
        "select written, in_lake, newest_in_lake, in_marts from marts.reconciled_sums "
        "where customer_id = 1 and measure = 'output_tokens' and occurred_date = '2026-03-01'"
    )
    assert {name: int(amount) for name, amount in tokens.items()} == {
        "written": 109,
        "in_lake": 109,
        "newest_in_lake": 99,
        "in_marts": 99,
    }
    # By hand: of customer 1 on its last day, event 1 three times, once as another.
    today = found["agent_usage_events", 1, "2026-03-01"]
    assert (today["accepted"], today["duplicates"], today["conflicting_duplicates"]) == (1, 2, 1)
    # Two without an agent and two without a time, and one that is expired.
    assert today["rejected"] == 5
    assert found["agent_usage_events", None, "2026-03-01"]["rejected"] == 2


@pytest.mark.parametrize("tz", ZONES)
@pytest.mark.parametrize("customer", [1, 2, 3])
def test_each_customer_sees_what_came_of_its_rows(
    delivered: Installation, everything: Path, customer: int, tz: str
) -> None:
    """The body of the recount, to the letter, in zones on either side of UTC."""
    now = datetime.fromisoformat(NOW)
    params = {"days": "12", "tz": tz}
    with delivered.client() as client:
        answer = client.get("/api/stats/data-quality", params=params,
                            headers={"X-API-Key": delivered.key(customer)})  # fmt: skip
    truth = recount(everything, now)
    assert json.dumps(answer.json()) == json.dumps(data_quality(truth, customer, params, now))


def test_a_full_refresh_gives_the_same_counts(delivered: Installation) -> None:
    """The counts are in the lake: nothing is lost with the warehouse."""
    before = delivered.fingerprints()
    delivered.settings.warehouse.unlink()
    delivered.run()
    assert delivered.last_run()["full_refresh"] is True
    assert delivered.fingerprints() == before


def test_the_published_file_says_when_it_was_recounted(installation: Installation) -> None:
    """A run that builds everything recounts, as a nightly one does; one that builds a date not."""
    installation.built_ahead = False

    def recounted_at(now: str, job: str) -> str:
        installation.set_clock(now)
        installation.drop("agent_usage_events", f"{now[:10]}-{job}.ndjson", [
            usage_event(int(now[8:10]), occurred_at="2026-02-28T10:00:00Z")
        ])  # fmt: skip
        installation.run(job)
        (info,) = installation.marts("select recounted_at from marts.snapshot_info")
        return str(info["recounted_at"])

    assert recounted_at("2026-03-01T12:00:00Z", "hourly") == "2026-03-01 12:00:00"
    assert recounted_at("2026-03-02T12:00:00Z", "hourly") == "2026-03-01 12:00:00"
    assert recounted_at("2026-03-03T03:00:00Z", "nightly") == "2026-03-03 03:00:00"


def test_an_id_on_two_dates_is_reported_and_fails_nothing(installation: Installation) -> None:
    """It is named, with its dates, and counted at each date but the first."""
    for number, day in enumerate(("27", "28", "28"), start=1):
        installation.drop(
            "feedback_events",
            f"{number}.ndjson",
            [rating(1, occurred_at=f"2026-02-{day}T08:00:00Z", rating=number), rating(2)],
        )
        installation.drop("feedback_events", f"{number}-other.ndjson", [rating(1, customer_id=2)])
    installation.run()
    installation.run("nightly")
    assert installation.last_run()["ids_on_two_dates"] == 1
    counted = installation.marts(
        "select customer_id, cast(occurred_date as varchar) as day, ids_on_two_dates as n "
        "from marts.reconciliation where ids_on_two_dates > 0"
    )
    assert counted == [{"customer_id": 1, "day": "2026-02-28", "n": 1}]
    with installation.ledger() as ledger:
        proof = reconcile(installation.settings, ledger)
    assert proof.adds_up
    (named,) = proof.on_two_dates
    assert (named.stream, named.customer_id, named.id) == ("feedback_events", 1, "feedback-1")
    assert named.occurred_dates == "2026-02-27, 2026-02-28"


def test_each_kind_of_difference_fails_the_run_before_it_publishes(
    installation: Installation,
) -> None:
    """Lost events, lost counts, and marts that were changed: each is named."""
    installation.drop("agent_usage_events", "1.ndjson", [usage_event(1), usage_event(2)])
    installation.drop("feedback_events", "1.ndjson", [rating(1), rating(2, rating=0)])
    installation.run()
    snapshot = current_snapshot(installation.settings.snapshots)
    lake = installation.settings.lake

    with duckdb.connect(str(installation.settings.warehouse)) as warehouse:
        warehouse.execute("delete from marts.feedback_quarter_hourly")
        warehouse.execute("update marts.agent_daily set output_tokens = output_tokens + 1")
    with installation.ledger() as ledger:
        (path,) = ledger.lake_paths_of("agent_usage_events")
        (rated,) = ledger.lake_paths_of("feedback_events")
        content = (lake / path).read_bytes()
        duckdb.connect().execute(
            f"copy (select * replace (101 as input_tokens) from '{lake / path}' "
            f"where event_id = 'event-1') to '{lake / path}'"
        )
        # As if it had been landed so: with other bytes than the ledger's it would not be read.
        select = "select sha256, bytes, path from lake_file where path = ?"
        recorded = tuple(ledger._connection.execute(select, (path,)).fetchone())
        update = "update lake_file set sha256 = ?, bytes = ? where path = ?"
        less = (lake / path).read_bytes()
        ledger._connection.execute(update, (hashlib.sha256(less).hexdigest(), len(less), path))
        ledger._connection.execute(
            "update lake_file set folder = 'elsewhere' "
            "where folder = 'delivery_counts' and path like '%feedback%'"
        )
        proof = reconcile(installation.settings, ledger)
    found = {
        each.stream: (each.delivered, each.accepted, each.in_lake, each.in_marts)
        for each in proof.differences
    }
    assert found == {
        "agent_usage_events": (2, 2, 1, 2),
        "feedback_events": (0, 0, 1, 0),
    }
    # Delivered, in the lake, and in the marts: in one of those alone, too.
    usage, ratings = "agent_usage_events", "feedback_events"
    assert {
        (each.stream, each.measure): (
            each.written,
            each.in_lake,
            each.in_marts,
            each.mart_that_differs,
            each.files,
        )
        for each in proof.sum_differences
    } == {
        (usage, "rows"): (2, 1, 2, "usage_quarter_hourly", path),
        (usage, "input_tokens"): (200, 101, 200, "usage_quarter_hourly", path),
        (usage, "output_tokens"): (20, 10, 20, "usage_quarter_hourly", path),
        (usage, "response_time_ms"): (3000, 1500, 3000, "usage_quarter_hourly", path),
        (ratings, "rows"): (0, 1, 0, "feedback_quarter_hourly", rated),
        (ratings, "rating"): (0, 4, 0, "feedback_quarter_hourly", rated),
    }
    assert {each.problem for each in proof.file_differences} == {
        "1 accepted by the ledger, 0 by customer and date",
        "1 rejected by the ledger, 0 by customer and date",
    }

    outcome = installation.try_run("nightly")
    assert not outcome.succeeded
    assert outcome.problem is not None and "do not add up" in outcome.problem
    assert current_snapshot(installation.settings.snapshots) == snapshot

    # Mended, it adds up again.
    (lake / path).write_bytes(content)
    with installation.ledger() as ledger:
        ledger._connection.execute(update, recorded)
        ledger._connection.execute(
            "update lake_file set folder = 'delivery_counts' where folder = 'elsewhere'"
        )
    installation.run(full_refresh=True)
    installation.run("nightly")
