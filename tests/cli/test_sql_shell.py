"""`agentstats sql`: answers in three formats, a prompt, and no way to write."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import pty
import select
import subprocess
import sys
import time
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from orchestration.cli.sql_shell import Shell
from orchestration.publication.reading import ReadingProblem, open_snapshot
from orchestration.settings import read_settings
from published_demo import PublishedDemo, environment, run_agentstats


def test_a_query_is_answered_as_a_table(demo: PublishedDemo) -> None:
    """The marts need no schema in front, and the number of rows is under the table."""
    done = demo.agentstats("sql", "select load_bucket, min_instances from load_buckets order by 2")
    assert done.returncode == 0, done.stderr
    lines = [line.replace("│", "").split() for line in done.stdout.splitlines()]
    assert ["low", "1"] in lines
    assert ["high", "6"] in lines
    assert lines[-1] == ["3", "rows"]


def test_csv_and_json_hold_every_row(demo: PublishedDemo) -> None:
    """Both formats give all rows of a mart; in JSON numbers are numbers, and money is a text."""
    as_csv = demo.agentstats("sql", "from customer_daily", "--format", "csv").stdout
    as_json = demo.agentstats("sql", "from customer_daily", "--format", "json").stdout
    with demo.connect() as connection:
        expected = connection.execute("from marts.customer_daily").fetchall()
    rows = list(csv.reader(io.StringIO(as_csv)))
    assert rows[0][0] == "customer_id"
    assert [row[0] for row in rows[1:]] == [str(row[0]) for row in expected]
    found = [tuple(row.values()) for row in json.loads(as_json)]
    assert found == [tuple(map(_in_json, row)) for row in expected]


def _in_json(cell: object) -> object:
    if isinstance(cell, date):
        return cell.isoformat()
    return f"{cell:f}" if isinstance(cell, Decimal) else cell


def test_a_csv_cell_does_not_run_as_a_formula(demo: PublishedDemo) -> None:
    """A name that starts like a formula gets a quote in front."""
    done = demo.agentstats("sql", "select '=1+1' as agent_type_name", "--format", "csv")
    assert done.stdout.splitlines() == ["agent_type_name", "'=1+1"]


def test_a_query_comes_from_standard_input_too(demo: PublishedDemo) -> None:
    """Without an argument and without a terminal, what is piped in is answered."""
    done = demo.agentstats("sql", "--format", "json", typed="select 1 as one; select 2 as two;")
    assert done.stdout.split() == ["[", '{"one":', "1}", "]", "[", '{"two":', "2}", "]"]


@pytest.mark.parametrize(
    "statement",
    [
        "delete from customers",
        "drop table customers",
        "create table mine as select 1",
        "insert into customers from customers",
        "update customers set tier = 'free'",
        "copy customers to 'customers.csv'",
        "attach 'mine.duckdb'",
        "set enable_external_access = true",
        "select 1; delete from customers",
        "explain analyze delete from customers",
    ],
)
def test_an_attempt_to_write_is_refused_before_anything_runs(
    demo: PublishedDemo, statement: str
) -> None:
    """Whatever would write gets a refusal in one line, no answer, and leaves no file."""
    before = hashlib.sha256(demo.snapshot.read_bytes()).digest(), sorted(demo.home.iterdir())
    out = io.StringIO()
    with open_snapshot(read_settings(environment(demo.home))) as snapshot:
        shell = Shell(snapshot, out, "csv")
        with pytest.raises(ReadingProblem, match=r"refused|read-only"):
            shell.answer(statement)
    assert out.getvalue() == ""
    assert before == (hashlib.sha256(demo.snapshot.read_bytes()).digest(),
                      sorted(demo.home.iterdir()))  # fmt: skip


def test_a_refusal_ends_the_command_with_1_and_says_what_to_do(demo: PublishedDemo) -> None:
    """On the command line the refusal is on standard error, and names the ways that exist."""
    done = demo.agentstats("sql", "drop table customers")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("error: refused: DROP")
    assert "agentstats export" in done.stderr


def test_other_files_cannot_be_read(demo: PublishedDemo) -> None:
    """A query that names a file gets no byte of it."""
    done = demo.agentstats("sql", "from read_csv('/etc/passwd')")
    assert done.returncode == 1
    assert "refused" in done.stderr


def test_without_a_snapshot_it_says_how_to_get_one(tmp_path: Path) -> None:
    """In an empty home the answer is what to run."""
    done = run_agentstats(tmp_path, ["sql", "select 1"])
    assert done.returncode == 1
    assert "agentstats run hourly" in done.stderr


def test_the_prompt_explains_the_marts_and_survives_mistakes(demo: PublishedDemo) -> None:
    """Commands, a query over two lines, a mistake and a refusal are all answered; end ends it."""
    typed = iter(
        [".marts", ".columns agent_daily", ".metrics", ".nonsense", "select 20", "+ 22 as sum;",
         "selct;", "drop table customers;"]
    )  # fmt: skip

    def read_line(_prompt: str) -> str:
        try:
            return next(typed)
        except StopIteration:
            raise EOFError from None

    out = io.StringIO()
    with open_snapshot(read_settings(environment(demo.home))) as snapshot:
        Shell(snapshot, out, "table").converse(read_line)
    said = out.getvalue()
    assert "One row per customer, agent and UTC date" in said
    assert "May be summed over anything" in said
    assert "avg_response_time_ms(response_time_ms_sum, response_time_count)" in said
    assert ".quit" in said
    assert "42" in said
    assert "Parser Error" in said
    assert "refused: DROP" in said


def test_the_prompt_works_at_a_terminal(demo: PublishedDemo) -> None:
    """At a terminal the command prompts, answers, and leaves at .quit with 0."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", "from orchestration.cli import main; main()", "sql"],
        env=environment(demo.home),
        cwd=demo.home,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    os.write(ours, b"select 6 * 7 as answer;\n.quit\n")
    said = b""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if select.select([ours], [], [], 0.2)[0]:
            try:
                said += os.read(ours, 65536)
            except OSError:  # the other side is closed
                break
        elif process.poll() is not None:
            break
    assert process.wait(timeout=30) == 0
    os.close(ours)
    assert "agentstats>" in said.decode()
    assert "42" in said.decode()
