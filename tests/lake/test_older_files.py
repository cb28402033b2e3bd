"""Lake files that were written before their stream was given some of its columns."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import duckdb
import pytest
from typer.testing import CliRunner

from installation import Installation, rating, scan, usage_event
from orchestration.cli import app

FIRST_EDITION = {
    "agent_usage_events": (
        *("event_id", "customer_id", "agent_id", "agent_type_id", "model_used", "input_tokens"),
        *("output_tokens", "is_total_mismatch", "response_time_ms", "occurred_at", "received_at"),
        *("is_repeat", "extra", "load_id"),
    ),
    "audit_events": (
        *("audit_id", "customer_id", "agent_id", "agent_type_id", "event_id", "toxicity_score"),
        *("is_toxic", "pii_redactions", "occurred_at", "received_at"),
        *("is_repeat", "extra", "load_id"),
    ),
    "feedback_events": (
        *("feedback_id", "customer_id", "agent_type_id", "agent_id", "rating"),
        *("running_instances", "occurred_at", "received_at"),
        *("is_repeat", "extra", "load_id"),
    ),
}
"""The columns that a lake file of each stream of events had at first."""


def make_older(installation: Installation) -> None:
    """Take from each lake file of events what it did not have at first; the ledger knows of it."""
    with installation.ledger() as ledger, duckdb.connect() as connection:
        for stream, columns in FIRST_EDITION.items():
            for path in ledger.lake_paths_of(stream):
                file = installation.settings.lake / path
                _rewrite(connection, str(file), columns)
                ledger._connection.execute(
                    "update lake_file set sha256 = ?, bytes = ? where path = ?",
                    (hashlib.sha256(file.read_bytes()).hexdigest(), file.stat().st_size, path),
                )
        ledger._connection.commit()


def _rewrite(connection: duckdb.DuckDBPyConnection, file: str, columns: Sequence[str]) -> None:
    connection.execute(
        f"create or replace table kept as select {', '.join(columns)} from read_parquet('{file}')"
    )
    connection.execute(f"copy kept to '{file}' (format parquet)")


@pytest.fixture
def older(installation: Installation) -> Installation:
    """Four older files of each stream of events, on one date."""
    for number in range(4):
        name = f"{number}.ndjson"
        installation.drop("agent_usage_events", name, [usage_event(number)])
        installation.drop("audit_events", name, [scan(number)])
        installation.drop("feedback_events", name, [rating(number)])
    installation.run()
    make_older(installation)
    return installation


def test_marts_are_rebuilt_from_older_files(older: Installation) -> None:
    """As an upgrade does; beside newer files of the same date, whose columns count."""
    event = usage_event(9, cache_read_input_tokens=7, input_includes_cache=True, provider="openai")
    older.drop("agent_usage_events", "new.ndjson", [event])
    older.run(full_refresh=True)
    usage = "select provider, processing, sum(message_count)::bigint as n from marts.provider_daily"
    assert older.marts(f"{usage} group by all order by n") == [
        {"provider": "openai", "processing": "standard", "n": 1},
        {"provider": "unknown", "processing": "standard", "n": 4},
    ]
    models = "select distinct model from marts.feedback_daily"
    assert older.marts(models) == [{"model": "unknown"}]


def test_the_same_event_is_a_duplicate_of_that_in_an_older_file(older: Installation) -> None:
    """Nothing of it differs: what neither says is the same."""
    older.drop("agent_usage_events", "again.ndjson", [usage_event(1)])
    older.drop("audit_events", "again.ndjson", [scan(1)])
    older.drop("feedback_events", "again.ndjson", [rating(1)])
    older.run()
    loads = older.loads()
    for stream in FIRST_EDITION:
        load = loads[f"{stream}/again.ndjson"]
        assert (load.duplicates, load.conflicting_duplicates) == (1, 0), stream


def test_merging_older_files_with_newer_loses_no_column(older: Installation) -> None:
    """The newer files' columns are in the merged one, whichever file is read first."""
    for number in (7, 8):
        event = usage_event(number, session_id=f"session-{number}", tool_calls=number)
        older.drop("agent_usage_events", f"new-{number}.ndjson", [event])
        older.drop("audit_events", f"new-{number}.ndjson", [scan(number, model_used="m")])
        rated = rating(number, event_id=f"event-{number}")
        older.drop("feedback_events", f"new-{number}.ndjson", [rated])
    older.run()
    older.run("nightly")

    with older.ledger() as ledger:
        for stream in FIRST_EDITION:
            assert len(ledger.lake_paths_of(stream)) == 1, stream
    found = {row["event_id"]: row for row in older.lake("agent_usage_events")}
    assert [found[f"event-{n}"]["session_id"] for n in (1, 7, 8)] == [
        None,
        "session-7",
        "session-8",
    ]
    assert sum(row["tool_calls"] or 0 for row in found.values()) == 15
    assert sum(row["model_used"] == "m" for row in older.lake("audit_events")) == 2
    responses = {row["event_id"] for row in older.lake("feedback_events")}
    assert responses >= {"event-7", "event-8"}
    assert CliRunner().invoke(app, ["erase", "--customer", "1"]).exit_code == 0
