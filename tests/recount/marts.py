"""The additive marts, regrouped from counted rows; measures are zero, never null."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any, TypeVar

from .answers import Attributed, attributed, load_bucket
from .deliveries import Rating, Truth, UsageEvent, apart_from_labels
from .latency import bucket_of
from .prices import OfClass, cost
from .token_classes import PARTS, token_classes

Row = dict[str, Any]
COUNTED = "columns(lambda name: name not in ('rate_id', 'end_user_key', 'session_key'))"
"""SQL: the columns of a mart that are recounted. Where a price was looked up is no figure, nor is a
hash of an id."""
_Item = TypeVar("_Item")


def marts(truth: Truth, attributes: Iterable[str] = ()) -> dict[str, list[Row]]:
    """Rows of each additive mart, in no order; times as ISO 8601 text without zone, in UTC. Usage
    is also summed by `attributes`."""
    scans = attributed(truth.scans)
    made: dict[str, list[Row]] = {}
    of_event = ("customer_id", "agent_id", "agent_type_id", "model", "provider", "processing")
    made["usage_quarter_hourly"] = _summed(
        truth.events,
        (*of_event, "context_over_tokens", "is_context_assumed", "bucket"),
        _in_context,
        lambda event: _usage(event) | _times(event),
    )
    made["cost_daily"] = _summed(
        [(event, part) for event in truth.events for part in cost(event).by_class],
        (
            *("customer_id", "agent_type_id", "model", "provider", "processing"),
            *("context_over_tokens", "token_class", "usd_per_token", "is_price_assumed"),
        ),
        lambda each: _in_context(each[0]) | _of_class(each[1]),
        lambda each: _cost_of_class(each[1]),
    )
    for name, keys in {
        "customer_daily": ("customer_id",),
        "agent_daily": ("customer_id", "agent_id"),
        "model_daily": ("customer_id", "model"),
        "agent_type_model_daily": ("customer_id", "agent_type_id", "model"),
        "provider_daily": ("customer_id", "agent_type_id", "model", "provider", "processing"),
    }.items():
        made[name] = _summed(truth.events, keys, vars, _usage)
    failed = [event for event in truth.events if not event.is_message]
    of_failed = (*of_event, "error_type")
    made["errors_quarter_hourly"] = _summed(
        failed,
        (*of_failed, "context_over_tokens", "is_context_assumed", "bucket"),
        _in_context,
        lambda event: _error(event) | _classes(event),
    )
    made["errors_daily"] = _summed(failed, of_failed, vars, _error)
    by_value = [
        (event, {"attribute": name, "value": value})
        for name in attributes
        for event, value in _labelled(truth.events, name)
    ]
    of_value = ("customer_id", "attribute", "value", "agent_type_id", "model")
    made["usage_attribute_quarter_hourly"] = _summed(
        by_value,
        (
            *of_value,
            "provider",
            "processing",
            "context_over_tokens",
            "is_context_assumed",
            "bucket",
        ),
        lambda each: _in_context(each[0]) | each[1],
        lambda each: _usage(each[0]),
    )
    made["usage_attribute_daily"] = _summed(
        by_value, of_value, lambda each: vars(each[0]) | each[1], lambda each: _usage(each[0])
    )
    for name in ("end_user", "session"):
        made[f"{name}_daily"] = _active_quarter_hours(truth.events, f"{name}_id")
    redactions = [
        vars(part.scan) | {"entity_type": entity_type, "pii_redactions": count}
        for part in scans
        for entity_type, count in part.scan.pii
    ]
    of_agent = ("customer_id", "agent_id", "agent_type_id", "model")
    of_type = ("customer_id", "agent_type_id")
    for name, keys in {
        "quarter_hourly": (*of_agent, "bucket"),
        "daily": of_agent,
        "agent_type_daily": of_type,
    }.items():
        made[f"compliance_{name}"] = _summed(scans, keys, lambda part: vars(part.scan), _compliance)
        made[f"pii_{name}"] = _summed(redactions, (*keys, "entity_type"), dict, _redactions)
    for name, keys in {
        "feedback_quarter_hourly": (*of_agent, "bucket"),
        "feedback_daily": of_agent,
        "load_bucket_daily": of_type,
    }.items():
        made[name] = _summed(truth.ratings, (*keys, "load_bucket"), _rated, _feedback)
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


def _labelled(events: Iterable[UsageEvent], name: str) -> list[tuple[UsageEvent, str]]:
    """Each event with its value of an attribute as marts have it: beyond 200 values of a customer
    and date the least used are one."""
    tokens: dict[tuple[int, Any], Counter[str]] = defaultdict(Counter)
    with_values = []
    for event in events:
        value = apart_from_labels(event.attributes.get(name))
        day = (event.customer_id, event.occurred_at.date())
        if value is not None:
            tokens[day][value] += event.input_tokens + event.output_tokens
        with_values.append((event, day, value))
    kept = {
        day: set(sorted(counts, key=lambda each: (-counts[each], each.encode()))[:200])
        for day, counts in tokens.items()
    }
    return [
        (event, "(none)" if value is None else value if value in kept[day] else "(other)")
        for event, day, value in with_values
    ]


def _active_quarter_hours(events: Iterable[UsageEvent], counted: str) -> list[Row]:
    """In which quarter hours of each date an agent answered each of what is counted."""
    found: dict[tuple[Any, ...], set[int]] = defaultdict(set)
    for event in events:
        key = getattr(event, counted)
        if key is not None and event.is_message:
            at = event.occurred_at
            of_agent = (event.customer_id, event.agent_id, event.agent_type_id)
            found[*of_agent, key, at.date().isoformat()].add(at.hour * 4 + at.minute // 15)
    return [
        {
            "customer_id": customer,
            "agent_id": agent,
            "agent_type_id": agent_type,
            "quarter_hours": sorted(numbers),
            "active_quarter_hours": len(numbers),
            "occurred_date": day,
        }
        for (customer, agent, agent_type, _, day), numbers in found.items()
    ]


def _quarter_hour(moment: datetime) -> str:
    start = moment.replace(minute=moment.minute // 15 * 15, second=0, microsecond=0, tzinfo=None)
    return start.isoformat()


def _in_context(event: UsageEvent) -> dict[str, Any]:
    found = cost(event)
    return vars(event) | {
        "context_over_tokens": found.context_over_tokens,
        "is_context_assumed": found.is_context_assumed,
    }


def _of_class(part: OfClass) -> dict[str, Any]:
    return {
        "token_class": part.token_class,
        "usd_per_token": None if part.price is None else usd(part.price),
        "is_price_assumed": part.is_price_assumed,
    }


def _cost_of_class(part: OfClass) -> dict[str, Any]:
    has_price = part.price is not None
    return {
        "tokens": part.tokens,
        "cost_usd": usd((part.price or 0) * part.tokens),
        "unpriced_tokens": 0 if has_price else part.tokens,
        "assumed_price_tokens": part.tokens if has_price and part.is_price_assumed else 0,
    }


def usd(amount: Fraction | int) -> Decimal:
    """An amount as marts have it: 12 decimals, which it must have at most."""
    units = Fraction(amount) * 10**12
    assert units.denominator == 1, f"{amount} has more than 12 decimals"
    return Decimal(units.numerator).scaleb(-12)


def _costs(event: UsageEvent) -> dict[str, Any]:
    found = cost(event)
    return {
        "cost_usd": usd(found.usd),
        "unpriced_tokens": found.unpriced_tokens,
        "assumed_price_tokens": found.assumed_price_tokens,
        "left_out_fee_events": int(found.has_left_out_fee),
    }


def _usage(event: UsageEvent) -> dict[str, Any]:
    tokens = event.input_tokens + event.output_tokens
    time = event.response_time_ms if event.is_message else None
    cached = [event.parts.get(name, 0) for name in ("cache_read_input", "cache_write_input")]
    return {
        "event_count": 1,
        "message_count": int(event.is_message),
        "error_count": int(not event.is_message),
        "input_tokens": event.input_tokens,
        "output_tokens": event.output_tokens,
        "total_tokens": tokens,
        "message_tokens": tokens if event.is_message else 0,
        "message_input_tokens": event.input_tokens if event.is_message else 0,
        "response_time_ms_sum": time or 0,
        "response_time_count": int(time is not None),
        "timed_output_tokens": event.output_tokens if time else 0,
        "uncached_input_tokens": max(0, event.input_tokens - sum(cached)),
        **{f"{name}_tokens": event.parts.get(name, 0) for name in PARTS},
        "cache_reported_input_tokens": event.input_tokens
        if "cache_read_input" in event.parts
        else 0,
        "tool_calls": event.tool_calls or 0,
        **token_classes(event),
        **_costs(event),
        "reported_cost_usd": usd(event.reported_cost_usd or 0),
        "reported_cost_events": int(event.reported_cost_usd is not None),
    }


def _times(event: UsageEvent) -> dict[str, list[int]]:
    times = {
        "response_time_buckets": event.response_time_ms,
        "time_to_first_token_buckets": event.time_to_first_token_ms,
    }
    return {
        name: [bucket_of(time)] if time is not None and event.is_message else []
        for name, time in times.items()
    }


def _error(event: UsageEvent) -> dict[str, Any]:
    tokens = event.input_tokens + event.output_tokens
    return {
        "error_count": 1,
        "input_tokens": event.input_tokens,
        "output_tokens": event.output_tokens,
        "total_tokens": tokens,
        **_costs(event),
    }


def _classes(event: UsageEvent) -> dict[str, int]:
    found = token_classes(event)
    del found["token_classes_exceed_total"]
    return found


def _compliance(part: Attributed) -> dict[str, int]:
    return {
        "scan_count": 1,
        "scanned_messages": int(part.is_first),
        "toxic_messages": int(part.is_first_toxic),
        "messages_with_pii": int(part.is_first_with_pii),
        "pii_redactions": sum(count for _, count in part.scan.pii),
    }


def _redactions(redaction: Mapping[str, Any]) -> dict[str, int]:
    return {"pii_redactions": redaction["pii_redactions"]}


def _rated(rating: Rating) -> dict[str, Any]:
    return vars(rating) | {"load_bucket": load_bucket(rating.running_instances)}


def _feedback(rating: Rating) -> dict[str, int]:
    stars = {f"rating_{star}_count": int(rating.rating == star) for star in range(1, 6)}
    return {"rating_count": 1, "rating_sum": rating.rating, **stars}
