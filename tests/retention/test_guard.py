"""What counts for the share that a run may delete."""

from __future__ import annotations

from pathlib import Path

import pytest

from installation import usage_event
from orchestration.lake.deletion_plan import TooMuch
from retention.lakes import Lake
from retention.test_nightly_deletes import customer


def events(first: int, count: int, day: str) -> list[dict[str, object]]:
    return [
        usage_event(number, occurred_at=f"{day}T08:00:00Z")
        for number in range(first, first + count)
    ]


def lake_of(folder: Path) -> Lake:
    """A free customer with an event that expires on 9 March, and three that do not."""
    lake = Lake(folder, "2026-03-06T09:00:00Z", {"AGENTSTATS_RETENTION_MAX_DELETE_FRACTION": "0.5"})
    lake.drop("customers", [customer(1, "free")])
    lake.drop("agent_usage_events", events(0, 1, "2026-03-01") + events(1, 3, "2026-03-06"))
    lake.land()
    return lake


def test_rows_that_landing_refused_do_not_raise_the_share(tmp_path: Path) -> None:
    """A backfill of expired rows, whose text was never kept, does not stop the run."""
    lake = lake_of(tmp_path)
    lake.drop("agent_usage_events", events(100, 50, "2026-01-01"))
    lake.land()
    lake.now = "2026-03-09T03:00:00Z"
    assert lake.delete() == 51


def test_rows_that_landing_refused_do_not_lower_the_share(tmp_path: Path) -> None:
    """Four of four events do not hide among fifty rows that hold nothing."""
    lake = lake_of(tmp_path)
    lake.drop("agent_usage_events", events(100, 50, "2026-01-01"))
    lake.land()
    lake.now = "2026-05-09T03:00:00Z"
    with pytest.raises(TooMuch, match=r"4 of 5 rows \(80.0%\)"):
        lake.delete()
    assert len(lake.rows("agent_usage_events")) == 4
