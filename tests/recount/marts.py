"""The additive marts, regrouped from counted rows; measures are zero, never null."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, TypeVar

from .answers import Attributed, attributed, load_bucket
from .deliveries import Rating, Truth, UsageEvent
from .latency import bucket_of

Row = dict[str, Any]
_Item = TypeVar("_Item")


def marts(truth: Truth) -> dict[str, list[Row]]:
    """Rows of each additive mart, in no order; times as ISO 8601 text without zone, in UTC."""
    scans = attributed(truth.scans)
    made: dict[str, list[Row]] = {}
    made["usage_quarter_hourly"] = _summed(
        truth.events,
        ("customer_id", "agent_id", "agent_type_id", "model", "bucket"),
        vars,
        lambda event: _usage(event) | {"response_time_buckets": _buckets(event)},
    )
    for name, keys in {
        "customer_daily": ("customer_id",),
        "agent_daily": ("customer_id", "agent_id"),
        "model_daily": ("customer_id", "model"),
        "agent_type_model_daily": ("customer_id", "agent_type_id", "model"),
    }.items():
        made[name] = _summed(truth.events, keys, vars, _usage)
    for name, extra in {"quarter_hourly": ("bucket",), "daily": ()}.items():
        keys = ("customer_id", "agent_type_id", *extra)
        made[f"compliance_{name}"] = _summed(scans, keys, lambda part: vars(part.scan), _compliance)
        redactions = [
            vars(part.scan) | {"entity_type": entity_type, "pii_redactions": count}
            for part in scans
            for entity_type, count in part.scan.pii
        ]
        made[f"pii_{name}"] = _summed(redactions, (*keys, "entity_type"), dict, _redactions)
        mart = "feedback_quarter_hourly" if extra else "load_bucket_daily"
        made[mart] = _summed(truth.ratings, (*keys, "load_bucket"), _rated, _feedback)
    return made


def _summed(
    items: Iterable[_Item],
    keys: tuple[str, ...],
    values: Callable[[_Item], Mapping[str, Any]],
    measures: Callable[[_Item], Mapping[str, Any]],
) -> list[Row]:
    """One row per UTC date and `keys`; the key `bucket` stands for the quarter hour.

    Numbers are added up, lists are joined and sorted.
    """
    groups: dict[tuple[tuple[str, Any], ...], dict[str, Any]] = defaultdict(dict)
    for item in items:
        found = values(item)
        occurred_at: datetime = found["occurred_at"]
        group = {key: found[key] for key in keys if key != "bucket"}
        if "bucket" in keys:
            group["bucket_start"] = _quarter_hour(occurred_at)
        group["occurred_date"] = occurred_at.date().isoformat()
        sums = groups[tuple(group.items())]
        for name, value in measures(item).items():
            sums[name] = sums[name] + value if name in sums else value
    for sums in groups.values():
        for value in sums.values():
            if isinstance(value, list):
                value.sort()
    return [dict(group) | sums for group, sums in groups.items()]


def _quarter_hour(moment: datetime) -> str:
    start = moment.replace(minute=moment.minute // 15 * 15, second=0, microsecond=0, tzinfo=None)
    return start.isoformat()


def _usage(event: UsageEvent) -> dict[str, int]:
    return {
        "message_count": 1,
        "input_tokens": event.input_tokens,
        "output_tokens": event.output_tokens,
        "total_tokens": event.input_tokens + event.output_tokens,
        "response_time_ms_sum": event.response_time_ms or 0,
        "response_time_count": int(event.response_time_ms is not None),
        "timed_output_tokens": event.output_tokens if event.response_time_ms else 0,
    }


def _compliance(part: Attributed) -> dict[str, int]:
    return {
        "scan_count": 1,
        "scanned_messages": int(part.is_first),
        "toxic_messages": int(part.is_first_toxic),
        "messages_with_pii": int(part.is_first_with_pii),
        "pii_redactions": sum(count for _, count in part.scan.pii),
    }


def _buckets(event: UsageEvent) -> list[int]:
    return [] if event.response_time_ms is None else [bucket_of(event.response_time_ms)]


def _redactions(redaction: Mapping[str, Any]) -> dict[str, int]:
    return {"pii_redactions": redaction["pii_redactions"]}


def _rated(rating: Rating) -> dict[str, Any]:
    return vars(rating) | {"load_bucket": load_bucket(rating.running_instances)}


def _feedback(rating: Rating) -> dict[str, int]:
    stars = {f"rating_{star}_count": int(rating.rating == star) for star in range(1, 6)}
    return {"rating_count": 1, "rating_sum": rating.rating, **stars}
