"""Response times: exact percentiles of single events, and the buckets of the marts."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from math import ceil
from typing import Any

from .answers import Period, period_asked
from .deliveries import Truth, UsageEvent

TIMES = ("p50", "p90", "p95", "p99", "max")
LONGEST_MS = 86_400_000
WIDTHS = sorted({2**power for power in range(21)} | {3 * 2**power for power in range(20)})
"""How many milliseconds wide a bucket may be: 1, 2, 3, 4, 6, 8, 12, …"""


def _bucket_starts() -> list[int]:
    """The first millisecond of each bucket: as wide as a fiftieth of that allows, and never past
    the point from which a wider one is allowed."""
    starts = [*range(100)]
    at = 100
    while at <= LONGEST_MS:
        starts.append(at)
        width = max(width for width in WIDTHS if 50 * width <= at)
        wider_from = [50 * width for width in WIDTHS if 50 * width > at]
        at = min([at + width, *wider_from])
    return starts


BUCKET_STARTS = _bucket_starts()


def bucket_of(response_time_ms: int) -> int:
    """The number of the bucket that holds a response time, from 0."""
    return bisect_right(BUCKET_STARTS, response_time_ms) - 1


def percentiles(response_times: Sequence[int]) -> dict[str, int | None]:
    """Of n values in ascending order the p-th percentile is number ceil(p * n / 100), from 1."""
    ordered = sorted(response_times)

    def at_rank(percent: int) -> int | None:
        return ordered[ceil(percent * len(ordered) / 100) - 1] if ordered else None

    return {
        "count": len(ordered),
        **{f"p{percent}": at_rank(percent) for percent in (50, 90, 95, 99)},
        "max": at_rank(100),
    }


def response_times(
    truth: Truth, customer_id: int, params: Mapping[str, str], now: datetime
) -> list[dict[str, Any]]:
    """The body of /api/stats/usage/latency, with exact times instead of those of buckets."""
    period = period_asked(truth, customer_id, params, now, default_days=7)
    by = params.get("by", "agent")
    groups: dict[Any, list[UsageEvent]] = defaultdict(list)
    for event in period.messages:
        groups[_key(period, by, event)].append(event)
    if by == "day":
        dates = [(period.first + timedelta(days=day)).isoformat() for day in range(period.days)]
        return [{"date": date, **_of(groups.get(date, []))} for date in dates]
    body = [(key, _of(events)) for key, events in groups.items()]
    body.sort(key=lambda item: (-item[1]["count"], item[0]))
    return [{**_names(period, by, key), **times} for key, times in body]


def differences(
    found: Sequence[Mapping[str, Any]], exact: Sequence[Mapping[str, Any]]
) -> list[str]:
    """Where a body of the endpoint is not the exact one, of which times may be off by 1 %."""
    if [list(group) for group in found] != [list(group) for group in exact]:
        return [f"other groups or fields: {found} instead of {exact}"]
    return [
        f"{name} is {group[name]} instead of {value} in {wanted}"
        for group, wanted in zip(found, exact, strict=True)
        for name, value in wanted.items()
        if group[name] != value
        and not (
            name in TIMES
            and isinstance(value, int)
            and isinstance(group[name], int)
            and 100 * abs(group[name] - value) <= value
        )
    ]


def _key(period: Period, by: str, event: UsageEvent) -> Any:
    return {
        "agent": event.agent_id,
        "agent-type": event.agent_type_id,
        "model": event.model,
        "day": event.occurred_at.astimezone(period.zone).date().isoformat(),
    }[by]


def _names(period: Period, by: str, key: Any) -> dict[str, Any]:
    if by == "agent":
        return {"agent_id": key, "agent_name": period.agent_name(key)}
    if by == "agent-type":
        return {"agent_type_id": key, "agent_type_name": period.type_name(key)}
    return {"model": key}


def _of(events: Sequence[UsageEvent]) -> dict[str, Any]:
    return percentiles([e.response_time_ms for e in events if e.response_time_ms is not None])
