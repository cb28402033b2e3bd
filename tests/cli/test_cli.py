"""The command line, as an operator uses it: real processes, real files, a real server."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import httpx2
import pytest

from installation import usage_event, write_rows
from recount.answers import ENDPOINTS

AGENTSTATS = [sys.executable, "-c", "from orchestration.cli import main; main()"]
CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An empty folder to be AGENTSTATS_HOME."""
    return tmp_path / "home"


def environment(home: Path, **settings: str) -> dict[str, str]:
    """What a command sees: no setting but those given."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("AGENTSTATS_")}
    return {**kept, "AGENTSTATS_HOME": str(home), "PYTHONPATH": str(CHECKOUT), **settings}


def agentstats(
    home: Path,
    *arguments: str,
    cwd: Path | None = None,
    settings: dict[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run the command to its end, with no settings but those given."""
    return subprocess.run(
        [*AGENTSTATS, *arguments],
        env=environment(home, **(settings or {})),
        cwd=cwd or home.parent,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def free_port() -> int:
    """A port that no process listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """`agentstats demo`, from nothing to a served API: its address and the key it printed."""
    home = tmp_path_factory.mktemp("demo") / "home"
    port = free_port()
    process = subprocess.Popen(
        [*AGENTSTATS, "demo"],
        env=environment(home, AGENTSTATS_PORT=str(port)),
        cwd=home.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 280
        while True:
            try:
                if httpx2.get(f"{address}/readyz").status_code == 200:
                    break
            except httpx2.TransportError:
                pass
            assert process.poll() is None, process.stderr.read() if process.stderr else ""
            assert time.monotonic() < deadline, "the demo did not come up"
            time.sleep(0.2)
        assert process.stdout is not None
        printed = [process.stdout.readline() for _ in range(3)]
        yield address, printed[1].split()[-1]
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=30)


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_the_demo_answers_every_endpoint(demo: tuple[str, str], endpoint: str) -> None:
    """All nine, with data in them."""
    address, key = demo
    answer = httpx2.get(f"{address}{endpoint}", headers={"X-API-Key": key})
    assert answer.status_code == 200
    body = answer.json()
    assert len(str(body)) > 100, body


def test_the_demo_looks_like_life(demo: tuple[str, str]) -> None:
    """Ninety days, none of them empty, several agents and models."""
    address, key = demo
    headers = {"X-API-Key": key}
    timeline = httpx2.get(f"{address}/api/stats/usage/timeline?days=90", headers=headers).json()
    assert len(timeline["labels"]) == 90
    assert all(timeline["messages"][1:])
    by_agent = httpx2.get(f"{address}/api/stats/usage/by-agent", headers=headers).json()
    assert len(by_agent) > 5
    by_model = httpx2.get(f"{address}/api/stats/usage/by-model?days=90", headers=headers).json()
    assert len(by_model) > 2


def test_a_run_reports_what_it_did_and_status_shows_it(home: Path) -> None:
    """`run`, `status` and `reconcile`, as JSON and for people, from any folder."""
    landing = home / "landing" / "agent_usage_events"
    landing.mkdir(parents=True)
    at = "2026-03-01T08:00:00Z"
    now = {"AGENTSTATS_NOW": "2026-03-01T12:00:00Z"}
    write_rows(landing / "a.ndjson", [usage_event(1, occurred_at=at), usage_event(2, rating=1)])
    (landing / "b.parquet").write_bytes(b"no")

    run = agentstats(home, "run", "hourly", "--json", cwd=Path("/"), settings=now)
    assert run.returncode == 3, run.stderr
    last_line = run.stderr.splitlines()[-1]
    assert "1 files loaded, 1 files set aside, 2 rows accepted; published" in last_line
    assert "but agent_usage_events/b.parquet was set aside: cannot be read as parquet" in last_line
    detail = json.loads(run.stdout)
    assert (detail["status"], detail["rows_accepted"], detail["files_failed"]) == (
        "succeeded",
        2,
        1,
    )
    status = json.loads(agentstats(home, "status", "--json", settings=now).stdout)
    assert status["data_as_of"] == "2026-03-01T12:00:00Z"
    assert (status["files_waiting"], status["files_failed"]) == (0, 1)
    assert status["runs"][0]["status"] == "succeeded"
    said = agentstats(home, "status", settings=now).stdout
    assert "2026-03-01 12:00 hourly succeeded: 1 files loaded, 1 files set aside" in said
    assert "Set aside     agent_usage_events/b.parquet: cannot be read as parquet" in said
    proof = json.loads(agentstats(home, "reconcile", "--json", settings=now).stdout)
    assert (proof["adds_up"], proof["events"]) == (True, 2)
    assert "It adds up: 2 events" in agentstats(home, "reconcile", settings=now).stdout


def test_reconcile_ends_with_1_and_a_table_where_marts_differ(home: Path) -> None:
    """Somebody changed a mart by hand: the table names the group."""
    import duckdb

    landing = home / "landing" / "agent_usage_events"
    landing.mkdir(parents=True)
    now = {"AGENTSTATS_NOW": "2026-03-01T12:00:00Z"}
    write_rows(landing / "a.ndjson", [usage_event(1)])
    assert agentstats(home, "run", "hourly", settings=now).returncode == 0
    with duckdb.connect(str(home / "warehouse.duckdb")) as warehouse:
        warehouse.execute("update marts.usage_quarter_hourly set message_count = 5")
    proof = agentstats(home, "reconcile", settings=now)
    assert proof.returncode == 1
    assert "agent_usage_events" in proof.stdout
    assert "2026-03-01" in proof.stdout
    assert "--full-refresh" in proof.stderr


def test_reconcile_says_how_to_come_by_marts_where_there_are_none(home: Path) -> None:
    """Before the first run there is nothing to compare, which proves nothing: it ends with 1."""
    proof = agentstats(home, "reconcile")
    assert proof.returncode == 1
    assert "`agentstats run hourly` builds them" in proof.stderr.replace("\n", " ")
    assert "Traceback" not in proof.stderr


def test_the_version_is_that_of_the_package(home: Path) -> None:
    """And nothing else, with 0."""
    said = agentstats(home, "--version")
    assert (said.returncode, said.stdout) == (0, f"agentstats {version('agentstats')}\n")


def test_a_key_without_a_name_is_refused(home: Path) -> None:
    """In a line, and no file of keys is made for it."""
    refused = agentstats(home, "keys", "create", "--customer", "7", "--name", " ")
    assert refused.returncode == 2
    assert "say what it is for" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not (home / "keys.db").exists()


def test_a_second_writer_says_who_the_first_one_is(home: Path) -> None:
    """This test has the lock; the run ends with a message and 1, and nothing else."""
    home.mkdir()
    with (home / ".writer.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        json.dump({"task": "run nightly", "pid": 4711, "since": "2026-03-01T03:00:00"}, lock)
        lock.flush()
        run = agentstats(home, "run", "hourly")
    assert run.returncode == 1
    assert "run nightly (process 4711" in run.stderr
    assert "Traceback" not in run.stderr


def test_keys_are_printed_once_and_alone(home: Path) -> None:
    """`create` prints the key, `list` never does, `revoke` says what it did."""
    created = agentstats(home, "keys", "create", "--customer", "7", "--name", "dash")
    assert created.returncode == 0
    key = created.stdout.strip()
    assert key.startswith("cust_") and len(key) >= 37 and "\n" not in key
    listed = agentstats(home, "keys", "list", "--json")
    assert key not in listed.stdout
    (record,) = json.loads(listed.stdout)
    assert (record["customer_id"], record["name"], record["revoked_at"]) == (7, "dash", None)
    assert key.encode() not in (home / "keys.db").read_bytes()
    assert agentstats(home, "keys", "revoke", "1").returncode == 0
    again = agentstats(home, "keys", "revoke", "1")
    assert again.returncode == 1
    assert "keys list" in again.stderr


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"AGENTSTATS_HOMES": "/tmp"}, "AGENTSTATS_HOMES"),
        ({"AGENTSTATS_PORT": "eighty"}, "AGENTSTATS_PORT"),
        ({"AGENTSTATS_NOW": "yesterday"}, "AGENTSTATS_NOW"),
        ({"AGENTSTATS_TOXICITY_THRESHOLD": "1.5"}, "AGENTSTATS_TOXICITY_THRESHOLD"),
        ({"AGENTSTATS_ENGINE": "abacus"}, "AGENTSTATS_ENGINE"),
    ],
)
def test_a_setting_that_is_unknown_or_wrong_is_named(
    home: Path, settings: dict[str, str], named: str
) -> None:
    """The command ends with 2 and one line, before it does anything."""
    status = agentstats(home, "status", settings=settings)
    assert status.returncode == 2
    assert named in status.stderr
    assert "Traceback" not in status.stderr
    assert not home.exists()


def test_the_demo_leaves_data_that_is_not_its_own_alone(home: Path) -> None:
    """A home with somebody's files in it is refused, with what to do instead."""
    (home / "landing" / "agents").mkdir(parents=True)
    (home / "landing" / "agents" / "mine.csv").write_text("agent_id\n")
    demo = agentstats(home, "demo", "--no-serve")
    assert demo.returncode == 1
    assert "AGENTSTATS_HOME" in demo.stderr
    assert (home / "landing" / "agents" / "mine.csv").exists()


@pytest.mark.parametrize(
    "command",
    ["", "demo", "run", "serve", "keys", "keys create", "status", "reconcile", "dagster"],
)
def test_every_command_has_help(home: Path, command: str) -> None:
    """`--help` works without a home."""
    shown = agentstats(home.parent, *command.split(), "--help")
    assert shown.returncode == 0
    assert "Usage" in shown.stdout
