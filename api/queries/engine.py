"""The SQL files of `queries/sql`, rendered once, and the one way to run them for a customer."""

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import jinja2
from jinja2.runtime import Macro

from api.queries.turns import Turns
from api.snapshots import Lease, Row
from api.windows import Window

SQL_FOLDER = Path(__file__).resolve().parent / "sql"
MACROS = Path(__file__).resolve().parents[2] / "dbt_project" / "macros"
METRICS_FILE = MACROS / "metrics.sql"
EXACT_RATIO_FILE = MACROS / "engines" / "exact_ratio.sql"
MOST_ROWS = 10_000
"""An answer that is a list has the greatest of its rows, so many at most.

By `qualify` and not by `limit`, which DuckDB 2.0.0 drops where one side of a left join is empty.
"""
PARAMETER = re.compile(r"\$([a-z_]+)")

USAGE = (
    "message_count",
    "total_tokens",
    "input_tokens",
    "output_tokens",
    "response_time_ms_sum",
    "response_time_count",
    "timed_output_tokens",
)
COMPLIANCE = (
    "scan_count",
    "scanned_messages",
    "toxic_messages",
    "messages_with_pii",
    "pii_redactions",
)
RATINGS = ("rating_count", "rating_sum", *(f"rating_{stars}_count" for stars in range(1, 6)))


@dataclass(frozen=True)
class SeriesSource:
    """Where a series comes from: a daily mart, the quarter-hourly one for the edges of a window."""

    daily: str
    quarter_hourly: str
    groups: tuple[str, ...]
    measures: tuple[str, ...]


USAGE_MART = "usage_quarter_hourly"
SERIES = {
    "usage": SeriesSource("customer_daily", USAGE_MART, (), USAGE),
    "messages_of_agents": SeriesSource(
        "agent_daily", USAGE_MART, ("agent_id",), ("message_count",)
    ),
    "usage_of_agents": SeriesSource("agent_daily", USAGE_MART, ("agent_id",), USAGE),
    "usage_of_models": SeriesSource("model_daily", USAGE_MART, ("model",), USAGE),
    "usage_of_agent_types": SeriesSource(
        "agent_type_model_daily", USAGE_MART, ("agent_type_id", "model"), USAGE
    ),
    "compliance": SeriesSource(
        "compliance_daily", "compliance_quarter_hourly", ("agent_type_id",), COMPLIANCE
    ),
    "redactions": SeriesSource(
        "pii_daily", "pii_quarter_hourly", ("entity_type",), ("pii_redactions",)
    ),
    "ratings": SeriesSource(
        "load_bucket_daily", "feedback_quarter_hourly", ("agent_type_id", "load_bucket"), RATINGS
    ),
}
"""What is held in memory of a customer, by name."""
SERIES_QUERIES = ("series_by_date", "series_by_quarter_hour", "series_early_in_the_day")


class Queries:
    """All queries, by the name of their file: rendered when this is made, plain text after.

    Those of a series are called after the macro that makes them: `series_by_date(usage)`.
    """

    def __init__(self) -> None:
        self._turns = Turns()
        # SQL, not HTML: nothing is escaped, and nothing from a request is ever rendered.
        environment = jinja2.Environment(
            autoescape=False, undefined=jinja2.StrictUndefined, keep_trailing_newline=False
        )
        macros = "".join(
            path.read_text(encoding="utf-8")
            for path in (EXACT_RATIO_FILE, METRICS_FILE, *sorted(SQL_FOLDER.glob("*.jinja")))
        )
        # Compiled once, as what every query may call: in front of each query they would be compiled
        # with each, which took nine tenths of the start of a worker.
        environment.globals["most_rows"] = MOST_ROWS
        compiled = environment.from_string(macros).module
        environment.globals |= {
            name: macro for name, macro in vars(compiled).items() if isinstance(macro, Macro)
        }

        def rendered(template: jinja2.Template, **values: Any) -> str:
            return template.render(**values).strip()

        self._sql = {
            path.stem: rendered(environment.from_string(path.read_text(encoding="utf-8")))
            for path in sorted(SQL_FOLDER.glob("*.sql"))
        }
        for query in SERIES_QUERIES:
            call = "{{ " + query + "(daily, quarter_hourly, groups, measures) }}"
            template = environment.from_string(call)
            for name, source in SERIES.items():
                self._sql[f"{query}({name})"] = rendered(template, **asdict(source))

    @property
    def names(self) -> list[str]:
        """Names of all queries: those of the files, then those of series."""
        return list(self._sql)

    def sql(self, name: str) -> str:
        """The rendered text of a query."""
        return self._sql[name]

    def run(
        self,
        lease: Lease,
        name: str,
        *,
        customer_id: int,
        window: Window | None = None,
        time_of_day: timedelta | None = None,
    ) -> list[Row]:
        """The rows of a query about one customer, in one window where it asks for one."""
        bound = self._bound(name, customer_id, window, time_of_day)
        with self._turns.turn_of(customer_id):
            return lease.rows(*bound)

    def tuples(
        self,
        lease: Lease,
        name: str,
        *,
        customer_id: int,
        window: Window | None = None,
        time_of_day: timedelta | None = None,
    ) -> Iterator[tuple[Any, ...]]:
        """The same rows as tuples, some at a time."""
        bound = self._bound(name, customer_id, window, time_of_day)
        with self._turns.turn_of(customer_id):
            yield from lease.tuples(*bound)

    def _bound(
        self, name: str, customer_id: int, window: Window | None, time_of_day: timedelta | None
    ) -> tuple[str, dict[str, Any]]:
        """A query and its parameters.

        The only function through which a customer id reaches SQL: it comes from the verified key.
        """
        sql = self._sql[name]
        used = set(PARAMETER.findall(sql))
        values = {"customer_id": customer_id, "time_of_day": time_of_day}
        if window is not None:
            values |= _bounds(window)
            if "labels" in used:
                values |= _days(window)
        return sql, {parameter: values[parameter] for parameter in used}


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
