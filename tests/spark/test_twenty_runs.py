"""A full build, then twenty incremental runs with late, repeated, changed and vanished data."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest

from orchestration.cli.deletion import erase
from orchestration.spark.cluster import Cluster
from spark.deliveries import NOW, write_customers, write_events
from spark.twins import Twins, copy_landing

pytestmark = pytest.mark.spark

EVENTS = int(os.environ.get("SPARK_TEST_EVENTS", "5000000"))
RUNS = int(os.environ.get("SPARK_TEST_RUNS", "20"))


def test_every_incremental_run_leaves_the_same_marts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cluster: Cluster
) -> None:
    """After each of them, and after a rebuild at the end that must change nothing."""
    twins = Twins(tmp_path, monkeypatch, NOW.isoformat(), cluster)
    monkeypatch.setenv("AGENTSTATS_RETENTION_MAX_DELETE_FRACTION", "1")
    first = tmp_path / "first"
    write_customers(first, "customers", "'pro'", "2026-01-01")
    write_events(first, "events", 0, EVENTS)
    twins.each(copy_landing(first))
    twins.run()
    assert twins.differences() == []

    for number in range(1, RUNS + 1):
        hour = tmp_path / f"hour-{number}"
        deliver_an_hour(hour, number)
        twins.each(copy_landing(hour))
        now = NOW + timedelta(hours=number)
        twins.each(lambda installation, now=now: installation.set_clock(now.isoformat()))  # type: ignore[misc]
        if number == RUNS // 2:
            # Every third customer is down to seven days, and its older ones vanish at night.
            tiers = "case customer_id % 3 when 0 then 'free' else 'pro' end"
            write_customers(tmp_path / "tiers", "tiers", tiers, "2026-02-01")
            twins.each(copy_landing(tmp_path / "tiers"))
            twins.run()
            twins.run("nightly")
        elif number == RUNS - 1:
            twins.run()
            twins.each(lambda _: erase(customer=7, as_json=True))
        else:
            twins.run()
        assert twins.differences() == [], f"after run {number}"

    incremental = twins.spark.fingerprints()
    twins.run(full_refresh=True)
    assert twins.differences() == []
    assert twins.spark.fingerprints() == incremental


def deliver_an_hour(landing: Path, number: int) -> None:
    """A file of new events of all dates, repeats, other versions of old ones, and equally new
    ones whose content decides."""
    new = EVENTS + number * 1000
    late = f"occurred_at < timestamp '2026-03-01' - interval {number % 25} day"
    write_events(landing, f"new-{number}", new, new + 1000, where=late)
    write_events(landing, f"again-{number}", number * 50, number * 50 + 200)
    write_events(
        landing,
        f"changed-{number}",
        number * 90,
        number * 90 + 100,
        version=number,
        received="occurred_at + interval 1 hour",
    )
    write_events(landing, f"tied-{number}", number * 70, number * 70 + 100, version=number + 1)
