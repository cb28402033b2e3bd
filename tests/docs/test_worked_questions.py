"""The analysts' questions run, and their answers are those that the page shows."""

from __future__ import annotations

import re
import shutil
from collections import defaultdict
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

import worked_questions
from published_demo import NOW, PublishedDemo

PAGE = worked_questions.PAGE.read_text()
QUESTIONS = worked_questions.questions(PAGE)

ONE_CUSTOMER = "one customer"
AT_ONE_TIME = "several customers at one time"
OVER_TIME = "several customers over time"
ASKED = 1039

# What SQL needs to set one time against another.
BY_TIME = re.compile(
    r"date_trunc\(|lag\(|lead\(|days_ago|filter \(where occurred_date|"
    r"select[^()]*(occurred_date|bucket_start)[^()]*from"
)

TODAY = date.fromisoformat(NOW[:10])
KEPT_DAYS = {"free": 7, "starter": 30, "pro": 90, "enterprise": 365}


def test_there_are_ten_questions_and_the_page_says_how_the_data_was_made() -> None:
    """All ten are found, in order, and the time on the page is the time of the test's demo."""
    assert [question.title.split(".")[0] for question in QUESTIONS] == [
        str(number) for number in range(1, 11)
    ]
    assert f"AGENTSTATS_NOW={NOW} agentstats demo --no-serve" in PAGE


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.title)
def test_the_answer_on_the_page_is_the_answer(
    demo: PublishedDemo, question: worked_questions.Question
) -> None:
    """A question's SQL gives what stands below it; `make docs` writes it anew."""
    with demo.connect() as connection:
        assert worked_questions.answer(connection, question.sql) == question.answer


def test_an_answer_has_rows() -> None:
    """No question is answered by nothing."""
    for question in QUESTIONS:
        assert question.answer.strip().count("\n") >= 2, question.title


def asking_about(kind: str) -> list[worked_questions.Question]:
    """The questions of which the page declares this."""
    return [question for question in QUESTIONS if question.asks_about == kind]


def test_each_question_declares_whether_it_compares_customers_over_time() -> None:
    """One that takes several customers, and one time only, has nothing to set times apart with."""
    kinds = {ONE_CUSTOMER, AT_ONE_TIME, OVER_TIME}
    assert {question.asks_about for question in QUESTIONS} == kinds
    for question in asking_about(AT_ONE_TIME):
        assert not BY_TIME.search(question.sql), question.title
    for question in asking_about(OVER_TIME):
        assert BY_TIME.search(question.sql), question.title
        assert "covered_from" in question.sql, question.title


@pytest.fixture
def copy(demo: PublishedDemo, tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A copy of the published file, to be changed."""
    with duckdb.connect(shutil.copy(demo.snapshot, tmp_path / "agentstats.duckdb")) as connection:
        yield connection


def delete_customers(connection: duckdb.DuckDBPyConnection, condition: str) -> None:
    """Take the customers of a condition out of every mart."""
    connection.execute(
        f"create temp table gone as select customer_id from marts.customers where {condition}"
    )
    for (table,) in connection.execute(
        "select distinct table_name from duckdb_columns() join duckdb_tables() "
        "using (schema_name, table_name) "
        "where schema_name = 'marts' and column_name = 'customer_id'"
    ).fetchall():
        connection.execute(f"delete from marts.{table} where customer_id in (from gone)")


def test_a_question_about_one_customer_is_answered_from_its_rows_alone(
    copy: duckdb.DuckDBPyConnection,
) -> None:
    """Nothing of another customer is in it: without them it is the same."""
    delete_customers(copy, f"customer_id <> {ASKED}")
    for question in asking_about(ONE_CUSTOMER):
        assert worked_questions.answer(copy, question.sql) == question.answer, question.title


def shown(answer: str) -> dict[str, list[dict[str, str]]]:
    """The rows of an answer on the page, by which customers they compare."""
    names, _, *lines = (
        [cell.strip() for cell in line.strip("|").split("|")] for line in answer.split("\n") if line
    )
    rows: dict[str, list[dict[str, str]]] = defaultdict(list)
    for line in lines:
        row = dict(zip(names, line, strict=True))
        rows[row.pop("customers_compared")].append(row)
    return rows


def test_times_are_compared_over_the_same_customers(copy: duckdb.DuckDBPyConnection) -> None:
    """Without the customers who are not whole in the first of them, what is compared stays as it
    is, and what is not becomes it; on the page the two differ."""
    for question, first in zip(
        asking_about(OVER_TIME), (date(2026, 9, 1), TODAY - timedelta(days=14)), strict=True
    ):
        on_page = shown(question.answer)
        same, everybody = on_page["the same customers"], on_page["all that are in here"]
        assert len({row["customers"] for row in same}) == 1, question.title
        assert same != everybody and same[0] == everybody[0], question.title
        copy.execute("begin")
        delete_customers(copy, f"covered_from is null or covered_from > date '{first}'")
        found = shown(worked_questions.answer(copy, question.sql))
        copy.execute("rollback")
        assert found == {"the same customers": same, "all that are in here": same}, question.title


def test_both_numbers_of_a_comparison_are_those_of_the_events(demo: PublishedDemo) -> None:
    """Counted in plain Python from the lake, with customers covered as the contract says."""
    events = lake(
        demo,
        "agent_usage_events",
        "event_id, occurred_at, input_tokens + output_tokens, error_type is null",
    )
    tiers = {
        customer: (tier, days)
        for customer, tier, days in lake(demo, "customers", "tier, retention_days")
    }
    first: dict[int, date] = {}
    versions: dict[tuple[int, str], tuple[date, int]] = {}
    messages = set()
    for customer, event, at, tokens, is_message in events:
        first[customer] = min(first.get(customer, at.date()), at.date())
        # The sample corrects some counts, each to a greater one.
        if tokens >= versions.get((customer, event), (at.date(), 0))[1]:
            versions[customer, event] = (at.date(), tokens)
        if is_message:
            messages.add((customer, event))
    covered = {}
    for customer, begins in first.items():
        tier, days = tiers[customer]
        kept = days or KEPT_DAYS[tier] if tier == "enterprise" else KEPT_DAYS[tier]
        covered[customer] = max(begins + timedelta(days=1), TODAY - timedelta(days=kept))
    months, weeks = (question.answer for question in asking_about(OVER_TIME))
    for compared, rows in shown(weeks).items():
        counted = []
        for row, (newest, oldest) in zip(rows, ((8, 14), (1, 7)), strict=True):
            days_taken = {TODAY - timedelta(days=ago) for ago in range(newest, oldest + 1)}
            taken = [
                (customer, tokens, (customer, event) in messages)
                for (customer, event), (day, tokens) in versions.items()
                if day in days_taken
                and (
                    compared != "the same customers"
                    or covered[customer] <= TODAY - timedelta(days=14)
                )
            ]
            counted.append(sum(is_message for *_, is_message in taken))
            assert row["customers"] == str(len({customer for customer, *_ in taken}))
            assert row["messages"] == str(counted[-1])
            assert row["tokens"] == str(sum(tokens for _, tokens, _ in taken))
        change = round(100 * (counted[1] / counted[0] - 1), 1)
        assert rows[1]["messages_change_percent"] == str(change)
    for compared, rows in shown(months).items():
        for row in rows:
            of_month = [
                (customer, (customer, event) in messages)
                for (customer, event), (day, _) in versions.items()
                if day.replace(day=1).isoformat() == row["month"]
                and (compared != "the same customers" or covered[customer] <= date(2026, 9, 1))
            ]
            assert row["customers"] == str(len({customer for customer, _ in of_month}))
            assert row["messages"] == str(sum(is_message for _, is_message in of_month))


def lake(demo: PublishedDemo, stream: str, columns: str) -> list[tuple[Any, ...]]:
    """The customer and these columns of each row of a stream in the lake."""
    with duckdb.connect() as connection:
        return connection.execute(
            f"select customer_id, {columns} from read_parquet($paths, hive_partitioning = false)",
            {"paths": f"{demo.home}/lake/{stream}/**/*.parquet"},
        ).fetchall()


def test_other_queries_of_the_docs_run(demo: PublishedDemo) -> None:
    """Each query in a page, and in the page of metrics each call, runs and gives rows."""
    pages = [PAGE, (worked_questions.PAGE.parent / "metrics.md").read_text()]
    queries = [
        query
        for page in pages
        for query in re.findall(r"```sql\n(select .*?|with .*?)```", page, re.DOTALL)
    ]
    assert len(queries) > len(QUESTIONS)
    with demo.connect() as connection:
        for query in queries:
            assert connection.execute(query).fetchall(), query


def test_a_cell_shows_whatever_is_in_it() -> None:
    """Markup and bars of a name are shown, not obeyed."""
    with duckdb.connect() as connection:
        cells = worked_questions.answer(connection, "select '<b>|</b>' as name, null as nothing")
    assert cells == "\n| name | nothing |\n| --- | --- |\n| &lt;b&gt;&#124;&lt;/b&gt; |  |\n\n"
