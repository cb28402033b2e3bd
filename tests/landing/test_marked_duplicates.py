"""Rows that came beside another of their event are marked, so that no build searches for them."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from installation import Installation, Row, installation_in, usage_event
from orchestration import pipeline

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
    """Duplicates within the file or of an earlier one, of other content or time of receipt."""
    with installation_in(tmp_path_factory.getbasetemp() / "duplicates", NOW) as installation:
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


def land(installation: Installation) -> None:
    """Land what waits, and no more."""
    with installation.ledger() as ledger:
        pipeline.land(installation.settings, ledger)
