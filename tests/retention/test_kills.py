"""Retention that is killed anywhere: nothing goes early, nothing is late, the ledger is right."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from installation import rating, usage_event
from retention.lakes import Lake
from retention.test_nightly_deletes import customer

TREE = Path(__file__).resolve().parents[2]
# `make retention-kills` asks for 50; each is a process of its own.
DELETED = "2026-03-10T03:00:00Z"
KILLS = int(os.environ.get("RETENTION_KILLS", "6"))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two customers' events in shared files: of 1, some dates expire; of 2, none does."""
    lake = Lake(tmp_path_factory.mktemp("kills") / "home", "2026-03-06T09:00:00Z")
    lake.drop("customers", [customer(1, "free"), customer(2, "pro")])
    for load in range(5):
        events = [
            usage_event(
                100 * load + 10 * day + owner,
                customer_id=owner,
                occurred_at=f"2026-03-0{day}T0{load}:00:00Z",
            )
            for day in (1, 2, 5)
            for owner in (1, 2)
        ]
        # One file of a customer of its own, which is dropped whole; and rows that are rejected.
        lake.drop("agent_usage_events", [*events, {**events[0], "input_tokens": -load}])
        lake.drop("feedback_events", [rating(load)])
        lake.land()
    return lake.home


@pytest.fixture(scope="module")
def effects(home: Path, tmp_path_factory: pytest.TempPathFactory) -> int:
    """How many effects a run has that is not killed."""
    copy = tmp_path_factory.mktemp("whole") / "home"
    shutil.copytree(home, copy)
    ran = run_until(copy, DELETED, 0)
    assert ran.returncode == 0, ran.stderr
    return int(ran.stdout.splitlines()[-1])


def run_until(home: Path, now: str, effect: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(Path(__file__).with_name("cut_off.py")), str(effect)],
        env={
            **os.environ,
            "PYTHONPATH": str(TREE),
            "AGENTSTATS_HOME": str(home),
            "AGENTSTATS_NOW": now,
            "AGENTSTATS_RETENTION_MAX_DELETE_FRACTION": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("number", range(KILLS))
def test_a_run_that_is_killed_is_finished_by_the_next(
    home: Path, effects: int, tmp_path: Path, number: int
) -> None:
    """After the kill nothing is lost that should stay; after the next run nothing is late."""
    shutil.copytree(home, tmp_path / "home")
    lake = Lake(tmp_path / "home", DELETED)
    folders = ("agent_usage_events", "feedback_events", "rejected_rows")
    before = Counter(
        (row["customer_id"], folder) for folder in folders for row in lake.rows(folder)
    )
    stays = {row["event_id"] for row in lake.rows("agent_usage_events") if must_stay(row)}

    assert effects >= KILLS
    ended = run_until(lake.home, lake.now, 1 + number * effects // KILLS)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    # A rewritten file may still lie beside the old one: no id is missing.
    assert stays <= {row["event_id"] for row in lake.rows("agent_usage_events")}

    lake.delete("the-next-run")
    assert lake.agrees_with_ledger()
    left = Counter((row["customer_id"], folder) for folder in folders for row in lake.rows(folder))
    assert {row["event_id"] for row in lake.rows("agent_usage_events")} == stays
    assert sorted(row["customer_id"] for row in lake.rows("feedback_events")) == []
    assert before - left == Counter(
        {key: rows for key, rows in lake.deleted_rows().items() if rows}
    )
    assert not list((lake.home / "lake").rglob("*.tmp"))
    assert lake.delete("once-more") == 0


def must_stay(row: dict[str, object]) -> bool:
    """On 10 March, 7 days reach back to the 3rd."""
    return row["customer_id"] == 2 or str(row["occurred_at"]) >= "2026-03-03"
