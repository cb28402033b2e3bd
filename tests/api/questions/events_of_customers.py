"""Events of some customers, the marts that they make, and figures recounted from the events.

Nothing here is of the product but the metrics' names: instants come from `zoneinfo` alone, sums and
ratios from plain Python.
"""

import math
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

from snapshot_fixture import Marts, ratings, usage

Key = tuple[Any, ...]
QUARTER_HOUR = timedelta(minutes=15)


@dataclass(frozen=True)
class Event:
    """A response, a scan (of a message of its own) or a rating."""

    kind: str
    customer: int
    at: datetime
    """Aware, in UTC."""
    keys: Mapping[str, Any]
    numbers: Mapping[str, int | None]
    entities: Mapping[str, int] = field(default_factory=dict)


def random_events(seed: int, *, first: date, days: int, count: int) -> list[Event]:
    """Events of customers 1 to 3, at any second of so many dates, many at a change of date."""
    draw = random.Random(seed)
    events = []
    for _ in range(count):
        at = datetime(first.year, first.month, first.day, tzinfo=UTC)
        at += timedelta(days=draw.randrange(days), seconds=draw.randrange(86400))
        kind = draw.choice(["usage", "usage", "usage", "scan", "rating"])
        agent_type = draw.randint(5, 8)
        keys: dict[str, Any] = {"agent_type_id": agent_type}
        numbers: dict[str, int | None] = {}
        entities: dict[str, int] = {}
        if kind == "usage":
            keys["agent_id"] = agent_type * 10 + draw.randint(0, 2)
            keys["model"] = draw.choice(["B", "a", "Ünïcode", "unknown", 'z, "q"'])
            numbers = {
                "input": draw.choice([0, 1, 7, 10**9]),
                "output": draw.choice([0, 2, 5, 300]),
                "time": draw.choice([None, 0, 1, 13, 50, 99]),
            }
        elif kind == "scan":
            numbers = {"toxic": draw.randint(0, 1)}
            for entity in draw.sample(["EMAIL", "PHONE", "iban"], draw.randint(0, 2)):
                entities[entity] = draw.randint(1, 4)
        else:
            keys["load_bucket"] = draw.choice(["low", "medium", "high", "unknown"])
            keys["rating"] = draw.randint(1, 5)
        events.append(Event(kind, draw.randint(1, 3), at, keys, numbers, entities))
    return events


def marts_of(events: list[Event]) -> Marts:
    """The quarter-hourly marts that these events make."""
    rows: dict[Key, list[Event]] = defaultdict(list)
    for event in events:
        bucket = event.at.replace(
            minute=event.at.minute // 15 * 15, second=0, microsecond=0, tzinfo=None
        )
        kept = {name: value for name, value in event.keys.items() if name != "rating"}
        rows[(event.kind, event.customer, str(bucket), *kept.values())].append(event)
    marts = Marts(
        customers=[(customer, f"Customer {customer}", "enterprise", None) for customer in (1, 2, 3)]
    )
    for (kind, customer, bucket, *keys), found in rows.items():
        if kind == "usage":
            agent_type, agent, model = keys
            times = [each.numbers["time"] for each in found]
            marts.usage.append(
                usage(
                    customer,
                    agent,
                    agent_type,
                    model,
                    bucket,
                    [time for time in times if time is not None],
                    message_count=len(found),
                    input_tokens=sum(each.numbers["input"] or 0 for each in found),
                    output_tokens=sum(each.numbers["output"] or 0 for each in found),
                    response_time_ms_sum=sum(time or 0 for time in times),
                    response_time_count=sum(time is not None for time in times),
                    timed_output_tokens=sum(
                        each.numbers["output"] or 0 for each in found if each.numbers["time"]
                    ),
                )
            )
        elif kind == "scan":
            of_types: Counter[str] = Counter()
            for each in found:
                of_types.update(each.entities)
            toxic = sum(each.numbers["toxic"] or 0 for each in found)
            with_pii = sum(bool(each.entities) for each in found)
            marts.compliance.append(
                (customer, *keys, len(found), len(found), toxic, with_pii, of_types.total(), bucket)
            )
            marts.pii += [(customer, *keys, name, n, bucket) for name, n in of_types.items()]
        else:
            stars = Counter(each.keys["rating"] for each in found)
            marts.feedback.append(
                (customer, *keys, *ratings(*(stars[number] for number in range(1, 6))), bucket)
            )
    return marts


def rounded(value: Fraction, digits: int) -> float | int:
    """Half away from zero."""
    unit = Decimal(1).scaleb(-digits)
    exact = Decimal(value.numerator) / Decimal(value.denominator)
    shown = exact.quantize(unit, ROUND_HALF_UP)
    return int(shown) if digits == 0 else float(shown)


def ratio(numerator: int, denominator: int, digits: int, scale: int = 1) -> float | int | None:
    """Scaled and rounded; None without a denominator."""
    return None if denominator == 0 else rounded(Fraction(numerator * scale, denominator), digits)


def percentile(times: list[int], percent: int) -> int | None:
    """By rank."""
    return sorted(times)[math.ceil(Fraction(percent * len(times), 100)) - 1] if times else None


def total(events: list[Event], number: str) -> int:
    """The sum of what the events have of it."""
    return sum(event.numbers.get(number) or 0 for event in events)


def of_kind(events: list[Event], kind: str) -> list[Event]:
    """Those of one kind."""
    return [event for event in events if event.kind == kind]


def times_of(events: list[Event]) -> list[int]:
    """The response times there are."""
    times = [event.numbers.get("time") for event in events]
    return [time for time in times if time is not None]


def timed_output(events: list[Event]) -> int:
    """Output tokens of responses with a time above 0."""
    return total([event for event in events if event.numbers.get("time")], "output")


def redactions(events: list[Event]) -> int:
    """Redactions of all types."""
    return sum(sum(event.entities.values()) for event in events)


def with_pii(events: list[Event]) -> int:
    """Scans with a redaction."""
    return sum(bool(event.entities) for event in events)


def messages(events: list[Event]) -> int:
    """Responses."""
    return len(of_kind(events, "usage"))


def scans(events: list[Event]) -> int:
    """Scanned messages: here each scan is of its own."""
    return len(of_kind(events, "scan"))


def stars(events: list[Event]) -> list[int]:
    """The ratings."""
    return [event.keys["rating"] for event in of_kind(events, "rating")]


def tokens(events: list[Event]) -> int:
    """Input and output."""
    return total(events, "input") + total(events, "output")


METRICS: dict[str, Callable[[list[Event]], Any]] = {
    "total_messages": messages,
    "total_tokens": tokens,
    "total_input_tokens": lambda found: total(found, "input"),
    "total_output_tokens": lambda found: total(found, "output"),
    "active_agents": lambda found: len({e.keys["agent_id"] for e in of_kind(found, "usage")}),
    "avg_response_time_ms": lambda found: ratio(total(found, "time"), len(times_of(found)), 0),
    "tokens_per_second": lambda found: ratio(timed_output(found), total(found, "time"), 1, 1000),
    "avg_tokens_per_message": lambda found: ratio(tokens(found), messages(found), 0),
    "response_time_p50": lambda found: percentile(times_of(found), 50),
    "response_time_p90": lambda found: percentile(times_of(found), 90),
    "response_time_p95": lambda found: percentile(times_of(found), 95),
    "response_time_p99": lambda found: percentile(times_of(found), 99),
    "toxic_messages": lambda found: total(found, "toxic"),
    "toxic_rate_percent": lambda found: ratio(total(found, "toxic"), messages(found), 2, 100),
    "scan_coverage_percent": lambda found: ratio(scans(found), messages(found), 2, 100),
    "toxic_rate_of_scanned_percent": lambda found: ratio(
        total(found, "toxic"), scans(found), 2, 100
    ),
    "pii_redactions": redactions,
    "messages_with_pii": with_pii,
    "pii_rate_percent": lambda found: ratio(with_pii(found), messages(found), 2, 100),
    "pii_per_message": lambda found: ratio(redactions(found), messages(found), 3),
    "ratings": lambda found: len(stars(found)),
    "average_rating": lambda found: ratio(sum(stars(found)), len(stars(found)), 2),
}
KINDS = {
    **dict.fromkeys(METRICS, ("usage",)),
    **dict.fromkeys(("toxic_messages", "messages_with_pii", "pii_redactions"), ("scan",)),
    **dict.fromkeys(("toxic_rate_of_scanned_percent",), ("scan",)),
    **dict.fromkeys(("toxic_rate_percent", "scan_coverage_percent"), ("usage", "scan")),
    **dict.fromkeys(("pii_rate_percent", "pii_per_message"), ("usage", "scan")),
    **dict.fromkeys(("ratings", "average_rating"), ("rating",)),
}
"""Of which events a metric is; those make the groups that there are."""
DIMENSIONS = {
    "usage": {"agent_id", "agent_type_id", "model"},
    "scan": {"agent_type_id"},
    "rating": {"agent_type_id", "load_bucket", "rating"},
}


def first_instant(day: date, tz: str) -> datetime:
    """The first instant of a date of a zone, found by looking at every quarter hour."""
    rules = ZoneInfo(tz)
    at = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=27)
    while at.astimezone(rules).date() < day:
        at += QUARTER_HOUR
    return at


def label_of(event: Event, granularity: str, tz: str, day: date) -> str | None:
    """What the bucket of an event of this date is called."""
    local = event.at.astimezone(ZoneInfo(tz))
    offset = timezone(local.utcoffset() or timedelta())
    if granularity == "quarter_hour":
        local = local.replace(minute=local.minute // 15 * 15, tzinfo=offset)
        return local.replace(second=0, microsecond=0).isoformat(timespec="minutes")
    if granularity == "hour":
        local = local.replace(minute=0, second=0, microsecond=0, tzinfo=offset)
        return local.isoformat(timespec="minutes")
    return {
        "all": None,
        "day": day.isoformat(),
        "week": (day - timedelta(days=day.weekday())).isoformat(),
        "month": day.replace(day=1).isoformat(),
    }[granularity]


def parts_of(event: Event) -> Iterator[Event]:
    """The event once for each type of its redactions, without any other."""
    for entity, count in event.entities.items():
        keys = {**event.keys, "entity_type": entity}
        yield Event(event.kind, event.customer, event.at, keys, event.numbers, {entity: count})


@dataclass(frozen=True)
class Recounted:
    """The figures of a question, by label and group; `groups` in order, with all that there are."""

    rows: dict[tuple[str | None, Key], dict[str, Any]]
    others: dict[str | None, dict[str, Any]]
    totals: dict[str, Any]
    groups: list[Key]


def recount(
    events: list[Event],
    *,
    customer: int,
    metrics: list[str],
    group_by: list[str],
    granularity: str,
    filters: dict[str, list[Any]],
    first: date,
    last: date,
    tz: str,
    kept_from: date | None,
    order_by: str,
    descending: bool,
    limit: int | None,
    offset: int,
) -> Recounted:
    """What a question comes to: by the contract's words, from the events alone."""
    kinds = {kind for metric in metrics for kind in KINDS[metric]}
    starts = [
        (first + timedelta(days=n), first_instant(first + timedelta(days=n), tz))
        for n in range((last - first).days + 2)
    ]
    by_entity = "entity_type" in (*group_by, *filters)
    found: list[tuple[str | None, Key, Event]] = []
    wholes: list[tuple[str | None, Key, Event]] = []
    for event in events:
        if event.customer != customer or event.kind not in kinds:
            continue
        if not starts[0][1] <= event.at < starts[-1][1]:
            continue
        if kept_from is not None and event.at.date() < kept_from:
            continue
        day = [day for day, start in starts if start <= event.at][-1]
        label = label_of(event, granularity, tz, day)
        times = {
            "hour_of_day": event.at.astimezone(ZoneInfo(tz)).hour,
            "day_of_week": day.isoweekday(),
        }
        is_whole = by_entity and event.kind == "usage"
        for part in parts_of(event) if by_entity and not is_whole else [event]:
            keys = {**part.keys, **times}
            if is_whole:
                keys["entity_type"] = None
            asked = {n: v for n, v in filters.items() if not (is_whole and n == "entity_type")}
            if all(keys[name] in values for name, values in asked.items()):
                key = tuple(keys[name] for name in group_by)
                (wholes if is_whole else found).append((label, key, part))

    def kept(key: Key) -> Key:
        return tuple(v for name, v in zip(group_by, key, strict=True) if name != "entity_type")

    def figures(keys: set[Key], label: str | None = "any") -> dict[str, Any]:
        of_it = [e for lab, key, e in found if key in keys and label in ("any", lab)]
        projected = {kept(key) for key in keys}
        of_it += [e for lab, key, e in wholes if kept(key) in projected and label in ("any", lab)]
        return {metric: METRICS[metric](of_it) for metric in metrics}

    all_keys = sorted({key for _, key, _ in found})
    if order_by in group_by:
        number = group_by.index(order_by)
        ordered = sorted(all_keys, key=lambda key: key[number], reverse=descending)
    else:
        values = {key: figures({key})[order_by] for key in all_keys}
        having = [key for key in all_keys if values[key] is not None]
        ordered = sorted(having, key=lambda key: -values[key] if descending else values[key])
        ordered += [key for key in all_keys if values[key] is None]
    chosen = ordered[offset : None if limit is None else offset + limit]
    left_out = set(ordered) - set(chosen)
    return Recounted(
        rows={
            (label, key): figures({key}, label)
            for label, key in {(label, key) for label, key, _ in found if key in chosen}
        },
        others={
            label: figures(left_out, label)
            for label in {label for label, key, _ in found if key in left_out}
        },
        totals=figures(set(all_keys))
        if not wholes and not by_entity
        else {metric: METRICS[metric]([e for _, _, e in [*found, *wholes]]) for metric in metrics},
        groups=ordered,
    )
