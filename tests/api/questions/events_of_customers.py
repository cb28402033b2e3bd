"""Events of some customers, the marts that they make, and figures recounted from the events.

Nothing here is of the product but the metrics' names: instants come from `zoneinfo` alone, sums and
ratios from plain Python.
"""

import math
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

from snapshot_fixture import USD_PER_TOKEN, Marts, of_attribute, ratings, usage

Key = tuple[Any, ...]
QUARTER_HOUR = timedelta(minutes=15)
COUNTED = ("end_user", "session")
"""What is counted, and grouped by in no mart."""


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
        keys: dict[str, Any] = {
            "agent_type_id": agent_type,
            "agent_id": agent_type * 10 + draw.randint(0, 2),
            "model": draw.choice(["B", "a", "Ünïcode", "unknown", 'z, "q"']),
        }
        numbers: dict[str, int | None] = {}
        entities: dict[str, int] = {}
        if kind == "usage":
            keys["provider"] = draw.choice(["unknown", "openai", "a b"])
            keys["processing"] = draw.choice(["standard", "standard", "batch"])
            keys["error_type"] = draw.choice(["(none)"] * 6 + ["timeout", "Ünïcode"])
            keys["attribute"] = draw.choice(["blue", "(none)", "(other)", "((none))", "rosé"])
            keys["end_user"] = draw.choice([None, None, *range(1, 12)])
            keys["session"] = draw.choice([None, *range(1, 90)])
            numbers = {
                "input": draw.choice([0, 1, 7, 10**9]),
                "output": draw.choice([0, 2, 5, 300]),
                "time": draw.choice([None, 0, 1, 13, 50, 99]),
                "first": draw.choice([None, 0, 7, 42]),
                "tools": draw.choice([None, 0, 3]),
                "read": draw.choice([None, None, 0, 1, 5, 8]),
                "reasoning": draw.choice([None, 0, 2, 6]),
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
    of_values: dict[Key, list[Event]] = defaultdict(list)
    for event in events:
        bucket = event.at.replace(
            minute=event.at.minute // 15 * 15, second=0, microsecond=0, tzinfo=None
        )
        kept = {n: value for n, value in event.keys.items() if n not in ("rating", *COUNTED)}
        value = kept.pop("attribute", None)
        key = (event.kind, event.customer, str(bucket), *kept.items())
        rows[key].append(event)
        if value is not None:
            of_values[(value, *key)].append(event)
    marts = Marts(
        customers=[(each, f"Customer {each}", "enterprise", None) for each in (1, 2, 3)],
        end_users=active_quarter_hours(events, "end_user"),
        sessions=active_quarter_hours(events, "session"),
    )
    for (value, _, customer, bucket, *items), found in of_values.items():
        row = usage_of(customer, bucket, dict(items), found)
        marts.attributes += [of_attribute("team", value, row), of_attribute("region", "blue", row)]
    for (kind, customer, bucket, *items), found in rows.items():
        keys = dict(items)
        agent, agent_type, model = keys["agent_id"], keys["agent_type_id"], keys["model"]
        if kind == "usage":
            marts.usage.append(usage_of(customer, bucket, keys, found))
            given = attempts(found) if failed(found) else []
            if given:
                of_provider = (keys["provider"], keys["processing"], keys["error_type"])
                sums: Key = (total(found, "input"), total(found, "output"), tokens(found))
                sums += (cost(found), unpriced(found), 0, 0)
                marts.errors.append(
                    (customer, agent, agent_type, model, *of_provider, len(given), *sums, bucket)
                )
        elif kind == "scan":
            of_types: Counter[str] = Counter()
            for each in found:
                of_types.update(each.entities)
            count = len(found)
            marts.compliance.append(
                (
                    customer,
                    agent_type,
                    count,
                    count,
                    total(found, "toxic"),
                    with_pii(found),
                    of_types.total(),
                    bucket,
                    agent,
                    model,
                )
            )
            marts.pii += [
                (customer, agent_type, name, number, bucket, agent, model)
                for name, number in of_types.items()
            ]
        else:
            stars_given = Counter(each.keys["rating"] for each in found)
            counts = ratings(*(stars_given[number] for number in range(1, 6)))
            marts.feedback.append(
                (customer, agent_type, keys["load_bucket"], *counts, bucket, agent, model)
            )
    return marts


def usage_of(customer: int, bucket: str, keys: Mapping[str, Any], found: list[Event]) -> Key:
    """The row of a usage mart that these events make: messages, or failed attempts of one type."""
    given = attempts(found) if failed(found) else []
    parts = [classes(each) for each in found]
    measures = {
        "message_count": messages(found),
        "error_count": failed(found),
        "input_tokens": total(found, "input"),
        "output_tokens": total(found, "output"),
        "message_tokens": 0 if given else tokens(found),
        "message_input_tokens": 0 if given else total(found, "input"),
        "response_time_ms_sum": sum(times_of(found)),
        "response_time_count": len(times_of(found)),
        "timed_output_tokens": timed_output(found),
        "cache_read_input_tokens": total(found, "read"),
        "reasoning_output_tokens": total(found, "reasoning"),
        "cache_reported_input_tokens": reported_input(found),
        "uncached_input_tokens": uncached(found),
        "tool_calls": total(found, "tools"),
        "token_classes_exceed_total": misfits(found),
        **{
            f"class_{name}_tokens": sum(each.get(name, 0) for each in parts)
            for name in ("cache_read_input", "input", "reasoning_output", "output")
        },
        **{
            f"unclassed_{side}_tokens": sum(each.get(f"no {side}", 0) for each in parts)
            for side in ("input", "output")
        },
    }
    return usage(
        customer,
        keys["agent_id"],
        keys["agent_type_id"],
        keys["model"],
        bucket,
        times_of(found),
        provider=keys["provider"],
        processing=keys["processing"],
        times_to_first_token=first_times_of(found),
        **measures,
    )


def active_quarter_hours(events: list[Event], counted: str) -> list[Key]:
    """In which quarter hours of each date an agent answered each of what is counted."""
    found: dict[Key, set[int]] = defaultdict(set)
    for event in responses(events):
        if (counted_key := event.keys[counted]) is not None:
            keys = (event.customer, event.keys["agent_id"], event.keys["agent_type_id"])
            number = event.at.hour * 4 + event.at.minute // 15
            found[*keys, counted_key, event.at.date().isoformat()].add(number)
    return [(*key[:-1], sorted(numbers), key[-1]) for key, numbers in found.items()]


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
    return sum(event.numbers.get(number) or 0 for event in events if not event.keys.get("whole"))


def of_kind(events: list[Event], kind: str) -> list[Event]:
    """Those of one kind."""
    return [event for event in events if event.kind == kind]


def attempts(events: list[Event]) -> list[Event]:
    """Messages and failed attempts, of those that are asked about themselves."""
    return [event for event in of_kind(events, "usage") if not event.keys.get("whole")]


def responses(events: list[Event]) -> list[Event]:
    """Those that did not fail."""
    return [event for event in of_kind(events, "usage") if event.keys["error_type"] == "(none)"]


def failed(events: list[Event]) -> int:
    """How many attempts failed."""
    return sum(event.keys["error_type"] != "(none)" for event in attempts(events))


def error_rate(events: list[Event]) -> float | int | None:
    """Failed attempts per 100, of those of any error type."""
    wholes = [event for event in events if event.keys.get("whole")]
    return ratio(failed(events), len(wholes or attempts(events)), 2, 100)


def _times(events: list[Event], number: str) -> list[int]:
    times = [event.numbers.get(number) for event in responses(events)]
    return [time for time in times if time is not None]


def times_of(events: list[Event]) -> list[int]:
    """The response times there are."""
    return _times(events, "time")


def first_times_of(events: list[Event]) -> list[int]:
    """The times to the first token there are."""
    return _times(events, "first")


def timed_output(events: list[Event]) -> int:
    """Output tokens of responses with a time above 0."""
    return total([event for event in responses(events) if event.numbers.get("time")], "output")


def reported_input(events: list[Event]) -> int:
    """Input of the events that tell what was read from a cache."""
    reported = [event for event in attempts(events) if event.numbers["read"] is not None]
    return total(reported, "input")


def uncached(events: list[Event]) -> int:
    """Input that was not read from a cache; nothing else is reported of caches here."""
    numbers = [event.numbers for event in attempts(events)]
    return sum(max(0, (each["input"] or 0) - (each["read"] or 0)) for each in numbers)


def classes(event: Event) -> dict[str, int]:
    """Tokens by class; `no input` and `no output` are of none, as parts exceed the whole."""
    found: dict[str, int] = {}
    for side, part, name in (
        ("input", "read", "cache_read_input"),
        ("output", "reasoning", "reasoning_output"),
    ):
        whole, of_part = event.numbers[side] or 0, event.numbers[part] or 0
        if of_part > whole:
            found[f"no {side}"] = whole
        else:
            found |= {name: of_part, side: whole - of_part}
    return found


def priced_tokens(event: Event) -> Iterator[tuple[int, Decimal | None]]:
    """Tokens of each side, and what one of them costs; tokens of no class have no price."""
    for side, price in zip(
        ("input", "output"), USD_PER_TOKEN.get(event.keys["model"], (None, None)), strict=True
    ):
        of_none = event.numbers.get(f"no {side}") or 0
        if "token_class" not in event.keys:
            of_none = classes(event).get(f"no {side}", 0)
        yield of_none, None
        yield (event.numbers.get(side) or 0) - of_none, None if price is None else Decimal(price)


def cost(events: list[Event]) -> Decimal:
    """US dollars."""
    parts = [part for event in attempts(events) for part in priced_tokens(event)]
    return sum((tokens * (price or Decimal(0)) for tokens, price in parts), Decimal(0))


def unpriced(events: list[Event]) -> int:
    """Tokens without a price."""
    parts = [part for event in attempts(events) for part in priced_tokens(event)]
    return sum(tokens for tokens, price in parts if price is None)


def as_money(usd: Decimal | Fraction) -> str:
    """6 decimals, half away from zero."""
    millionths = int(Fraction(usd) * 10**6 + Fraction(1, 2))
    return f"{Decimal(millionths).scaleb(-6):.6f}"


def shown_cost(events: list[Event]) -> str | None:
    """None where there are tokens and none has a price."""
    is_unknown = 0 < unpriced(events) == tokens(events)
    return None if is_unknown else as_money(cost(events))


def cost_per(events: list[Event], count: int) -> str | None:
    """None unless all has a price."""
    if unpriced(events) or not count:
        return None
    return as_money(Fraction(cost(events)) / count)


def misfits(events: list[Event]) -> int:
    """Events of which some tokens are of no class."""
    return sum(any(name.startswith("no ") for name in classes(each)) for each in attempts(events))


def redactions(events: list[Event]) -> int:
    """Redactions of all types."""
    return sum(sum(event.entities.values()) for event in events)


def with_pii(events: list[Event]) -> int:
    """Scans with a redaction."""
    return sum(bool(event.entities) for event in events)


def messages(events: list[Event]) -> int:
    """Responses."""
    return len(responses(events))


def scans(events: list[Event]) -> int:
    """Scanned messages: here each scan is of its own."""
    return len(of_kind(events, "scan"))


def distinct(events: list[Event], counted: str) -> int:
    """How many there are of what is counted, of responses."""
    return len({event.keys[counted] for event in responses(events)} - {None})


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
    "uncached_input_tokens": uncached,
    "cache_read_input_tokens": lambda found: total(found, "read"),
    "cache_write_input_tokens": lambda _: 0,
    "cache_write_1h_input_tokens": lambda _: 0,
    "audio_input_tokens": lambda _: 0,
    "image_input_tokens": lambda _: 0,
    "cache_read_audio_input_tokens": lambda _: 0,
    "cache_read_image_input_tokens": lambda _: 0,
    "reasoning_output_tokens": lambda found: total(found, "reasoning"),
    "audio_output_tokens": lambda _: 0,
    "image_output_tokens": lambda _: 0,
    "cache_hit_percent": lambda found: ratio(total(found, "read"), reported_input(found), 2, 100),
    "token_classes_exceed_total": misfits,
    "tool_calls": lambda found: total(found, "tools"),
    "cost_usd": shown_cost,
    "unpriced_tokens": unpriced,
    "assumed_price_tokens": lambda _: 0,
    "cost_per_message_usd": lambda found: cost_per(found, messages(found)),
    "cost_per_good_rating_usd": lambda found: cost_per(found, sum(n >= 4 for n in stars(found))),
    "error_count": failed,
    "error_rate_percent": error_rate,
    "active_agents": lambda found: len({e.keys["agent_id"] for e in responses(found)}),
    "sessions": lambda found: distinct(found, "session"),
    "active_end_users": lambda found: distinct(found, "end_user"),
    "avg_response_time_ms": lambda found: ratio(sum(times_of(found)), len(times_of(found)), 0),
    "tokens_per_second": lambda found: ratio(timed_output(found), sum(times_of(found)), 1, 1000),
    "avg_tokens_per_message": lambda found: ratio(tokens(responses(found)), messages(found), 0),
    "time_to_first_token_p50": lambda found: percentile(first_times_of(found), 50),
    "time_to_first_token_p90": lambda found: percentile(first_times_of(found), 90),
    "time_to_first_token_p95": lambda found: percentile(first_times_of(found), 95),
    "time_to_first_token_p99": lambda found: percentile(first_times_of(found), 99),
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
    "cost_per_good_rating_usd": ("usage", "rating"),
    "sessions": ("session",),
    "active_end_users": ("end_user",),
}
"""Of which events a metric is; those make the groups that there are."""
OF_ERRORS = {"error_count", "error_rate_percent"}
"""By error type, only failed attempts are groups of these."""


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


def classes_of(event: Event) -> Iterator[Event]:
    """The event once for each class of its tokens; what is of no class is with the rest."""
    for name, count in classes(event).items():
        if count:
            token_class = name.removeprefix("no ")
            side = "input" if "input" in name else "output"
            keys = {**event.keys, "token_class": token_class}
            numbers = {side: count, f"no {side}": count if name.startswith("no ") else 0}
            yield Event(event.kind, event.customer, event.at, keys, numbers)


def _number(figure: Any) -> Any:
    return Decimal(figure) if isinstance(figure, str) else figure


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
    by_class = "token_class" in (*group_by, *filters)
    by_error = "error_type" in (*group_by, *filters)
    unsplit = "error_type" if by_error else "entity_type"

    def ends_of(event: Event) -> Iterator[tuple[bool, Event]]:
        """What of an event is in a group, and what is only in its denominator (True)."""
        if event.kind == "usage" and by_entity:
            yield True, event
        elif event.kind == "usage" and by_error:
            is_failed = event.keys["error_type"] != "(none)"
            if is_failed or set(metrics) - OF_ERRORS:
                yield False, event
            if "error_rate_percent" in metrics:
                yield True, replace(event, keys={**event.keys, "whole": True})
        elif by_entity or by_class:
            for part in parts_of(event) if by_entity else classes_of(event):
                yield False, part
        else:
            yield False, event

    found: list[tuple[str | None, Key, Event]] = []
    wholes: list[tuple[str | None, Key, Event]] = []
    for event in events:
        counted = {name for name in COUNTED if event.keys.get(name) and responses([event])}
        if event.customer != customer or not kinds & {event.kind, *counted}:
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
        for is_whole, part in ends_of(event):
            keys = {**part.keys, **times}
            if is_whole:
                keys[unsplit] = None
            asked = {n: v for n, v in filters.items() if not (is_whole and n == unsplit)}
            if all(keys[name] in values for name, values in asked.items()):
                key = tuple(keys[name] for name in group_by)
                (wholes if is_whole else found).append((label, key, part))

    def kept(key: Key) -> Key:
        return tuple(v for name, v in zip(group_by, key, strict=True) if name != unsplit)

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
        values = {key: _number(figures({key})[order_by]) for key in all_keys}
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
        if not wholes and not by_entity and not by_error
        else {metric: METRICS[metric]([e for _, _, e in [*found, *wholes]]) for metric in metrics},
        groups=ordered,
    )
