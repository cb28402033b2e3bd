"""The sums that are recorded when rows are written to the lake, and recounted from it.

Counts alone would not show a number that has changed on its way.
"""

from __future__ import annotations

# By stream: what is summed, and how it is read from a row of the lake.
SUMS = {
    "agent_usage_events": {
        "input_tokens": "input_tokens",
        "output_tokens": "output_tokens",
        "response_time_ms": "response_time_ms",
    },
    "audit_events": {"pii_redactions": "list_sum(map_values(pii_redactions))"},
    "feedback_events": {"rating": "rating"},
}
# Versions of one event are rows of their own.
ROWS = "rows"
MEASURES = (ROWS, *(name for sums in SUMS.values() for name in sums))


def written_sums(stream: str, condition: str = "true") -> str:
    """SQL: for each measure of any stream a column `written_<measure>`, over rows of the stream
    that the condition holds for; 0 where the stream has no such measure.

    They are as wide as a Parquet file can hold, so that no number of rows overflows.
    """
    of_stream = {ROWS: "1", **SUMS[stream]}
    return ", ".join(
        f"cast(coalesce(sum({of_stream[name]}) filter ({condition}), 0) as decimal(38, 0)) "
        f"as written_{name}"
        if name in of_stream
        else f"cast(0 as decimal(38, 0)) as written_{name}"
        for name in MEASURES
    )
