"""What schemathesis must know that a schema cannot say. Loaded by it, through an environment
variable."""

from datetime import date, timedelta
from typing import Any

import schemathesis

from api.metrics.declared import declared
from api.windows import zone_names

TODAY = "2026-03-10"
PARQUET = "application/vnd.apache.parquet"
OF_ANOTHER = ("secret-model", "Another Bot", "SECRET", "Boreal")


@schemathesis.hook
def before_load_schema(context: Any, raw_schema: Any) -> None:
    """The zones there are, and CSV: the document has neither, for the clients made of it."""
    del context
    for operations in raw_schema["paths"].values():
        parameters = {each["name"]: each for each in operations["get"].get("parameters", [])}
        if "tz" in parameters:
            parameters["tz"]["schema"]["enum"] = sorted(zone_names())
        if "format" in parameters:
            content = operations["get"]["responses"]["200"]["content"]
            content["text/csv"] = {"schema": {"type": "string"}}
            if "parquet" in parameters["format"]["schema"].get("enum", ()):
                content[PARQUET] = {"schema": {"type": "string", "format": "binary"}}


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """What is refused and JSON Schema cannot say: dates after today, `start` beside `days`, after
    the end, or 2557 dates before it."""
    del context, kwargs
    meta = case.meta
    if meta is None or meta.generation.mode.value != "positive":
        return
    query = case.query or {}
    if case.operation.path == "/api/stats/query":
        _go_together(query)
    end, start = query.get("end", TODAY), query.get("start")
    if not isinstance(end, str):
        return
    if end > TODAY:
        query["end"] = end = TODAY
    if isinstance(start, str):
        query.pop("days", None)
        earliest = date.fromisoformat(end) - timedelta(days=2556)
        query["start"] = min(max(start, earliest.isoformat(), "1970-01-01"), end)


def _go_together(query: dict[str, Any]) -> None:
    """A metric, its dimensions, and no more buckets than an answer may have."""
    known = declared()
    names = list(known.metrics)
    name = names[len(repr(query)) % len(names)]
    fitting = known.dimensions_of(known.metrics[name])
    query["metrics"] = name
    query["group_by"] = fitting[len(repr(query)) % len(fitting)]
    query["order_by"] = query["group_by"]
    for other in set(known.dimensions) - {query["group_by"]}:
        query.pop(other, None)
    if query.get("granularity") in ("hour", "quarter_hour"):
        query["granularity"] = "month"


@schemathesis.check
def format_says_which_content_it_is(context: Any, response: Any, case: Any) -> None:
    """An answer is CSV or Parquet where that was asked for, and JSON everywhere else."""
    del context
    if response.status_code == 200:
        format = str((case.query or {}).get("format"))
        expected = {"csv": "text/csv", "parquet": PARQUET}.get(format, "application/json")
        if not response.headers["content-type"][0].startswith(expected):
            raise AssertionError(f"{case.query}: {response.headers['content-type']}")


@schemathesis.check
def only_rows_of_the_customer_who_asks(context: Any, response: Any, case: Any) -> None:
    """Whatever was asked, nothing of customer 2 is in the answer."""
    del context, case
    for text in OF_ANOTHER:
        if text.encode() in response.content:  # Parquet is no text
            raise AssertionError(f"a row of another customer: {text}")
    if b"Traceback" in response.content:
        raise AssertionError("a traceback")
