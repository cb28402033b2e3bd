"""Rows that came beside another of their event are marked, so that nobody searches for them."""

from __future__ import annotations

import hashlib
import sqlite3
from datetime import date

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from installation import Installation, Row, installation_in, usage_event
from orchestration import pipeline
from orchestration.cli.deletion import erase
from orchestration.retention.compaction import FEWEST_FILES, compact

STREAM = "agent_usage_events"
NOW = "2026-03-01T12:00:00Z"
A_DAY, NEXT_DAY = date(2026, 2, 28), date(2026, 3, 1)

events = st.builds(
    lambda number, day, tokens, received, customer: usage_event(
        number,
        occurred_at=f"{day}T08:00:00Z",
        output_tokens=tokens,
        received_at=received and f"{NEXT_DAY}T{received}:00:00Z",
        customer_id=customer,
    ),
    *(st.integers(0, 4), st.sampled_from([A_DAY, NEXT_DAY])),
    *(st.sampled_from([1, 2]), st.sampled_from([None, "09", "10"]), st.sampled_from([1, 1, 2])),
)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(files=st.lists(st.lists(events, min_size=1, max_size=4), min_size=1, max_size=5))
def test_rows_of_one_event_are_marked_but_for_one_that_came_alone(
    tmp_path_factory: pytest.TempPathFactory, files: list[list[Row]]
) -> None:
    """Repeats in the file and of files before it, with other content or another time of receipt."""
    with installation_in(tmp_path_factory.getbasetemp() / "repeats", NOW) as installation:
        for number, rows in enumerate(files):
            installation.drop(STREAM, f"{number}.ndjson", rows)
            land(installation)
        marks: dict[tuple[object, ...], list[bool]] = {}
        for row in installation.lake(STREAM):
            key = (row["customer_id"], row["event_id"], row["occurred_at"].date())
            marks.setdefault(key, []).append(row["is_repeat"])
        for event, of_event in marks.items():
            if len(of_event) == 1:
                assert of_event == [False], event
            else:
                assert of_event.count(False) <= 1, event


def test_files_of_an_older_version_have_no_marks_and_are_searched(
    installation: Installation,
) -> None:
    """Alone, beside newer ones, merged with them by night, and when something is erased."""
    for number in range(FEWEST_FILES):
        installation.drop(
            STREAM,
            f"{number}.ndjson",
            [usage_event(number), usage_event(7, output_tokens=number), usage_event(8)],
        )
        land(installation)
    forget_marks(installation, but=1)
    installation.run()
    assert messages(installation) == FEWEST_FILES + 2

    with installation.ledger() as ledger:
        compact(installation.settings, ledger)
        (merged,) = ledger.lake_files_of(STREAM)
        assert merged.marks_repeats
    assert {row["is_repeat"] for row in installation.lake(STREAM)} == {None, True, False}
    installation.drop(STREAM, "new.ndjson", [usage_event(7, output_tokens=100), usage_event(9)])
    installation.run()
    assert messages(installation) == FEWEST_FILES + 3
    installation.drop(STREAM, "other.ndjson", [usage_event(1, customer_id=2)])
    installation.run()
    erase(customer=2, as_json=True)
    assert messages(installation) == FEWEST_FILES + 3
    installation.run(full_refresh=True)
    assert messages(installation) == FEWEST_FILES + 3


def messages(installation: Installation) -> int:
    """How many messages are published."""
    (row,) = installation.marts(
        "select sum(message_count)::bigint as messages from marts.customer_daily"
    )
    return int(row["messages"])


def land(installation: Installation) -> None:
    """Land what waits, and no more."""
    with installation.ledger() as ledger:
        pipeline.land(installation.settings, ledger)


def forget_marks(installation: Installation, *, but: int) -> None:
    """Make the ledger and all lake files those of a version that marked nothing, but for some."""
    settings = installation.settings
    with sqlite3.connect(settings.ledger_path) as ledger:
        paths = [
            path
            for (path,) in ledger.execute(
                "select path from lake_file where folder = ? order by load_seq", [STREAM]
            )
        ]
        marked = paths[len(paths) - but :]
        ledger.execute("alter table lake_file drop column marks_repeats")
        for path in paths[: len(paths) - but]:
            file = settings.lake / path
            duckdb.execute(
                f"copy (select * exclude (is_repeat) from read_parquet('{file}', "
                f"hive_partitioning = false)) to '{file}' (format parquet)"
            )
            content = file.read_bytes()
            ledger.execute(
                "update lake_file set bytes = ?, sha256 = ? where path = ?",
                [len(content), hashlib.sha256(content).hexdigest(), path],
            )
    ledger.close()
    with installation.ledger() as opened:
        assert not any(file.marks_repeats for file in opened.lake_files_of(STREAM))
    with sqlite3.connect(settings.ledger_path) as ledger:
        for path in marked:
            ledger.execute("update lake_file set marks_repeats = 1 where path = ?", [path])
    ledger.close()
