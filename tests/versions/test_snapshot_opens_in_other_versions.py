"""The published file in the versions of DuckDB that analysts' tools carry, also while jobs run."""

from __future__ import annotations

import fcntl
import json
import subprocess
import sys
import time
import venv
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from installation import Installation, usage_event
from orchestration.publication.metrics import read_metrics
from published_demo import CHECKOUT, PublishedDemo, environment

pytestmark = pytest.mark.versions

VERSIONS = ("1.4", "1.5", "2.0")
HOURS = 8

# Reads until its input is closed: over the connection that it had first, and anew over the file
# that the links lead to at the time, by names of three parts that were written down before. All
# must give whole, growing answers.
_READER = """
import json, os, sys, threading, time
import duckdb

link, of_another_name = sys.argv[1:]
query = ("select (select snapshot_id from agentstats.marts.snapshot_info), sum(message_count) "
         "from agentstats.marts.{}")
# By a link of another name, version 1.4 calls the database by that.
links = [link] if duckdb.__version__.startswith("1.4.") else [link, of_another_name]
stopped = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), stopped.set()), daemon=True).start()

def ask(connection):
    daily = connection.execute(query.format("customer_daily")).fetchall()[0]
    assert daily == connection.execute(query.format("usage_quarter_hourly")).fetchall()[0]
    return daily

connected = duckdb.connect(os.path.realpath(link), read_only=True)
first = ask(connected)
print("ready", flush=True)
answers, seen, counts = 0, [first[0]], [int(first[1])]
while not stopped.is_set():
    assert ask(connected) == first
    for path in [os.path.realpath(link), *links]:
        with duckdb.connect(path, read_only=True) as fresh:
            snapshot_id, count = ask(fresh)
        if snapshot_id != seen[-1]:
            seen.append(snapshot_id)
            counts.append(int(count))
        answers += 1
    answers += 1
    time.sleep(0.02)
print(json.dumps({"version": duckdb.__version__, "answers": answers, "seen": seen,
                  "counts": counts}))
"""


@pytest.fixture(scope="session", params=VERSIONS)
def python(request: pytest.FixtureRequest) -> Path:
    """Return the interpreter of an environment with that version of DuckDB, made if need be."""
    version = str(request.param)
    folder = CHECKOUT / "build" / f"duckdb-{version}"
    interpreter = folder / "bin" / "python"
    folder.parent.mkdir(exist_ok=True)
    with (folder.parent / f"duckdb-{version}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "ready").exists():
            venv.create(folder, clear=True, with_pip=True)
            _pip_install(interpreter, f"duckdb=={version}.*")
            (folder / "ready").touch()
    return interpreter


def _pip_install(interpreter: Path, *requirements: str) -> None:
    subprocess.run(
        [interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
         *requirements],
        check=True,
    )  # fmt: skip


def _run(interpreter: Path, script: str, *arguments: str) -> str:
    done = subprocess.run(
        [interpreter, "-c", script, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_worked_questions_have_the_same_answers(demo: PublishedDemo, python: Path) -> None:
    """Every question of the analysts' page gives the shown answer in this version."""
    page = CHECKOUT / "docs" / "worked_questions.py"
    done = subprocess.run(
        [python, page, demo.home, "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


ARGUMENTS = {1: "[7, 3]", 2: "125, 40", 4: "1.25, 40, 0, 0"}
"""By how many a metric takes: a list, two sums, or an amount with what says that it is known."""


def test_every_table_comment_and_metric_can_be_read(demo: PublishedDemo, python: Path) -> None:
    """All rows of all tables are read to the end, every comment is there, every metric answers."""
    script = """
import json, sys
import duckdb

connection = duckdb.connect(sys.argv[1], read_only=True)
connection.execute("set enable_progress_bar = false")
tables = [row[0] for row in connection.execute(
    "select table_name from duckdb_tables() where schema_name = 'marts' union all "
    "select view_name from duckdb_views() where schema_name = 'marts' order by 1").fetchall()]
print(json.dumps({
    "version": duckdb.__version__,
    "rows": {name: len(connection.execute(f"from marts.{name}").fetchall()) for name in tables},
    "without": connection.execute(
        "select table_name from duckdb_tables() where comment is null union all "
        "select column_name from duckdb_columns() where schema_name = 'marts' "
        "and comment is null").fetchall(),
    "metrics": {call: connection.execute(f"select cast(marts.{call} as varchar)").fetchall()[0][0]
                for call in sys.argv[2:]},
}))
"""
    calls = [f"{metric.name}({ARGUMENTS[len(metric.parameters)]})" for metric in read_metrics()]
    found = json.loads(_run(python, script, str(demo.snapshot), *calls))
    here = json.loads(_run(Path(sys.executable), script, str(demo.snapshot), *calls))
    assert found["version"].startswith(python.parents[1].name.removeprefix("duckdb-"))
    assert found["without"] == []
    assert {**found, "version": None} == {**here, "version": None}


def test_the_link_for_analysts_makes_no_name_ambiguous(demo: PublishedDemo, python: Path) -> None:
    """Opened by the link itself, not by the file behind it, a schema in front names the marts."""
    script = """
import sys
import duckdb

connection = duckdb.connect(sys.argv[1], read_only=True)
connection.execute("set enable_progress_bar = false")
print(connection.execute("select count(*), marts.average_rating(9, 2) from marts.customers")
      .fetchall())
"""
    link = demo.home / "snapshots" / "agentstats.duckdb"
    assert _run(python, script, str(link)).strip() == "[(40, 4.5)]"


def test_a_write_is_refused(demo: PublishedDemo, python: Path) -> None:
    """Opened as the page says, the file cannot be changed."""
    script = """
import sys
import duckdb

connection = duckdb.connect(sys.argv[1], read_only=True)
connection.execute("set enable_progress_bar = false")
try:
    connection.execute("delete from marts.customers")
except duckdb.Error as error:
    assert "read-only" in str(error), error
else:
    raise AssertionError("it was changed")
"""
    _run(python, script, str(demo.snapshot))


@pytest.fixture
def readers(installation: Installation) -> Iterator[list[subprocess.Popen[str]]]:
    """Collect reading processes, and end what is left of them."""
    started: list[subprocess.Popen[str]] = []
    yield started
    for reader in started:
        if reader.poll() is None:
            reader.kill()


def test_hourly_runs_and_readers_do_not_disturb_each_other(
    installation: Installation, python: Path, readers: list[subprocess.Popen[str]]
) -> None:
    """Over many hourly runs, an open connection keeps its answer and new ones see every hour, by
    names of three parts that do not change.

    The file that is open is unlinked meanwhile, because only so many snapshots are kept.
    """
    start = datetime.fromisoformat(installation.now)
    installation.drop("agent_usage_events", "first.ndjson", [usage_event(0)])
    installation.run()
    link, of_another_name = (
        installation.settings.snapshots / name for name in ("agentstats.duckdb", "marts.duckdb")
    )
    first = link.resolve()
    for _ in range(2):
        reader = subprocess.Popen(
            [python, "-c", _READER, str(link), str(of_another_name)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        readers.append(reader)
        assert reader.stdout is not None
        assert reader.stdout.readline().strip() == "ready"
    published = [first.parent.name]
    for hour in range(1, HOURS + 1):
        installation.set_clock((start + timedelta(hours=hour)).isoformat())
        installation.drop(
            "agent_usage_events", f"{hour}.ndjson",
            [usage_event(number) for number in range(hour * 100, hour * 100 + 10)],
        )  # fmt: skip
        installation.run()
        published.append(link.resolve().parent.name)
        # Time for each reader to look at the new file.
        time.sleep(0.5)
    assert not first.exists()
    for reader in readers:
        said, problems = reader.communicate(timeout=60)
        assert reader.returncode == 0, problems
        report = json.loads(said)
        assert report["seen"] == published
        assert report["counts"] == [1 + 10 * hour for hour in range(HOURS + 1)]
        assert report["answers"] > HOURS


def test_the_command_line_of_duckdb_runs_the_command_of_the_docs(demo: PublishedDemo) -> None:
    """The `duckdb` command that the page for analysts shows prints the snapshot's row."""
    folder = CHECKOUT / "build" / "duckdb-cli"
    if not (folder / "ready").exists():
        folder.parent.mkdir(exist_ok=True)
        venv.create(folder, clear=True, with_pip=True)
        _pip_install(folder / "bin" / "python", "duckdb-cli")
        (folder / "ready").touch()
    page = (CHECKOUT / "docs" / "for-analysts.md").read_text()
    command = next(line for line in page.splitlines() if line.startswith("duckdb -readonly"))
    done = subprocess.run(
        ["bash", "-c", f'PATH="{folder / "bin"}:$PATH" {command}'],
        env=environment(demo.home), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert demo.snapshot.parent.name[:16] in done.stdout
