"""What the usage tables are, in the words that all the programs share."""

from collections.abc import Iterator
from dataclasses import dataclass

EVENT = (
    "customer_id",
    "event_id",
    "agent_id",
    "agent_type_id",
    "model_used",
    "input_tokens",
    "output_tokens",
    "response_time_ms",
    "occurred_at",
    "received_at",
)
"""The columns of the landing file that the tables are made from."""

QUARTER_HOURLY = "usage_quarter_hourly"
QUARTER_HOUR = ("customer_id", "agent_id", "agent_type_id", "model", "bucket_start")
DAILY = {
    "customer_daily": ("customer_id",),
    "agent_daily": ("customer_id", "agent_id"),
    "model_daily": ("customer_id", "model"),
    "agent_type_model_daily": ("customer_id", "agent_type_id", "model"),
}
"""The daily tables, each with what it groups by besides the date."""

MEASURES = (
    "message_count",
    "input_tokens",
    "output_tokens",
    "total_tokens",
    "response_time_ms_sum",
    "response_time_count",
    "timed_output_tokens",
)
LONGEST_MS = 86_400_000


@dataclass(frozen=True)
class Stretch:
    """Buckets of response times that are equally wide, from one millisecond on and before another.

    The first of them has the number `bucket`.
    """

    from_ms: int
    to_ms: int
    width: int
    bucket: int


def stretches() -> Iterator[Stretch]:
    """All of them: 1 ms wide up to 99 ms, then at most a fiftieth of where the bucket begins."""
    widths = [1] + [width for power in range(1, 21) for width in (2**power, 3 * 2 ** (power - 1))]
    from_ms, bucket = 0, 0
    for number, width in enumerate(widths):
        last = number == len(widths) - 1
        to_ms = LONGEST_MS + 1 if last else 50 * widths[number + 1]
        yield Stretch(from_ms, to_ms, width, bucket)
        bucket += -(-(to_ms - from_ms) // width)
        from_ms = to_ms


def bucket_sql(division: str) -> str:
    """The number of the bucket of `response_time_ms`; `division` is how whole numbers divide."""
    cases = " ".join(
        f"when response_time_ms < {stretch.to_ms} then {stretch.bucket} + "
        + division.format(f"(response_time_ms - {stretch.from_ms})", stretch.width)
        for stretch in stretches()
    )
    return f"case {cases} end"
