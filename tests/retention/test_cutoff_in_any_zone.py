"""The cutoff is a midnight of UTC, whatever zone the machine is in."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from installation import usage_event
from retention.lakes import Lake
from retention.test_nightly_deletes import customer

TREE = Path(__file__).resolve().parents[2]
RUN = """
import os
import sys
from contextlib import closing
from orchestration import pipeline
from orchestration.storage.ledger import Ledger
from orchestration.retention.nightly import delete_expired
from orchestration.settings import read_settings

for now in sys.argv[1:]:
    settings = read_settings({**os.environ, "AGENTSTATS_NOW": now})
    with closing(Ledger(settings.ledger_path)) as ledger:
        pipeline.land(settings, ledger)
        delete_expired(settings, ledger, run_id=now)
"""
CUTOFF = datetime(2026, 3, 2, tzinfo=UTC)


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "America/Los_Angeles"])
def test_the_seconds_around_the_cutoff(zone: str, tmp_path: Path) -> None:
    """A second before it goes; it and a second after it stay; on the day before, all stay."""
    lake = Lake(tmp_path, "2026-03-08T12:00:00Z")
    lake.drop("customers", [customer(1, "free")])
    lake.drop(
        "agent_usage_events",
        [
            usage_event(step, occurred_at=(CUTOFF + timedelta(seconds=step)).isoformat())
            for step in (-1, 0, 1)
        ],
    )
    environment = {
        **os.environ,
        "TZ": zone,
        "PYTHONPATH": str(TREE),
        "AGENTSTATS_HOME": str(tmp_path),
        "AGENTSTATS_RETENTION_MAX_DELETE_FRACTION": "1",
    }
    for clocks, kept in (
        (["2026-03-08T12:00:00Z", "2026-03-08T23:59:59Z"], {"event--1", "event-0", "event-1"}),
        (["2026-03-09T00:00:00Z", "2026-03-09T23:59:59Z"], {"event-0", "event-1"}),
        (["2026-03-10T00:00:00Z"], set()),
    ):
        subprocess.run([sys.executable, "-c", RUN, *clocks], env=environment, check=True)
        assert {row["event_id"] for row in lake.rows("agent_usage_events")} == kept
