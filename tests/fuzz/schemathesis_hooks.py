"""What schemathesis must know that a schema cannot say. Loaded by it, through an environment
variable."""

from typing import Any

import schemathesis

TODAY = "2026-03-10"
OF_ANOTHER = ("secret-model", "Another Bot", "SECRET", "Boreal")


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """A date after today is refused, and JSON Schema has no today."""
    del context, kwargs
    meta = case.meta
    if meta is None or meta.generation.mode.value != "positive":
        return
    end = (case.query or {}).get("end")
    if isinstance(end, str) and end > TODAY:
        case.query["end"] = TODAY


@schemathesis.check
def only_rows_of_the_customer_who_asks(context: Any, response: Any, case: Any) -> None:
    """Whatever was asked, nothing of customer 2 is in the answer."""
    del context, case
    for text in OF_ANOTHER:
        if text in response.text:
            raise AssertionError(f"a row of another customer: {text}")
    if "Traceback" in response.text:
        raise AssertionError("a traceback")
