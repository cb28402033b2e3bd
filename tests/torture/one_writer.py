"""Two runs at once, from Dagster and the command line: one writes, and the other says who does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx2

from api.auth.keys import KeyStore
from fuzz.outcome import Outcome
from fuzz.served import serving
from installation import usage_event, write_rows
from orchestration.clock import retries
from orchestration.clock.dagster_home import prepare_dagster
from orchestration.storage.ledger import Ledger
from torture.crash import left_behind
from torture.generated import NOW
from torture.prepared import environment_at, settings_of
from torture.steps import ROOT

# `python -m dagster`, with another pause between two tries.
_DAGSTER = (
    "from orchestration.clock import retries; retries.SECONDS_BETWEEN = {}; import dagster.__main__"
)
_WORDS_OF_THE_DATABASE = ("Could not set lock", "Conflicting lock", "database is locked")


def run(folder: Path, *, rounds: int, seconds_between: int = retries.SECONDS_BETWEEN) -> Outcome:
    """Pairs of runs at once, in both orders; then a run that is stopped while the API serves.

    Dagster tries a run again after `seconds_between`, and gives it up when the first still writes.
    """
    outcome = Outcome()
    waited = 0
    for number in range(rounds):
        for first, second in (("command", "dagster"), ("dagster", "command")):
            home = folder / f"{number}-{first}"
            waited += _pair(outcome, home, first, second, seconds_between)
    outcome.figures["pairs"] = 2 * rounds
    outcome.figures["second runs that named the first"] = waited
    _stopped_while_serving(outcome, folder / "served")
    return outcome


def _start(home: Path, how: str, seconds_between: int = 0) -> subprocess.Popen[str]:
    settings = settings_of(home)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AGENTSTATS_")},
        **environment_at(NOW),
        "AGENTSTATS_HOME": str(home),
        "PYTHONPATH": str(ROOT),
        "DAGSTER_HOME": str(settings.dagster_home),
    }
    command = {
        "command": ["-c", "from orchestration.cli import main; main()", "run", "hourly"],
        "dagster": ["-c", _DAGSTER.format(seconds_between), "job", "execute",
                    "-m", "orchestration.definitions", "-j", "hourly"],
    }[how]  # fmt: skip
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", *command],
        cwd=home,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _fill(home: Path) -> None:
    folder = home / "landing/agent_usage_events"
    folder.mkdir(parents=True)
    for number in range(5):
        write_rows(folder / f"{number}.ndjson", [usage_event(number * 100 + n) for n in range(100)])
    prepare_dagster(settings_of(home))


def _holder(home: Path) -> int:
    """The process that has the writer lock, as soon as one has it."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            return int(json.loads((home / ".writer.lock").read_text())["pid"])
        except (OSError, ValueError):
            time.sleep(0.01)
    raise AssertionError("no run took the writer lock")


def _pair(outcome: Outcome, home: Path, first: str, second: str, seconds_between: int) -> int:
    """Stop the first run where it writes, so that the second surely meets it. Returns 1 if the
    second named it."""
    what = f"{second} beside {first}"
    _fill(home)
    one = _start(home, first, seconds_between)
    writer = _holder(home)
    os.kill(writer, signal.SIGSTOP)
    other = _start(home, second, seconds_between)
    said, _ = other.communicate(timeout=300)
    os.kill(writer, signal.SIGCONT)
    output, _ = one.communicate(timeout=300)
    is_named = f"run hourly (process {writer}, since" in said
    outcome.claim(other.returncode != 0, f"{what}: the second ended with 0")
    outcome.claim(is_named, f"{what}: it does not name the first: {said[-1500:]}")
    outcome.claim(one.returncode == 0, f"{what}: the first failed: {output[-1500:]}")
    for text in (said, output):
        outcome.claim(
            not any(words in text for words in _WORDS_OF_THE_DATABASE), f"{what}: {text[-1500:]}"
        )
    ledger = Ledger(settings_of(home).ledger_path)
    outcome.claim(
        [run.status for run in ledger.runs(10)] == ["succeeded"], f"{what}: a second writer"
    )
    ledger.close()
    left = left_behind(home)
    outcome.claim(not left, f"{what}: left behind: {left}")
    return int(is_named)


def _stopped_while_serving(outcome: Outcome, home: Path) -> None:
    """The API answers while a run is stopped in mid-write, and shows its result afterwards."""
    _fill(home)
    first = _start(home, "command")
    assert first.wait(300) == 0
    _, key = KeyStore(settings_of(home).keys_path).create(1, "torture")
    path = home / "landing/agent_usage_events/more.ndjson"
    write_rows(path, [usage_event(-1)])
    answers = []
    with (
        serving(home, now=NOW.isoformat()) as served,
        httpx2.Client(headers={"X-API-Key": key}, base_url=served.url) as client,
    ):
        run = _start(home, "command")
        os.kill(writer := _holder(home), signal.SIGSTOP)
        for days in range(1, 40):
            answer = client.get(f"/api/stats/usage/summary?days={days}")
            answers.append((answer.status_code, answer.json().get("total_messages")))
        os.kill(writer, signal.SIGCONT)
        outcome.claim(run.wait(300) == 0, "the run that was stopped did not end well")
        time.sleep(2)
        after = client.get("/api/stats/usage/summary?days=1").json()["total_messages"]
    outcome.figures["answers while a run was stopped"] = len(answers)
    outcome.claim(set(answers) == {(200, 500)}, f"answers: {set(answers)}")
    outcome.claim(after == 501, f"{after} messages after the run, not 501")
