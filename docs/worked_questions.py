"""Run the worked questions of for-analysts.md, and write their answers below them.

    python docs/worked_questions.py HOME            # write the answers
    python docs/worked_questions.py HOME --check    # end with 1 if one of them is another

HOME is a demo's home folder, made at the time that the page names.
"""

from __future__ import annotations

import argparse
import html
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import duckdb

PAGE = Path(__file__).resolve().parent / "for-analysts.md"

_QUESTION = re.compile(
    r"^### (?P<title>\d+\. [^\n]*)\n\n<!-- asks about: (?P<asks_about>.*?) -->\n"
    r"(?P<prose>.*?)```sql\n(?P<sql>.*?)```\n\n"
    r"<!-- answer -->\n(?P<answer>.*?)<!-- end -->",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True)
class Question:
    """A worked question of the page; `answer` is the Markdown table shown below it.

    `asks_about` is what the page declares, for a test: whether it concerns several customers, and
    whether it compares times.
    """

    title: str
    asks_about: str
    sql: str
    answer: str


def questions(text: str) -> list[Question]:
    """Every worked question of the page, in order."""
    return [
        Question(each["title"], each["asks_about"], each["sql"], each["answer"])
        for each in _QUESTION.finditer(text)
    ]


def answer(connection: duckdb.DuckDBPyConnection, sql: str) -> str:
    """The rows of a query as a Markdown table."""
    rows = connection.execute(sql).fetchall()
    names = [column[0] for column in connection.description or ()]
    lines = [names, ["---"] * len(names), *([_cell(value) for value in row] for row in rows)]
    return "\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines) + "\n"


def with_answers(text: str, answered: Callable[[str], str]) -> str:
    """The page, with each answer replaced by what `answered` makes of the question's SQL."""

    def replaced(match: re.Match[str]) -> str:
        start, end = (place - match.start() for place in match.span("answer"))
        return match[0][:start] + answered(match["sql"]) + match[0][end:]

    return _QUESTION.sub(replaced, text)


def _cell(value: object) -> str:
    """A value as a cell: a name may hold anything, and must show as text."""
    text = "" if value is None else str(value)
    return html.escape(text, quote=False).replace("|", "&#124;").replace("\n", " ")


def main() -> None:
    """Write the answers, or check them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("home", type=Path, help="home folder of the demo")
    parser.add_argument("--check", action="store_true", help="write nothing; end with 1 if stale")
    given = parser.parse_args()
    before = PAGE.read_text()
    snapshot = (given.home / "snapshots" / "agentstats.duckdb").resolve()
    with duckdb.connect(str(snapshot), read_only=True) as connection:
        after = with_answers(before, lambda sql: answer(connection, sql))
    if given.check and after != before:
        sys.exit(f"stale: {PAGE.name}; `make docs` answers its questions anew")
    if not given.check:
        PAGE.write_text(after)


if __name__ == "__main__":
    main()
