"""What can go wrong with a source: a clear message, no password in it, and the next run goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from installation import Installation, usage_event
from orchestration.cli.in_process import run_job
from orchestration.contract.streams import AGENT_USAGE_EVENTS
from orchestration.source.connection import Source
from source.platform_rows import AT, ids_in_lake, pull_and_land, write_usage
from source.server import ESCAPED_PASSWORD, PASSWORD, Server

pytestmark = pytest.mark.postgres
CHECKOUT = Path(__file__).parents[2]


def problem_of_pull(installation: Installation) -> str:
    """The only problem of a pull of usage events."""
    done, _ = pull_and_land(installation, AGENT_USAGE_EVENTS)
    (problem,) = done.problems
    assert PASSWORD not in problem and ESCAPED_PASSWORD not in problem
    return problem


def test_a_server_that_is_away_fails_the_run_but_holds_up_no_file(
    server: Server, platform: Installation, capfd: pytest.CaptureFixture[str]
) -> None:
    """Files are landed and published, the run ends failed and says why, and the next one has it
    all. The password is in no file, no log and no report."""
    with server.connect() as session:
        write_usage(session, "from the table")
    platform.drop("agent_usage_events", "a.ndjson", [usage_event(1)])
    server.stop()
    try:
        outcome = run_job(platform.settings, "hourly")
    finally:
        server.start()
    assert not outcome.succeeded
    assert "Connection refused" in str(outcome.problem)
    assert "the next run goes on" in str(outcome.problem)
    assert ids_in_lake(platform) == ["event-1"]
    assert platform.marts("select message_count from marts.customer_daily") == [
        {"message_count": 1}
    ]
    platform.run()
    assert ids_in_lake(platform) == ["event-1", "from the table"]
    platform.environment.setenv(
        "AGENTSTATS_POSTGRES_URL", server.reader_url.replace("/platform", "/elsewhere")
    )
    assert not run_job(platform.settings, "hourly").succeeded
    printed = "".join(capfd.readouterr())
    for secret in (PASSWORD, ESCAPED_PASSWORD):
        assert secret not in printed
        for path in platform.home.rglob("*"):
            assert not path.is_file() or secret.encode() not in path.read_bytes(), path


def test_a_wrong_password_is_named_and_not_repeated(server: Server, platform: Installation) -> None:
    """The message says what to check."""
    url = server.reader_url.replace(ESCAPED_PASSWORD, "another%40secret")
    platform.environment.setenv("AGENTSTATS_POSTGRES_URL", url)
    problem = problem_of_pull(platform)
    assert "password authentication failed" in problem
    assert "AGENTSTATS_POSTGRES_URL" in problem
    assert "secret" not in problem


def test_a_missing_table_is_named_and_the_other_streams_are_read(
    server: Server, platform: Installation
) -> None:
    """One stream's problem is not the others'; null says that a stream is not read."""
    server.run("drop table audit_events")
    with server.connect() as session:
        write_usage(session, "a")
    done, _ = pull_and_land(platform)
    (problem,) = done.problems
    assert "there is no table or view audit_events" in problem
    assert ids_in_lake(platform) == ["a"]
    platform.environment.setenv("AGENTSTATS_POSTGRES_TABLES", '{"audit_events": null}')
    assert not pull_and_land(platform)[0].problems


def test_a_column_that_is_gone_or_retyped_is_named_and_nothing_is_lost(
    server: Server, platform: Installation
) -> None:
    """The stream waits; mended, it goes on with everything written meanwhile."""
    with server.connect() as session:
        write_usage(session, "a")
        pull_and_land(platform, AGENT_USAGE_EVENTS)
        write_usage(session, "b")
        session.execute("alter table agent_usage_events rename input_tokens to tokens_in")
        assert "column input_tokens is missing" in problem_of_pull(platform)
        platform.environment.setenv(
            "AGENTSTATS_POSTGRES_COLUMNS",
            '{"agent_usage_events": {"input_tokens": "tokens_in"}}',
        )
        session.execute(
            "alter table agent_usage_events alter tokens_in type boolean using tokens_in > 0"
        )
        problem = problem_of_pull(platform)
        assert "column tokens_in is boolean, which cannot hold input_tokens" in problem
        session.execute(
            "alter table agent_usage_events alter tokens_in type numeric(12, 2) using 100"
        )
    assert not pull_and_land(platform, AGENT_USAGE_EVENTS)[0].problems
    assert ids_in_lake(platform) == ["a", "b"]


def test_rights_that_are_missing_are_named(server: Server, platform: Installation) -> None:
    """A role without SELECT, and one that sees only some rows."""
    server.run("revoke select on agent_usage_events from reader")
    assert "permission denied for table agent_usage_events" in problem_of_pull(platform)
    server.run(
        "grant select on agent_usage_events to reader",
        "alter table agent_usage_events enable row level security",
    )
    assert "BYPASSRLS" in problem_of_pull(platform)


def test_a_statement_that_takes_too_long_is_stopped_by_the_server(
    server: Server, platform: Installation
) -> None:
    """And no one who changes a table keeps a pull waiting for long."""
    server.run(
        "create view slow as select agent_usage_events.* from agent_usage_events, pg_sleep(5)",
        "grant select on slow to reader",
    )
    with server.connect() as session:
        write_usage(session, "a")
    platform.environment.setenv("AGENTSTATS_POSTGRES_TABLES", '{"agent_usage_events": "slow"}')
    platform.environment.setenv("AGENTSTATS_POSTGRES_STATEMENT_TIMEOUT_SECONDS", "0.5")
    problem = problem_of_pull(platform)
    assert "statement timeout" in problem
    assert "AGENTSTATS_POSTGRES_STATEMENT_TIMEOUT_SECONDS" in problem


@pytest.mark.parametrize("how", ["cut", "crash"])
def test_a_connection_cut_in_mid_pull_loses_and_doubles_nothing(
    server: Server, platform: Installation, how: str
) -> None:
    """Before each chunk's rows, and at any moment: a half-read chunk is no file, and the next pull
    has all."""
    server.run(
        "insert into agent_usage_events select 'event-' || n, 1, 11, 5, 'm', 1, 1, 2, 1, "
        f"'{AT}', null from generate_series(1, 60000) as n"
    )
    platform.environment.setenv("AGENTSTATS_POSTGRES_CHUNK_ROWS", "20000")
    break_off = partial(server.cut, "agentstats") if how == "cut" else server.crash_and_start
    for whole_chunks in (0, 1, 2):
        with before_rows_of_chunk(whole_chunks + 1, platform.environment, break_off):
            done, loads = pull_and_land(platform, AGENT_USAGE_EVENTS, from_start=True)
        assert len(done.problems) == 1
        assert len(loads) == whole_chunks
    # A fast machine is through before the last of these.
    for delay in (0.05, 0.1, 0.2, 0.4):
        thread = threading.Timer(delay, break_off)
        thread.start()
        pull_and_land(platform, AGENT_USAGE_EVENTS, from_start=True)
        thread.join()
    assert not list(platform.home.rglob(".postgres-*"))
    assert not pull_and_land(platform, AGENT_USAGE_EVENTS)[0].problems
    ids = ids_in_lake(platform)
    assert len(ids) == len(set(ids)) == 60000


@contextmanager
def before_rows_of_chunk(
    number: int, environment: pytest.MonkeyPatch, act: Callable[[], object]
) -> Iterator[None]:
    """In the block, let something happen when a pull has begun its chunk of this number."""
    begun = count(1)
    write = Source.write

    def act_and_write(self: Source, query: str, received: str, target: Path) -> int:
        if next(begun) == number:
            act()
        return write(self, query, received, target)

    with environment.context() as patched:
        patched.setattr(Source, "write", act_and_write)
        yield


def test_a_puller_that_is_killed_leaves_nothing_half_done(
    server: Server, platform: Installation
) -> None:
    """kill -9 at any moment: the next pull goes on, and removes what was half written."""
    server.run(
        "insert into agent_usage_events select 'event-' || n, 1, 11, 5, 'm', 1, 1, 2, 1, "
        f"'{AT}', null from generate_series(1, 60000) as n"
    )
    platform.environment.setenv("AGENTSTATS_POSTGRES_CHUNK_ROWS", "2000")
    for delay in (0.5, 0.8, 1.2):
        puller = subprocess.Popen(
            [sys.executable, "-c", "from orchestration.cli import main; main()", "source", "pull"],
            env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
            stderr=subprocess.PIPE,
        )
        assert puller.stderr is not None
        # Its first line says that it reads.
        puller.stderr.readline()
        time.sleep(delay)
        puller.send_signal(signal.SIGKILL)
        puller.communicate()
    stray = platform.home / "landing" / "agent_usage_events" / ".postgres-stray.parquet.tmp"
    stray.parent.mkdir(parents=True, exist_ok=True)
    stray.touch()
    assert not pull_and_land(platform, AGENT_USAGE_EVENTS)[0].problems
    assert not stray.exists()
    ids = ids_in_lake(platform)
    assert len(ids) == len(set(ids)) == 60000


def test_check_names_every_mismatch(server: Server, platform: Installation) -> None:
    """`agentstats source check`: what there is, what would be read, and all that does not fit."""
    with server.connect() as session:
        write_usage(session, "a")
    code, report = check()
    assert code == 0 and report["is_fit"]
    by_name = {each["stream"]: each for each in report["streams"]}
    assert by_name["agent_usage_events"]["next_pull"].startswith("all of it, in chunks")
    assert by_name["agents"]["next_pull"].startswith("all of it, each time")
    assert "public.audit_events" in {each["table"] for each in report["tables"]}
    pull_and_land(platform)
    server.run(
        "alter table agents drop column agent_type_id",
        "alter table feedback_events alter rating type interval using '1 s', "
        "alter occurred_at type bigint using 1, add column mood text",
        "drop table audit_events",
    )
    code, report = check()
    assert code == 1 and not report["is_fit"]
    by_name = {each["stream"]: each for each in report["streams"]}
    assert "from transaction" in by_name["agent_usage_events"]["next_pull"]
    assert len(by_name["feedback_events"]["mismatches"]) == 2
    assert "agent_type_id is missing" in by_name["agents"]["mismatches"][0]
    assert "no table or view audit_events" in by_name["audit_events"]["mismatches"][0]
    unread = [each for each in by_name["feedback_events"]["columns"] if each["note"] == "not read"]
    assert [each["source_column"] for each in unread] == ["mood"]


def check() -> tuple[int, dict[str, Any]]:
    """(exit code, report) of `agentstats source check --json`."""
    done = subprocess.run(
        [sys.executable, "-c", "from orchestration.cli import main; main()",
         "source", "check", "--json"],
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert PASSWORD not in done.stdout + done.stderr
    return done.returncode, json.loads(done.stdout)
