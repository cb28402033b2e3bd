"""What memory does not hold is rebuilt in parts of whole dates, or spilled, to the same end."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import pytest

from installation import Installation, rating, scan, usage_event
from orchestration.contract.streams import EVENT_STREAMS
from orchestration.lake.writing import COUNTS_FOLDER
from orchestration.warehouse import dbt, rollups
from orchestration.warehouse.dbt import NodeResult
from orchestration.warehouse.reconciliation import RECONCILIATION

DAYS = range(1, 8)
EVENTS_A_DAY = 5
MANY = 300_000


@pytest.fixture
def installation(installation: Installation) -> Installation:
    """A week of events that waits to be landed; nothing is built."""
    installation.built_ahead = False
    for stream, row in (
        ("agent_usage_events", usage_event),
        ("audit_events", scan),
        ("feedback_events", rating),
    ):
        rows = [
            row(day * 100 + number, customer_id=1 + number % 2, occurred_at=f"2026-03-0{day}T08:00")
            for day in DAYS
            for number in range(EVENTS_A_DAY)
        ]
        installation.drop(stream, "week.ndjson", rows)
    installation.set_clock("2026-03-08T00:00:00Z")
    return installation


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let two dates be as much as is built at once: events and their counts."""
    rows = 2 * 3 * (EVENTS_A_DAY + 2)
    monkeypatch.setattr(rollups, "parts_of", partial(rollups.parts_of, rows_at_once=rows))


def _counting(monkeypatch: pytest.MonkeyPatch, *, fails_at: int = 0) -> list[str]:
    """What dbt is asked to build, call by call; it breaks off before call number `fails_at`."""
    asked: list[str] = []
    build = dbt.build

    def counted(*arguments: Any, **options: Any) -> list[NodeResult]:
        asked.append(" ".join(options["select"]))
        if len(asked) == fails_at:
            raise dbt.DbtFailed("cut off")
        return build(*arguments, **options)

    monkeypatch.setattr(dbt, "build", counted)
    return asked


@pytest.mark.usefixtures("small_parts")
def test_parts_come_to_what_one_build_comes_to(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Marts, recount included, are those of a rebuild of all dates at once."""
    asked = _counting(monkeypatch)
    installation.run()
    assert (asked[0], asked[-1], len(asked)) == ("*", RECONCILIATION, 5)
    for part in asked[1:-1]:
        for stream in (*(each.name for each in EVENT_STREAMS), COUNTS_FOLDER):
            assert f"config.meta.stream:{stream}" in part.split()
    in_parts = installation.fingerprints()
    recount = installation.marts("from marts.reconciliation order by all")
    assert sum(row["in_marts"] for row in recount) == 3 * EVENTS_A_DAY * len(DAYS)
    monkeypatch.setattr(rollups, "parts_of", lambda scope, _ledger: [scope])
    installation.run(full_refresh=True)
    assert asked[-1] == "*"
    assert installation.fingerprints() == in_parts
    assert installation.marts("from marts.reconciliation order by all") == recount


@pytest.mark.usefixtures("small_parts")
def test_a_rebuild_that_is_cut_off_between_parts_begins_anew(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of the dates are never taken for all of them, nor published."""
    installation.run()
    complete = installation.fingerprints()
    with monkeypatch.context() as patched:
        _counting(patched, fails_at=3)
        assert not installation.try_run(full_refresh=True).succeeded
    assert installation.fingerprints() == complete
    installation.run()
    assert installation.last_run()["full_refresh"] is True
    assert installation.fingerprints() == complete


def test_what_does_not_fit_into_memory_is_spilled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run with little memory ends all the same, and counts each of its events."""
    made = Installation(tmp_path / "home", monkeypatch, "2026-03-02T12:00:00Z")
    monkeypatch.setenv("AGENTSTATS_MEMORY_LIMIT", "100MB")
    path = made.drop_bytes("agent_usage_events", "many.parquet", b"")
    with duckdb.connect() as connection:
        connection.execute(
            "copy (select md5(cast(range as text)) as event_id, 1 + range % 500 as customer_id,"
            " 1 + range % 5000 as agent_id, 1 + range % 50 as agent_type_id, 10 as input_tokens,"
            " 5 as output_tokens, 1000 + range % 5000 as response_time_ms,"
            " timestamp '2026-03-01' + to_seconds(range % 86400) as occurred_at"
            f" from range({MANY})) to '{path}' (format parquet)"
        )
    made.run()
    (counted,) = made.marts("select sum(message_count) as messages from marts.customer_daily")
    assert counted["messages"] == MANY
