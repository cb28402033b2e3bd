"""The nightly job deletes what is past its retention, all of it, everywhere, and nothing else."""

from __future__ import annotations

import gzip
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from installation import Installation, rating, scan, usage_event, utc
from orchestration import pipeline
from orchestration.monitoring.status import gather
from orchestration.publication.export import export
from orchestration.retention.leftovers import remove_failed_files
from retention.searching import files_that_hold

FIRST_DAY = "2026-03-01T09:00:00Z"
# A free customer's rows of 1 March are past their 7 days from 9 March on.
EIGHT_DAYS_LATER = "2026-03-09T03:00:00Z"


@pytest.fixture
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installation:
    """A free customer, 1, and a pro one, 2; the guard allows everything."""
    installed = Installation(tmp_path / "home", monkeypatch, FIRST_DAY)
    monkeypatch.setenv("AGENTSTATS_RETENTION_MAX_DELETE_FRACTION", "1")
    installed.drop("customers", "customers.csv", [customer(1, "free"), customer(2, "pro")])
    return installed


def customer(customer_id: int, tier: str, **changes: Any) -> dict[str, Any]:
    return {
        "customer_id": customer_id,
        "customer_name": f"Customer {customer_id}",
        "tier": tier,
        "retention_days": None,
        "updated_at": "2026-01-01T00:00:00Z",
        **changes,
    }


def needle(number: int, what: str) -> str:
    return f"needle{what}{number}x"


def needles_of_events(number: int) -> list[str]:
    """Every text that `drop_needles` hides in events and rejected rows of one customer."""
    return [
        needle(number, what)
        for what in (
            *("event", "model", "audit", "scanned", "entity", "feedback"),
            *("rejected", "zipped", "broken", "unknownvalue"),
        )
    ]


def drop_needles(installation: Installation, number: int, occurred_at: str) -> None:
    """A unique text in each text field of each stream, in good rows and in bad ones."""
    at = {"customer_id": number, "occurred_at": occurred_at, "received_at": occurred_at}
    installation.drop(
        "agent_usage_events",
        f"usage-{number}.parquet",
        [
            usage_event(
                1,
                **at,
                event_id=needle(number, "event"),
                model_used=needle(number, "model"),
                remark=needle(number, "unknownvalue"),
            )
        ],
    )
    installation.drop(
        "agent_usage_events",
        f"bad-{number}.csv",
        [usage_event(2, **at, model_used=needle(number, "rejected"), input_tokens="-1")],
    )
    installation.drop(
        "agent_usage_events",
        f"zipped-{number}.ndjson.gz",
        [usage_event(3, **at, event_id=needle(number, "zipped"))],
    )
    installation.drop(
        "audit_events",
        f"scans-{number}.ndjson",
        [
            scan(
                1,
                **at,
                audit_id=needle(number, "audit"),
                event_id=needle(number, "scanned"),
                pii_redactions={needle(number, "entity"): 2},
            )
        ],
    )
    installation.drop(
        "feedback_events",
        f"ratings-{number}.csv",
        [rating(1, **at, feedback_id=needle(number, "feedback"))],
    )
    broken = installation.drop_bytes(
        "feedback_events", f"broken-{number}.csv", needle(number, "broken").encode() + b",1,5\n"
    )
    when = utc(occurred_at).timestamp()
    os.utime(broken, (when, when))


def test_no_file_holds_a_byte_of_what_expired(installation: Installation) -> None:
    """Every text of the free customer's events is gone from every file; the other's are there."""
    drop_needles(installation, 1, "2026-03-01T08:00:00Z")
    drop_needles(installation, 2, "2026-03-01T08:00:00Z")
    installation.drop(
        "agent_usage_events",
        "half.parquet",
        [
            usage_event(10, event_id=needle(1, "half")),
            usage_event(11, customer_id=2, event_id=needle(2, "half")),
        ],
    )
    expired = [*needles_of_events(1), needle(1, "half")]
    installation.run()
    export(installation.settings, installation.home / "exports" / "all")
    broken = installation.home / "warehouse.duckdb.broken"
    broken.write_bytes((installation.home / "warehouse.duckdb").read_bytes())
    assert set(expired) <= {
        text for texts in files_that_hold(installation.home, expired).values() for text in texts
    }

    installation.set_clock(EIGHT_DAYS_LATER)
    installation.run("nightly")

    assert files_that_hold(installation.home, expired) == {}
    ids = {row["event_id"] for row in installation.lake("agent_usage_events")}
    assert ids == {needle(2, "event"), needle(2, "zipped"), needle(2, "half")}
    assert installation.marts(
        "select customer_id, sum(message_count)::int as messages from marts.customer_daily "
        "group by 1"
    ) == [{"customer_id": 2, "messages": 3}]
    # Names outlive events.
    assert installation.marts("select count(*) as n from marts.customers") == [{"n": 2}]


def test_the_ledger_says_what_went(installation: Installation) -> None:
    """Counts, cutoff and range of each table that rows went from, and nothing of what they said."""
    drop_needles(installation, 1, "2026-03-01T08:00:00Z")
    installation.run()
    installation.set_clock(EIGHT_DAYS_LATER)
    installation.run("nightly")
    rows = installation.marts(
        "select customer_id, table_name, cause, cutoff, rows_deleted, oldest_deleted, "
        "newest_deleted, deleted_at from marts.retention_ledger order by table_name"
    )
    common = {
        "customer_id": 1,
        "cause": "retention",
        "cutoff": datetime(2026, 3, 2),
        "oldest_deleted": datetime(2026, 3, 1, 8),
        "newest_deleted": datetime(2026, 3, 1, 8),
        "deleted_at": datetime(2026, 3, 9, 3),
    }
    assert rows == [
        {**common, "table_name": "agent_usage_events", "rows_deleted": 2},
        {**common, "table_name": "audit_events", "rows_deleted": 1},
        {**common, "table_name": "delivery_counts", "rows_deleted": 5},
        {**common, "table_name": "feedback_events", "rows_deleted": 1},
        {**common, "table_name": "rejected_rows", "rows_deleted": 1},
    ]


def test_a_second_run_deletes_nothing(installation: Installation) -> None:
    """The run after the deletion changes neither ledger nor snapshot."""
    drop_needles(installation, 1, "2026-03-01T08:00:00Z")
    installation.run()
    installation.set_clock(EIGHT_DAYS_LATER)
    installation.run("nightly")
    before = installation.marts("select * from marts.retention_ledger order by all")
    installation.run("nightly")
    assert installation.last_run()["rows_deleted"] == 0
    assert installation.last_run()["warehouse_rewritten"] is False
    assert installation.marts("select * from marts.retention_ledger order by all") == before


def test_the_ledger_survives_a_rebuild(installation: Installation) -> None:
    """A warehouse that was lost is rebuilt with the same marts and the same retention ledger."""
    drop_needles(installation, 1, "2026-03-01T08:00:00Z")
    drop_needles(installation, 2, "2026-03-01T08:00:00Z")
    installation.run()
    installation.set_clock(EIGHT_DAYS_LATER)
    installation.run("nightly")
    before = installation.fingerprints()
    installation.settings.warehouse.unlink()
    installation.run()
    assert installation.fingerprints() == before


def test_snapshots_that_hold_the_deleted_are_unlinked(installation: Installation) -> None:
    """Only the one published after the deletion is left, however many may be kept."""
    drop_needles(installation, 1, "2026-03-01T08:00:00Z")
    installation.run()
    drop_needles(installation, 2, "2026-03-01T08:00:00Z")
    installation.run()
    snapshots = installation.settings.snapshots
    assert len(list(snapshots.glob("*/"))) == 2
    installation.set_clock(EIGHT_DAYS_LATER)
    installation.run("nightly")
    (left,) = snapshots.glob("*/")
    assert (snapshots / "CURRENT").read_text() == f"{left.name}/agentstats.duckdb\n"


def test_an_invalid_policy_is_that_of_one_customer(installation: Installation) -> None:
    """Nothing of it goes or is hidden, and the run names it; of all others goes what is due."""
    changes: dict[int, dict[str, Any]] = {
        2: {"tier": "platinum"},
        3: {"tier": "enterprise", "retention_days": 0},
        4: {"tier": "enterprise", "retention_days": 2558},
    }
    newest = {"updated_at": "2026-02-01T00:00:00Z"}
    problems = {
        2: "tier 'platinum' is unknown",
        3: "retention_days 0 is not within 1 to 2557",
        4: "retention_days 2558 is not within 1 to 2557",
    }
    rows = [customer(1, "free"), *(customer(n, **newest, **each) for n, each in changes.items())]
    installation.drop("customers", "customers.ndjson", rows)
    at = {"occurred_at": "2026-03-01T08:00:00Z"}
    events = [usage_event(number, customer_id=number, **at) for number in range(1, 5)]
    installation.drop("agent_usage_events", "a.ndjson", events)
    for job, now in (("hourly", installation.now), ("nightly", EIGHT_DAYS_LATER)):
        installation.set_clock(now)
        outcome = installation.run(job)
        for line, (number, problem) in zip(outcome.set_aside, problems.items(), strict=True):
            assert f"nothing of customer {number} is deleted, because its {problem}" in line
    left = sorted(row["customer_id"] for row in installation.lake("agent_usage_events"))
    assert left == [2, 3, 4]
    status = gather(installation.settings)
    assert sorted(status.invalid_policies) == [2, 3, 4]
    assert all(problem in status.invalid_policies[number] for number, problem in problems.items())
    # Late, and as old as can be: of these customers nothing expires.
    late = [
        usage_event(n + 10, customer_id=n, occurred_at="2020-01-01T08:00:00Z") for n in problems
    ]
    installation.drop("agent_usage_events", "late.ndjson", late)
    assert installation.run().set_aside == []
    with installation.client() as client:
        headers = {"X-API-Key": installation.key(2)}
        answer = client.get("/api/stats/usage/summary?days=2557", headers=headers)
        assert answer.json()["total_messages"] == 2
    # Once it is valid, it applies.
    valid = customer(2, "free", updated_at="2026-03-02T00:00:00Z")
    installation.drop("customers", "again.ndjson", [valid])
    installation.run()
    assert len(installation.run("nightly").set_aside) == 2
    assert sorted(row["customer_id"] for row in installation.lake("agent_usage_events")) == [
        *(3, 3),
        *(4, 4),
    ]


def test_a_file_that_is_named_like_a_reason_is_deleted_like_any_other(
    installation: Installation,
) -> None:
    """Beside the file whose reason it would be, and without; neither takes the other's place."""
    names = ("export.csv.reason.txt", "export.csv", "old.csv.reason.txt")
    for name in names:
        path = installation.drop_bytes("agent_usage_events", name, b"needle")
        os.utime(path, (0, 0))
    with installation.ledger() as ledger:
        pipeline.land(installation.settings, ledger)
    assert len(gather(installation.settings).set_aside) == 3
    failed = installation.settings.landing / "_failed"
    contents = [path.read_bytes() for path in failed.rglob("*") if path.is_file()]
    assert contents.count(b"needle") == 3
    # What is left of a file that somebody has mended and taken away.
    (failed / "agent_usage_events" / "mended.csv.reason.txt").write_text("why")
    assert len(gather(installation.settings).set_aside) == 3
    remove_failed_files(installation.settings, datetime(2026, 1, 1, tzinfo=UTC))
    assert [path.name for path in failed.rglob("*") if path.is_file()] == ["mended.csv.reason.txt"]
    remove_failed_files(installation.settings, datetime(2999, 1, 1, tzinfo=UTC))
    assert [path for path in failed.rglob("*") if path.is_file()] == []


def test_a_customer_without_a_row_keeps_everything(
    installation: Installation, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing of it is deleted, and a warning and the run's record name it."""
    drop_needles(installation, 77, "2026-03-01T08:00:00Z")
    installation.run()
    installation.set_clock("2030-03-01T03:00:00Z")
    installation.run("nightly")
    assert len(installation.lake("agent_usage_events")) == 2
    assert installation.last_run()["customers_without_policy"] == [77]
    assert "customer_without_policy" in capsys.readouterr().out


def test_more_than_the_allowed_share_stops(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock far ahead deletes nothing; the message says how much it would be and how to go on."""
    monkeypatch.setenv("AGENTSTATS_RETENTION_MAX_DELETE_FRACTION", "0.5")
    events = [usage_event(number) for number in range(10)]
    installation.drop("agent_usage_events", "a.ndjson", events)
    installation.run()
    installation.set_clock("2027-03-01T03:00:00Z")
    outcome = installation.try_run("nightly")
    assert not outcome.succeeded
    # Ten events, and two rows of customers that never expire.
    assert "10 of 12 rows (83.3%)" in str(outcome.problem)
    assert "AGENTSTATS_RETENTION_MAX_DELETE_FRACTION=1 agentstats run nightly" in str(
        outcome.problem
    )
    assert len(installation.lake("agent_usage_events")) == 10
    monkeypatch.setenv("AGENTSTATS_RETENTION_MAX_DELETE_FRACTION", "1")
    installation.run("nightly")
    assert installation.lake("agent_usage_events") == []


def test_a_damaged_lake_file_stops_the_deletion(installation: Installation) -> None:
    """A file with other bytes than were recorded is named and left as it is."""
    drop_needles(installation, 1, "2026-03-01T08:00:00Z")
    installation.run()
    (path,) = (installation.settings.lake / "audit_events").rglob("*.parquet")
    damaged = path.read_bytes()
    damaged = damaged[:40] + bytes([damaged[40] ^ 1]) + damaged[41:]
    path.write_bytes(damaged)
    installation.set_clock(EIGHT_DAYS_LATER)
    outcome = installation.try_run("nightly")
    assert not outcome.succeeded
    assert str(path) in str(outcome.problem)
    assert path.read_bytes() == damaged


def test_rejected_rows_of_no_customer_go_by_the_shortest_policy(installation: Installation) -> None:
    """A rejected row without a readable customer or time goes 7 days after it was rejected."""
    installation.drop_bytes(
        "agent_usage_events",
        "odd.ndjson",
        b'{"event_id": "a", "customer_id": "needleodd", "agent_id": 1, "agent_type_id": 1, '
        b'"input_tokens": 1, "output_tokens": 1, "occurred_at": "2026-03-01T08:00:00Z"}\n',
    )
    installation.run()
    installation.set_clock("2026-03-08T23:59:59Z")
    installation.run("nightly")
    assert len(installation.lake("rejected_rows")) == 1
    installation.set_clock("2026-03-09T00:00:00Z")
    installation.run("nightly")
    assert installation.lake("rejected_rows") == []
    assert files_that_hold(installation.home, ["needleodd"]) == {}


def test_an_archived_file_goes_once_it_holds_something_expired(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AGENTSTATS_ARCHIVE_DAYS keeps a landed file, but never past the retention of its rows."""
    monkeypatch.setenv("AGENTSTATS_ARCHIVE_DAYS", "60")
    drop_needles(installation, 1, "2026-03-01T08:00:00Z")
    drop_needles(installation, 2, "2026-03-01T08:00:00Z")
    installation.run()
    installation.set_clock(EIGHT_DAYS_LATER)
    installation.run("nightly")
    archived = {
        str(path.relative_to(installation.home / "landing" / "_loaded"))
        for path in (installation.home / "landing" / "_loaded").rglob("*")
        if path.is_file()
    }
    assert archived == {
        "customers/customers.csv",
        "agent_usage_events/usage-2.parquet",
        "agent_usage_events/bad-2.csv",
        "agent_usage_events/zipped-2.ndjson.gz",
        "audit_events/scans-2.ndjson",
        "feedback_events/ratings-2.csv",
    }
    assert files_that_hold(installation.home, needles_of_events(1)) == {}


def test_no_reason_or_log_quotes_a_row(
    installation: Installation, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file without its header is refused in words that hold nothing of its first row."""
    installation.drop_bytes("customers", "headless.csv", b"1,needlename,free,,2026-01-01\n")
    installation.drop_bytes(
        "customers", "twice.csv.gz", gzip.compress(b"customer_id,tier,needlecol,needlecol\n")
    )
    installation.run()
    (installation.home / "landing" / "_failed" / "customers" / "headless.csv").unlink()
    (installation.home / "landing" / "_failed" / "customers" / "twice.csv.gz").unlink()
    assert files_that_hold(installation.home, ["needlename", "needlecol"]) == {}
    logged = capsys.readouterr()
    assert "needle" not in logged.out + logged.err


def test_small_files_are_merged(installation: Installation) -> None:
    """Four loads of one date become one file with the same rows, sorted by customer and time."""
    for number in range(4):
        installation.drop(
            "agent_usage_events",
            f"{number}.ndjson",
            [
                usage_event(number, occurred_at=f"2026-03-01T0{8 - number}:00:00Z"),
                usage_event(number + 10, customer_id=2),
            ],
        )
        installation.run()
    before = installation.fingerprints()
    rows = installation.lake("agent_usage_events")
    installation.run("nightly")
    merged = installation.lake("agent_usage_events")
    assert len(list((installation.settings.lake / "agent_usage_events").rglob("*.parquet"))) == 1
    order = [(row["customer_id"], row["occurred_at"]) for row in merged]
    assert order == sorted(order)
    assert sorted(merged, key=str) == sorted(rows, key=str)
    installation.run("hourly", full_refresh=True)
    assert installation.fingerprints() == before


def test_the_first_and_the_last_second(installation: Installation) -> None:
    """A second before the cutoff goes, the cutoff itself and a second later stay."""
    cutoff = datetime(2026, 3, 2, tzinfo=UTC)
    installation.drop(
        "agent_usage_events",
        "edge.ndjson",
        [
            usage_event(step, occurred_at=(cutoff + timedelta(seconds=step)).isoformat())
            for step in (-1, 0, 1)
        ],
    )
    installation.set_clock("2026-03-08T12:00:00Z")
    installation.run()
    installation.set_clock("2026-03-08T23:59:59Z")
    installation.run("nightly")
    assert len(installation.lake("agent_usage_events")) == 3
    installation.set_clock("2026-03-09T00:00:00Z")
    installation.run("nightly")
    assert {row["event_id"] for row in installation.lake("agent_usage_events")} == {
        "event-0",
        "event-1",
    }
