"""The SQL files of `stats/sql`, rendered once, and the one way to run them for a customer."""

import re
from datetime import datetime
from pathlib import Path
from typing import Any

import jinja2

from api.serving import Lease, Row
from api.windows import Window

SQL_FOLDER = Path(__file__).resolve().parent / "stats" / "sql"
METRICS_FILE = Path(__file__).resolve().parents[1] / "dbt_project" / "macros" / "metrics.sql"
PARAMETER = re.compile(r"\$([a-z_]+)")


class Queries:
    """All queries, by the name of their file: rendered when this is made, plain text after."""

    def __init__(self) -> None:
        # SQL, not HTML: nothing is escaped, and nothing from a request is ever rendered.
        environment = jinja2.Environment(
            autoescape=False, undefined=jinja2.StrictUndefined, keep_trailing_newline=False
        )
        macros = "".join(
            path.read_text(encoding="utf-8")
            for path in (METRICS_FILE, *sorted(SQL_FOLDER.glob("*.jinja")))
        )
        self._sql = {
            path.stem: environment.from_string(macros + path.read_text(encoding="utf-8"))
            .render()
            .strip()
            for path in sorted(SQL_FOLDER.glob("*.sql"))
        }

    @property
    def names(self) -> list[str]:
        """Names of all queries, sorted."""
        return list(self._sql)

    def sql(self, name: str) -> str:
        """The rendered text of a query."""
        return self._sql[name]

    def run(self, lease: Lease, name: str, *, customer_id: int, window: Window) -> list[Row]:
        """The rows of a query about one customer in one window.

        The only function through which a customer id reaches SQL: it comes from the verified key.
        """
        sql = self._sql[name]
        used = set(PARAMETER.findall(sql))
        values = {"customer_id": customer_id, **_bounds(window)}
        if "labels" in used:
            values |= _days(window)
        return lease.rows(sql, {parameter: values[parameter] for parameter in used})


def _bounds(window: Window) -> dict[str, Any]:
    return {
        "window_from": _naive(window.from_instant),
        "window_to": _naive(window.to_instant),
        "whole_days_from": window.whole_days.start.date(),
        "whole_days_to": window.whole_days.end.date(),
        "head_from": _naive(window.head.start),
        "head_to": _naive(window.head.end),
        "tail_from": _naive(window.tail.start),
        "tail_to": _naive(window.tail.end),
    }


def _days(window: Window) -> dict[str, Any]:
    return {
        "labels": window.labels,
        "day_starts": [_naive(span.start) for span in window.spans],
        "day_ends": [_naive(span.end) for span in window.spans],
    }


def _naive(instant: datetime) -> datetime:
    """UTC without its offset, as the marts store it."""
    return instant.replace(tzinfo=None)
