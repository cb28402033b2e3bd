"""What a run publishes without is named: at its end, in `status`, by an alert, in Dagster."""

from __future__ import annotations

from dagster import AssetCheckKey, AssetKey, DagsterInstance

from dagster_daemon.services import receiver
from installation import Installation, rating, usage_event
from orchestration import pipeline
from orchestration.cli.proof import one_line_of
from orchestration.clock.assets import NOTHING_SET_ASIDE
from orchestration.monitoring.problems import streams_rejected
from orchestration.monitoring.status import gather

STREAM = "agent_usage_events"


def bad_events(first: int, count: int) -> list[dict[str, object]]:
    return [usage_event(number, input_tokens=-1) for number in range(first, first + count)]


def good_events(first: int, count: int) -> list[dict[str, object]]:
    return [usage_event(number) for number in range(first, first + count)]


def test_a_run_that_sets_something_aside_publishes_all_else_and_names_it(
    installation: Installation,
) -> None:
    """The next run, with nothing to set aside, says nothing of it; `status` still does."""
    installation.drop(STREAM, "good.ndjson", good_events(0, 3))
    installation.drop_bytes(STREAM, "broken.parquet", b"no")
    installation.drop("feedback_events", "all.ndjson", [rating(1, rating=9)])
    with receiver() as hook:
        installation.environment.setenv("AGENTSTATS_FAILURE_WEBHOOK_URL", hook.address)
        outcome = installation.run(in_dagster=True)
        again = installation.run(in_dagster=True)
    assert outcome.succeeded and again.set_aside == []
    broken, rejected = outcome.set_aside
    assert broken.startswith(f"{STREAM}/broken.parquet was set aside: cannot be read as parquet")
    assert rejected.startswith("1 of 1 rows of feedback_events were rejected (100.0%)")
    (alert,) = hook.posted
    assert (alert["event"], alert["job"]) == ("set_aside", "hourly")
    assert broken in alert["problem"] and rejected in alert["problem"]
    assert installation.marts("select sum(message_count) as n from marts.customer_daily") == [
        {"n": 3}
    ]
    status = gather(installation.settings)
    assert [file.path for file in status.set_aside] == [f"{STREAM}/broken.parquet"]
    assert [stream.rejected_share for stream in status.streams] == [0, 1]
    with DagsterInstance.from_config(str(installation.settings.dagster_home)) as instance:
        checks = instance.event_log_storage.get_asset_check_execution_history(
            check_key=_check_key(), limit=2
        )
        passed = [check.event.dagster_event.asset_check_evaluation_data.passed for check in checks]  # type: ignore[union-attr]  # each has its event
    assert passed == [True, False]


def test_a_share_of_rejected_rows_is_reported_where_it_says_something(
    installation: Installation,
) -> None:
    """From a hundred rows on, or where nothing else came; what expired is on neither side."""
    reported = []
    for name, rows in {
        "few.ndjson": [*good_events(0, 10), *bad_events(10, 99)],
        "share.ndjson": [*good_events(200, 400), *bad_events(600, 100)],
        "much.ndjson": [*good_events(1000, 399), *bad_events(1400, 100)],
        "all.ndjson": bad_events(2000, 1),
        "expired.ndjson": [
            usage_event(3000, customer_id=2),
            *(
                usage_event(number, customer_id=2, occurred_at="2025-01-01T00:00:00Z")
                for number in range(3001, 3200)
            ),
        ],
    }.items():
        if name == "few.ndjson":
            row = {"customer_id": 2, "tier": "free", "updated_at": "2026-01-01T00:00:00Z"}
            installation.drop("customers", "a.ndjson", [row])
        installation.drop(STREAM, name, rows)
        with installation.ledger() as ledger:
            loads = pipeline.land(installation.settings, ledger)
        reported += [name] if streams_rejected(installation.settings, loads) else []
    assert reported == ["much.ndjson", "all.ndjson"]
    assert installation.loads()[f"{STREAM}/expired.ndjson"].rejected_by_reason == {"expired": 199}


def test_status_says_in_a_line_why_a_run_failed(installation: Installation) -> None:
    """That of the step that failed, in no more than 80 columns; JSON has all of it."""
    installation.drop(STREAM, "a.ndjson", good_events(0, 10))
    installation.run()
    installation.set_clock("2036-03-01T03:00:00Z")
    installation.drop("customers", "a.ndjson", [{"customer_id": 1, "tier": "free"}])
    installation.run()
    assert not installation.try_run("nightly").succeeded
    newest, *_ = gather(installation.settings).runs
    assert "10 of 11 rows" in str(newest.detail["failure"])
    line = one_line_of(newest)
    assert line.startswith("2036-03-01 03:00 nightly failed: nothing was deleted: 10 of 11")
    assert len(line) == 80


def _check_key() -> AssetCheckKey:
    return AssetCheckKey(AssetKey("snapshot"), NOTHING_SET_ASIDE)
