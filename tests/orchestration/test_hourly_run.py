"""The hourly run: what it rebuilds, what it leaves alone, and that it can always be run again."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import date
from pathlib import Path

import duckdb
import pytest

from first_run import FirstRun
from installation import Installation, rating, scan, usage_event
from orchestration import pipeline
from orchestration.publication.publish import current_snapshot
from orchestration.warehouse import rollups

DAYS = ("2026-02-26", "2026-02-27", "2026-02-28")


def drop_three_days(installation: Installation) -> None:
    """Every stream, on three dates, and names."""
    number = 0
    for day in DAYS:
        for hour in (0, 8, 23):
            number += 1
            at = f"{day}T{hour:02d}:59:59Z"
            name = f"{number:02d}.ndjson"
            installation.drop(
                "agent_usage_events",
                name,
                [usage_event(number, occurred_at=at), usage_event(-number, occurred_at=at)],
            )
            installation.drop("audit_events", name, [scan(number, occurred_at=at)])
            installation.drop("feedback_events", name, [rating(number, occurred_at=at)])
    installation.drop("agents", "a.csv", [{"agent_id": 11, "customer_id": 1, "agent_type_id": 5}])
    installation.drop("customers", "c.csv", [{"customer_id": 1, "tier": "pro"}])


def daily(installation: Installation) -> dict[str, int]:
    """Messages by date in the published customer_daily."""
    rows = installation.marts("select occurred_date, message_count from marts.customer_daily")
    return {row["occurred_date"].isoformat(): row["message_count"] for row in rows}


def test_running_again_at_once_touches_no_date_and_changes_no_row(
    installation: Installation,
    first_run: FirstRun,
) -> None:
    """Twice is the same: no dbt, no new snapshot, not one row different."""
    first_run(installation, drop_three_days)
    assert daily(installation) == dict.fromkeys(DAYS, 6)
    before, snapshot = (
        installation.fingerprints(),
        current_snapshot(installation.settings.snapshots),
    )

    installation.run()

    assert installation.last_run()["marts_changed"] is False
    assert installation.last_run()["dates_rebuilt"] == {}
    assert installation.fingerprints() == before
    assert current_snapshot(installation.settings.snapshots) == snapshot


def test_a_late_event_rebuilds_its_own_date_and_no_other(
    installation: Installation, first_run: FirstRun
) -> None:
    """Late arrives: in its own date and quarter hour, as if it had always been there."""
    first_run(installation, drop_three_days)
    with rollups.open_warehouse(installation.settings) as warehouse:
        # A mark on another date's row, which only a rebuild of that date would remove.
        warehouse.execute(
            "update marts.customer_daily set message_count = 1000 where occurred_date = $1",
            [DAYS[2]],
        )
    installation.drop(
        "agent_usage_events", "late.csv", [usage_event(77, occurred_at=f"{DAYS[0]}T23:59:59.9Z")]
    )

    installation.run()

    # Scans of the date may take their model from the response.
    assert installation.last_run()["dates_rebuilt"] == {
        "agent_usage_events": 1,
        "audit_events": 1,
        "delivery_counts": 1,
    }
    with rollups.open_warehouse(installation.settings) as warehouse:
        rebuilt = warehouse.execute(
            "select cast(occurred_date as varchar), message_count from marts.customer_daily"
        ).fetchall()
    assert dict(rebuilt) == {DAYS[0]: 7, DAYS[1]: 6, DAYS[2]: 1000}
    # Nor is another date published anew.
    assert daily(installation) == {DAYS[0]: 7, DAYS[1]: 6, DAYS[2]: 6}


def test_a_late_response_gives_its_scan_a_model(installation: Installation) -> None:
    """The scan came a run earlier, and its date is rebuilt though no scan arrived since."""
    installation.drop("audit_events", "early.ndjson", [scan(5, event_id="event-5")])
    installation.run()
    models = "select distinct model from marts.compliance_daily"
    assert installation.marts(models) == [{"model": "unknown"}]

    installation.drop("agent_usage_events", "late.ndjson", [usage_event(5, model_used="m")])
    installation.run()

    assert installation.marts(models) == [{"model": "m"}]


def test_any_order_of_arrival_gives_the_same_marts_as_one_rebuild(
    installation: Installation, tmp_path: Path
) -> None:
    """File by file, backwards, with a repeat and a conflict, against all at once."""
    drop_three_days(installation)
    conflict = usage_event(
        1, output_tokens=77, occurred_at=f"{DAYS[0]}T00:59:59Z", received_at="2026-03-01T09:00:00Z"
    )
    installation.drop("agent_usage_events", "99.ndjson", [conflict])
    installation.run()
    expected = installation.fingerprints()
    files = {
        path.relative_to(installation.home / "landing/_loaded"): path.read_bytes()
        for path in (installation.home / "landing/_loaded").rglob("*.*")
    }

    slow = Installation(tmp_path / "slow", installation.environment, installation.now)
    for group in range(4):
        for number, (name, content) in enumerate(sorted(files.items(), reverse=True)):
            if number % 4 == group:
                slow.drop_bytes(name.parts[0], "/".join(name.parts[1:]), content)
        slow.run()
    assert slow.fingerprints() == expected
    slow.run(full_refresh=True)
    assert slow.fingerprints() == expected


def test_a_date_whose_events_are_all_gone_is_empty(
    installation: Installation, first_run: FirstRun
) -> None:
    """Emptied is empty: in every mart of the stream, quarter-hourly and daily."""
    first_run(installation, drop_three_days)
    with installation.ledger() as ledger:
        # As when retention drops a date's folder: the files go, and the date counts as touched.
        for folder in (
            *("agent_usage_events", "audit_events", "feedback_events"),
            "delivery_counts",
        ):
            paths = ledger.lake_paths_of(folder, [date.fromisoformat(DAYS[1])])
            for path in paths:
                (installation.settings.lake / path).unlink()
        ledger._connection.execute("delete from lake_file where occurred_date = ?", [DAYS[1]])
        ledger._connection.execute(
            "insert into touch (stream, occurred_date, touch_id) "
            "select distinct stream, occurred_date, 'gone' from touch where occurred_date = ?",
            [DAYS[1]],
        )

    installation.run()

    for mart in ("usage_quarter_hourly", "customer_daily", "agent_daily", "model_daily",
                 "agent_type_model_daily", "compliance_quarter_hourly", "compliance_daily",
                 "pii_quarter_hourly", "pii_daily", "feedback_quarter_hourly",
                 "load_bucket_daily", "delivery_quarter_hourly"):  # fmt: skip
        rows = installation.marts(f"select distinct occurred_date from marts.{mart}")
        assert {row["occurred_date"].isoformat() for row in rows} == {DAYS[0], DAYS[2]}, mart


def test_nothing_is_published_when_a_data_test_fails(
    installation: Installation, first_run: FirstRun
) -> None:
    """Readers keep the last good snapshot, the run fails and says which test, and is repeated."""
    first_run(installation, drop_three_days)
    snapshot = current_snapshot(installation.settings.snapshots)
    # An event that landing would never let through, in a file that was rolled up when it was good:
    # so no newer load is to blame.
    with installation.ledger() as ledger:
        path = ledger.lake_paths_of("agent_usage_events", [date(2026, 2, 28)])[0]
    file = installation.settings.lake / path
    duckdb.connect().execute(
        "copy (select * replace (-5 as output_tokens, cast(null as bigint) as response_time_ms) "
        f"from read_parquet('{file}')) to '{file}' (format parquet)"
    )
    with closing(sqlite3.connect(installation.settings.ledger_path)) as connection, connection:
        connection.execute(
            "update lake_file set sha256 = ?, bytes = ? where path = ?",
            (hashlib.sha256(file.read_bytes()).hexdigest(), file.stat().st_size, path),
        )
    installation.drop(
        "agent_usage_events", "late.ndjson", [usage_event(99, occurred_at="2026-02-28T09:00:00Z")]
    )

    outcome = installation.try_run()

    assert not outcome.succeeded
    assert outcome.problem is not None and "no_part_exceeds_its_whole" in outcome.problem
    assert current_snapshot(installation.settings.snapshots) == snapshot
    with installation.ledger() as ledger:
        assert ledger.runs(1)[0].status == "failed"
    assert not installation.try_run().succeeded


def test_a_changed_threshold_rebuilds_every_mart(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a setting decides is the same for all dates, old and new."""
    installation.drop("audit_events", "a.ndjson", [scan(1, toxicity_score=0.4)])
    installation.run()
    toxic = "select sum(toxic_messages) as n from marts.compliance_daily"
    assert installation.marts(toxic) == [{"n": 0}]
    monkeypatch.setenv("AGENTSTATS_TOXICITY_THRESHOLD", "0.4")
    installation.run()
    assert installation.last_run()["full_refresh"] is True
    assert installation.marts(toxic) == [{"n": 1}]


def test_a_file_of_bad_rows_only_is_published_in_the_ledger(installation: Installation) -> None:
    """No date of a stream is touched, and yet the customer's rejected rows are on record."""
    installation.drop("agent_usage_events", "a.ndjson", [usage_event(1)])
    installation.run()
    installation.drop("agent_usage_events", "b.ndjson", [usage_event(2, input_tokens=-1)])
    installation.run()
    assert installation.last_run()["dates_rebuilt"] == {"delivery_counts": 1}
    rows = installation.marts(
        "select source_file, rows_read, accepted, duplicates, rejected, dates_touched, "
        "rejected_by_reason from marts.load_ledger order by source_file"
    )
    assert rows[1] == {
        "source_file": "agent_usage_events/b.ndjson",
        "rows_read": 1,
        "accepted": 0,
        "duplicates": 0,
        "rejected": 1,
        "dates_touched": [],
        "rejected_by_reason": {"invalid_input_tokens": 1},
    }


def test_a_warehouse_that_cannot_be_opened_is_rebuilt_from_the_lake(
    installation: Installation,
    first_run: FirstRun,
) -> None:
    """It is set aside, not deleted; the marts come out the same."""
    first_run(installation, drop_three_days)
    before = installation.fingerprints()
    installation.settings.warehouse.write_bytes(b"this was a database once")
    installation.run()
    assert installation.fingerprints() == before
    assert installation.settings.warehouse.with_name("warehouse.duckdb.broken").exists()


def test_a_warehouse_without_its_end_is_rebuilt_from_the_lake(
    installation: Installation, first_run: FirstRun
) -> None:
    """DuckDB opens it; what is missing shows only when the roll-up comes to read it."""
    first_run(installation, drop_three_days)
    warehouse = installation.settings.warehouse
    os.truncate(warehouse, warehouse.stat().st_size // 3)
    installation.drop("agent_usage_events", "late.ndjson", [usage_event(901)])
    installation.run()
    assert warehouse.with_name("warehouse.duckdb.broken").exists()
    rebuilt = installation.fingerprints()
    installation.run(full_refresh=True)
    assert installation.fingerprints() == rebuilt


def test_a_warehouse_that_is_gone_since_the_roll_up_is_not_published(
    installation: Installation,
    first_run: FirstRun,
) -> None:
    """The snapshot before it is served on."""
    first_run(installation, drop_three_days)
    served = current_snapshot(installation.settings.snapshots)
    installation.settings.warehouse.unlink()
    with (
        installation.ledger() as ledger,
        pytest.raises(rollups.WarehouseUnusable, match="no marts"),
    ):
        pipeline.publish_if_changed(installation.settings, ledger, run_id="r")
    assert current_snapshot(installation.settings.snapshots) == served


def test_a_name_that_changes_later_is_shown_for_old_events_too(installation: Installation) -> None:
    """The greatest updated_at wins, in whatever order the names came."""
    agent = {"agent_id": 11, "customer_id": 1, "agent_type_id": 5}
    installation.drop("agent_usage_events", "a.ndjson", [usage_event(1)])
    installation.drop(
        "agents", "new.csv", [{**agent, "agent_name": "New", "updated_at": "2026-02-01"}]
    )
    installation.run()
    installation.drop(
        "agents", "old.csv", [{**agent, "agent_name": "Old", "updated_at": "2026-01-01"}]
    )
    installation.run()
    query = "select agent_name from marts.agents"
    assert installation.marts(query) == [{"agent_name": "New"}]
    installation.drop(
        "agents", "newest.csv", [{**agent, "agent_name": "Newest", "updated_at": "2026-02-02"}]
    )
    installation.run()
    assert installation.marts(query) == [{"agent_name": "Newest"}]


def test_the_nightly_run_recounts_and_clears_the_archive(
    installation: Installation, first_run: FirstRun
) -> None:
    """A landed file goes once its load is verified in the lake; a difference stops the run."""
    first_run(installation, drop_three_days)
    archive = installation.home / "landing/_loaded"
    assert [path for path in archive.rglob("*") if path.is_file()]
    installation.run("nightly")
    assert not [path for path in archive.rglob("*") if path.is_file()]
    rows = installation.marts(
        "select stream, sum(accepted) as n from marts.reconciliation group by 1 order by 1"
    )
    assert [row["n"] for row in rows] == [18, 9, 9]

    snapshot = current_snapshot(installation.settings.snapshots)
    with rollups.open_warehouse(installation.settings) as warehouse:
        warehouse.execute(
            "delete from marts.usage_quarter_hourly where occurred_date = '2026-02-27'"
        )
    outcome = installation.try_run("nightly")
    assert not outcome.succeeded
    assert outcome.problem is not None and "do not add up" in outcome.problem
    assert current_snapshot(installation.settings.snapshots) == snapshot


def test_an_archived_file_that_the_ledger_does_not_know_is_landed_again(
    installation: Installation,
) -> None:
    """As after a restored ledger: what is in it is neither lost nor kept for ever."""
    installation.drop("agent_usage_events", "a.ndjson", [usage_event(1)])
    installation.run()
    archived = installation.home / "landing/_loaded/agent_usage_events/deep/lost.ndjson"
    installation.drop("agent_usage_events", "lost.ndjson", [usage_event(1), usage_event(2)])
    archived.parent.mkdir(parents=True)
    (installation.home / "landing/agent_usage_events/lost.ndjson").rename(archived)
    installation.run("nightly")
    assert not archived.exists()
    installation.run()
    load = installation.loads()["agent_usage_events/deep/lost.ndjson"]
    assert (load.accepted, load.duplicates) == (1, 1)


def test_a_file_whose_lake_files_were_damaged_stays_in_the_archive(
    installation: Installation,
) -> None:
    """The only good copy is not thrown away."""
    installation.drop("agent_usage_events", "a.ndjson", [usage_event(1)])
    with installation.ledger() as ledger:
        pipeline.land(installation.settings, ledger)
        (path,) = installation.settings.lake.glob("agent_usage_events/*/*.parquet")
        path.write_bytes(path.read_bytes()[:-1] + b"?")
        assert pipeline.clear_archive(installation.settings, ledger) == []
    assert (installation.home / "landing/_loaded/agent_usage_events/a.ndjson").exists()


def test_the_snapshot_says_what_it_is(installation: Installation) -> None:
    """Id, age, newest load and versions; old snapshots are unlinked, the pointer is right."""
    for number in range(5):
        installation.drop("feedback_events", f"{number}.ndjson", [rating(number)])
        installation.run()
    snapshots = installation.settings.snapshots
    files = list(snapshots.glob("*/agentstats.duckdb"))
    assert len(files) == installation.settings.snapshots_kept
    current = current_snapshot(snapshots)
    assert current is not None
    for link in ("agentstats.duckdb", "marts.duckdb"):
        assert (snapshots / link).resolve() == current.resolve()
    (info,) = installation.marts("select * from marts.snapshot_info")
    assert (snapshots / "CURRENT").read_text() == f"{info['snapshot_id']}/agentstats.duckdb\n"
    assert info["data_as_of"].isoformat() == "2026-03-01T12:00:00"
    assert not list(snapshots.glob(".*"))


def test_a_warehouse_that_is_open_elsewhere_is_named(installation: Installation) -> None:
    """In words of ours that say what to do, not only in those of the database's lock."""
    installation.drop("agent_usage_events", "a.ndjson", [usage_event(1)])
    installation.run()
    installation.drop("agent_usage_events", "b.ndjson", [usage_event(2)])
    code = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print(1, flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(installation.settings.warehouse)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        assert other.stdin and other.stdout and other.stdout.readline()
        outcome = installation.try_run()
        other.stdin.close()
    assert not outcome.succeeded
    assert "is open in another program, which must close it first" in str(outcome.problem)
    installation.run()
    assert installation.marts("select sum(message_count) as n from marts.customer_daily") == [
        {"n": 2}
    ]
