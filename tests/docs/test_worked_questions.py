"""The analysts' questions run, and their answers are those that the page shows."""

from __future__ import annotations

import re

import pytest

import worked_questions
from published_demo import NOW, PublishedDemo

PAGE = worked_questions.PAGE.read_text()
QUESTIONS = worked_questions.questions(PAGE)


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
    import duckdb

    with duckdb.connect() as connection:
        shown = worked_questions.answer(connection, "select '<b>|</b>' as name, null as nothing")
    assert shown == "\n| name | nothing |\n| --- | --- |\n| &lt;b&gt;&#124;&lt;/b&gt; |  |\n\n"
