"""The SQL files of `queries/sql`, rendered once, and the one way to run them for a customer."""

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import jinja2
from jinja2.runtime import Macro

from api.queries.queues import QueryQueues
from api.snapshots import Lease, Row
from api.windows import Window, without_offset

SQL_FOLDER = Path(__file__).resolve().parent / "sql"
PARAMETER = re.compile(r"\$([a-z_]+)")


class Queries:
    """All queries, by the name of their file: rendered when this is made, plain text after."""

    def __init__(self) -> None:
        self._queues = QueryQueues()
        # SQL, not HTML: nothing is escaped, and nothing from a request is ever rendered.
        environment = jinja2.Environment(
            autoescape=False, undefined=jinja2.StrictUndefined, keep_trailing_newline=False
        )
        macros = "".join(
            path.read_text(encoding="utf-8") for path in sorted(SQL_FOLDER.glob("*.jinja"))
        )
        # Compiled once, as what every query may call: in front of each query they would be compiled
        # with each, which took nine tenths of the start of a worker.
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

    @property
    def names(self) -> list[str]:
        """Names of all queries."""
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
    ) -> list[Row]:
        """The rows of a query about one customer, in one window where it asks for one."""
        bound = self._bound(self._sql[name], customer_id, window, None)
        with self._queues.next_of(customer_id):
            return lease.rows(*bound)

    def tuples(self, lease: Lease, name: str, *, customer_id: int) -> Iterator[tuple[Any, ...]]:
        """The rows of a query that asks for no window, as tuples, some at a time."""
        return self.tuples_of(lease, self._sql[name], customer_id=customer_id)

    def tuples_of(
        self,
        lease: Lease,
        sql: str,
        *,
        customer_id: int,
        window: Window | None = None,
        time_of_day: timedelta | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> Iterator[tuple[Any, ...]]:
        """The rows of a statement as tuples, some at a time.

        Its text is made of declared names alone; whatever a request sent is among the parameters.
        """
        bound = self._bound(sql, customer_id, window, time_of_day, parameters)
        with self._queues.next_of(customer_id):
            yield from lease.tuples(*bound)

    def _bound(
        self,
        sql: str,
        customer_id: int,
        window: Window | None,
        time_of_day: timedelta | None,
        parameters: Mapping[str, Any] | None = None,
    ) -> tuple[str, dict[str, Any]]:
        """A query and its parameters.

        The only function through which a customer id reaches SQL: it comes from the verified key.
        """
        used = set(PARAMETER.findall(sql))
        values = {**(parameters or {}), "customer_id": customer_id, "time_of_day": time_of_day}
        if window is not None:
            values |= _bounds(window)
            if "labels" in used:
                values |= _days(window)
        return sql, {parameter: values[parameter] for parameter in used}


def _bounds(window: Window) -> dict[str, Any]:
    return {
        "window_from": without_offset(window.from_instant),
        "window_to": without_offset(window.to_instant),
        "whole_days_from": window.whole_days.start.date(),
        "whole_days_to": window.whole_days.end.date(),
        "head_from": without_offset(window.head.start),
        "head_to": without_offset(window.head.end),
        "tail_from": without_offset(window.tail.start),
        "tail_to": without_offset(window.tail.end),
    }


def _days(window: Window) -> dict[str, Any]:
    return {
        "labels": window.labels,
        "day_starts": [without_offset(span.start) for span in window.spans],
        "day_ends": [without_offset(span.end) for span in window.spans],
    }
