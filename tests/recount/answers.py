"""The nine endpoint bodies, from counted rows, in exact arithmetic."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from functools import cache
from importlib.resources import files
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from .degradation import degrades_at_load
from .deliveries import Rating, Scan, Truth, UsageEvent, kept_from
from .prices import cost

Body = dict[str, Any] | list[dict[str, Any]]

INSTANCES_RANGES = {"low": "1-2", "medium": "3-5", "high": "6+"}
_Row = TypeVar("_Row")

QUARTER = timedelta(minutes=15)


def answer(
    truth: Truth, customer_id: int, path: str, params: Mapping[str, str], now: datetime
) -> Body:
    """The body of one endpoint for one customer; `params` are the query parameters as text.

    Raises KeyError for a path that is no endpoint.
    """
    default_days, build = ENDPOINTS[path]
    return build(period_asked(truth, customer_id, params, now, default_days))


def period_asked(
    truth: Truth, customer_id: int, params: Mapping[str, str], now: datetime, default_days: int
) -> Period:
    """The rows of one customer that the parameters days, tz and end ask for."""
    zone = _zone(params.get("tz", "UTC"))
    end = params.get("end")
    last = date.fromisoformat(end) if end else now.astimezone(zone).date()
    days = int(params.get("days", default_days))
    first = last - timedelta(days=days - 1)
    begin = first_instant(first, zone)
    retention = truth.retention_days(customer_id)
    if retention is not None:
        begin = max(begin, kept_from(now, retention))
    after = first_instant(last + timedelta(days=1), zone)
    return Period(truth, customer_id, days, first, zone, begin, after)


@cache
def _zone(name: str) -> ZoneInfo:
    """The zone from the pinned tzdata package, never from the system's copy."""
    if name not in files("tzdata").joinpath("zones").read_text().split():
        raise ValueError(f"{name} is not a zone of the tzdata package")
    with files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as content:
        return ZoneInfo.from_file(content, key=name)


@cache
def first_instant(day: date, zone: ZoneInfo) -> datetime:
    """The first quarter hour of UTC at which the calendar in `zone` shows `day` or a later date.

    It walks the quarter hours one by one, so gaps, repeated midnights and skipped dates need no
    thought. Since 2019 every local date begins on one of them.
    """
    moment = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=26)
    while moment.astimezone(zone).date() < day:
        moment += QUARTER
    return moment


def rounded(numerator: int, denominator: int, digits: int = 0) -> int | float | None:
    """The ratio rounded half away from zero; null over 0; an int when `digits` is 0."""
    if denominator == 0:
        return None
    scaled = Fraction(numerator, denominator) * 10**digits
    whole = int(abs(scaled) + Fraction(1, 2))
    signed = -whole if scaled < 0 else whole
    return signed / 10**digits if digits else signed


@dataclass(frozen=True)
class Attributed:
    """What one scan adds, with its message counted once in a UTC date.

    A message is scanned at its earliest scan, toxic at its earliest toxic scan, and has PII at its
    earliest scan with a redaction.
    """

    scan: Scan
    is_first: bool
    is_first_toxic: bool
    is_first_with_pii: bool


def attributed(scans: Iterable[Scan]) -> list[Attributed]:
    """The scans by (occurred_at, audit_id), each with the part of its message it stands for."""
    seen: set[tuple[object, ...]] = set()

    def first(kind: str, scan: Scan) -> bool:
        message = ("event", scan.event_id) if scan.event_id is not None else ("scan", scan.audit_id)
        key = (kind, scan.customer_id, message, scan.occurred_at.date())
        is_new = key not in seen
        seen.add(key)
        return is_new

    return [
        Attributed(
            scan,
            first("scanned", scan),
            scan.is_toxic and first("toxic", scan),
            bool(scan.pii) and first("pii", scan),
        )
        for scan in sorted(scans, key=lambda scan: (scan.occurred_at, scan.audit_id))
    ]


def messages_of(events: Iterable[UsageEvent]) -> list[UsageEvent]:
    """The events that are no failed attempts."""
    return [event for event in events if event.is_message]


class Period:
    """One customer's rows inside the window `begin <= occurred_at < after`."""

    def __init__(
        self,
        truth: Truth,
        customer_id: int,
        days: int,
        first: date,
        zone: ZoneInfo,
        begin: datetime,
        after: datetime,
    ) -> None:
        def inside(row: UsageEvent | Scan | Rating) -> bool:
            return begin <= row.occurred_at < after

        self.days, self.first, self.zone = days, first, zone
        self.begin, self.after = begin, after
        self.truth, self.customer_id = truth, customer_id
        self.events = [e for e in truth.events if e.customer_id == customer_id and inside(e)]
        self.messages = messages_of(self.events)
        self.ratings = [r for r in truth.ratings if r.customer_id == customer_id and inside(r)]
        # A message is attributed before the window is cut: a bucket counts it, or does not,
        # whatever period is asked for.
        own = (scan for scan in truth.scans if scan.customer_id == customer_id)
        self.scans = [part for part in attributed(own) if inside(part.scan)]

    def type_name(self, agent_type_id: int) -> str:
        row = self.truth.agent_types.get((self.customer_id, agent_type_id))
        return (row and row["agent_type_name"]) or f"Agent type {agent_type_id}"

    def agent_name(self, agent_id: int) -> str:
        row = self.truth.agents.get((self.customer_id, agent_id))
        return (row and row["agent_name"]) or f"Agent {agent_id}"


def _grouped(rows: Iterable[_Row], key: Callable[[_Row], Any]) -> dict[Any, list[_Row]]:
    groups: dict[Any, list[_Row]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return groups


def _tokens(events: Sequence[UsageEvent]) -> dict[str, Any]:
    return {
        "total_tokens": sum(e.input_tokens + e.output_tokens for e in events),
        "total_input_tokens": sum(e.input_tokens for e in events),
        "total_output_tokens": sum(e.output_tokens for e in events),
    }


def _cost(events: Sequence[UsageEvent]) -> dict[str, Any]:
    """What they cost in all, rounded once, and how many tokens have no price."""
    costs = [cost(event) for event in events]
    unpriced = sum(each.unpriced_tokens for each in costs)
    is_unknown = unpriced > 0 and unpriced == _tokens(events)["total_tokens"]
    usd = sum((each.usd for each in costs), Fraction(0))
    return {"cost_usd": None if is_unknown else as_money(usd), "unpriced_tokens": unpriced}


def as_money(usd: Fraction) -> str:
    """US dollars with 6 decimals, rounded half away from zero."""
    millionths = int(usd * 10**6 + Fraction(1, 2))
    return f"{millionths // 10**6}.{millionths % 10**6:06}"


def _avg_response_time(events: Sequence[UsageEvent]) -> int | float | None:
    times = [e.response_time_ms for e in messages_of(events)]
    measured = [time for time in times if time is not None]
    return rounded(sum(measured), len(measured))


def _tokens_per_second(events: Sequence[UsageEvent]) -> int | float | None:
    timed = [e for e in messages_of(events) if e.response_time_ms]
    milliseconds = sum(e.response_time_ms or 0 for e in timed)
    return rounded(1000 * sum(e.output_tokens for e in timed), milliseconds, 1)


def _toxic(scans: Sequence[Attributed]) -> int:
    return sum(part.is_first_toxic for part in scans)


def _redactions(scans: Sequence[Attributed]) -> int:
    return sum(count for part in scans for _, count in part.scan.pii)


def _average_rating(ratings: Sequence[Rating]) -> int | float | None:
    return rounded(sum(r.rating for r in ratings), len(ratings), 2)


def load_bucket(running_instances: int | None) -> str:
    """`low` for 1 to 2 instances, `medium` for 3 to 5, `high` from 6, else `unknown`."""
    if not running_instances:
        return "unknown"
    return "low" if running_instances <= 2 else "medium" if running_instances <= 5 else "high"


def _rating_degrades_at_load(ratings: Sequence[Rating]) -> int | None:
    by_load = _grouped(ratings, lambda r: load_bucket(r.running_instances))
    return degrades_at_load({bucket: [r.rating for r in rows] for bucket, rows in by_load.items()})


def _usage_summary(period: Period) -> Body:
    return {
        "period_days": period.days,
        "total_messages": len(period.messages),
        **_tokens(period.events),
        "active_agents": len({e.agent_id for e in period.messages}),
        "avg_response_time_ms": _avg_response_time(period.events),
        **_cost(period.events),
    }


def _usage_by_agent(period: Period) -> Body:
    body = [
        {
            "agent_id": agent_id,
            "agent_name": period.agent_name(agent_id),
            "message_count": len(messages_of(events)),
            **_tokens(events),
            "avg_response_time_ms": _avg_response_time(events),
            **_cost(events),
        }
        for agent_id, events in _grouped(period.events, lambda e: e.agent_id).items()
    ]
    return sorted(body, key=lambda row: (-row["total_tokens"], row["agent_id"]))


def _usage_timeline(period: Period) -> Body:
    by_date = _grouped(period.events, lambda e: e.occurred_at.astimezone(period.zone).date())
    dates = [period.first + timedelta(days=n) for n in range(period.days)]
    return {
        "labels": [day.isoformat() for day in dates],
        "messages": [len(messages_of(by_date.get(day, []))) for day in dates],
        "tokens": [_tokens(by_date.get(day, []))["total_tokens"] for day in dates],
        "cost_usd": [_cost(by_date.get(day, []))["cost_usd"] for day in dates],
    }


def _usage_by_model(period: Period) -> Body:
    body = [
        {
            "model": model,
            "message_count": len(messages_of(events)),
            **_tokens(events),
            "avg_response_time_ms": _avg_response_time(events),
            "tokens_per_second": _tokens_per_second(events),
            **_cost(events),
        }
        for model, events in _grouped(period.events, lambda e: e.model).items()
    ]
    return sorted(body, key=lambda row: (-row["total_tokens"], row["model"]))


def _compliance_summary(period: Period) -> Body:
    by_type: Counter[str] = Counter()
    for part in period.scans:
        by_type.update(dict(part.scan.pii))
    with_pii = sum(part.is_first_with_pii for part in period.scans)
    messages = len(period.messages)
    ranked = sorted(by_type.items(), key=lambda item: (-item[1], item[0]))
    return {
        "period_days": period.days,
        "total_messages": messages,
        "toxic_messages": _toxic(period.scans),
        "toxic_rate_percent": rounded(100 * _toxic(period.scans), messages, 2),
        "pii_redactions": {"total": sum(by_type.values()), "by_type": dict(ranked)},
        "messages_with_pii": with_pii,
        "pii_rate_percent": rounded(100 * with_pii, messages, 2),
        "scanned_messages": sum(part.is_first for part in period.scans),
    }


def _compliance_by_agent_type(period: Period) -> Body:
    events = _grouped(period.messages, lambda e: e.agent_type_id)
    scans = _grouped(period.scans, lambda part: part.scan.agent_type_id)
    body = []
    for agent_type_id in events.keys() | scans.keys():
        messages = len(events.get(agent_type_id, []))
        own = scans.get(agent_type_id, [])
        body.append(
            {
                "agent_type_id": agent_type_id,
                "agent_type_name": period.type_name(agent_type_id),
                "total_messages": messages,
                "toxic_messages": _toxic(own),
                "toxic_rate_percent": rounded(100 * _toxic(own), messages, 2),
                "pii_redactions_total": _redactions(own),
                "pii_per_message": rounded(_redactions(own), messages, 3),
                "scanned_messages": sum(part.is_first for part in own),
            }
        )
    body.sort(key=lambda row: (-row["total_messages"], row["agent_type_id"]))
    return {"period_days": period.days, "agent_types": body}


def _feedback_summary(period: Period) -> Body:
    stars = Counter(r.rating for r in period.ratings)
    return {
        "period_days": period.days,
        "total_feedback": len(period.ratings),
        "average_rating": _average_rating(period.ratings),
        "rating_distribution": {str(star): stars[star] for star in range(1, 6)},
    }


def _feedback_by_agent_type(period: Period) -> Body:
    body = []
    for agent_type_id, ratings in _grouped(period.ratings, lambda r: r.agent_type_id).items():
        by_load = _grouped(ratings, lambda r: load_bucket(r.running_instances))
        body.append(
            {
                "agent_type_id": agent_type_id,
                "agent_type_name": period.type_name(agent_type_id),
                "total_feedback": len(ratings),
                "average_rating": _average_rating(ratings),
                "rating_by_load": {
                    bucket: {
                        "instances_range": instances_range,
                        "avg_rating": _average_rating(by_load.get(bucket, [])),
                        "count": len(by_load.get(bucket, [])),
                    }
                    for bucket, instances_range in INSTANCES_RANGES.items()
                },
                "rating_degrades_at_load": _rating_degrades_at_load(ratings),
            }
        )
    body.sort(key=lambda row: (-row["total_feedback"], row["agent_type_id"]))
    return {"period_days": period.days, "agent_types": body}


def _comparison(period: Period) -> Body:
    events_by_type = _grouped(period.events, lambda e: e.agent_type_id)
    scans_by_type = _grouped(period.scans, lambda part: part.scan.agent_type_id)
    ratings_by_type = _grouped(period.ratings, lambda r: r.agent_type_id)
    body: list[dict[str, Any]] = []
    with_messages = {e.agent_type_id for e in period.messages}
    for agent_type_id in with_messages | scans_by_type.keys() | ratings_by_type.keys():
        messages = messages_of(events_by_type.get(agent_type_id, []))
        events = events_by_type.get(agent_type_id, [])
        scans = scans_by_type.get(agent_type_id, [])
        ratings = ratings_by_type.get(agent_type_id, [])
        total_tokens = _tokens(events)["total_tokens"]
        body.append(
            {
                "agent_type_id": agent_type_id,
                "name": period.type_name(agent_type_id),
                "model": _model(period, agent_type_id, events),
                "performance": {
                    "total_messages": len(messages),
                    "total_tokens": total_tokens,
                    "avg_response_time_ms": _avg_response_time(events),
                    "tokens_per_second": _tokens_per_second(events),
                    "avg_tokens_per_message": rounded(
                        _tokens(messages)["total_tokens"], len(messages)
                    ),
                },
                "compliance": {
                    "toxic_rate_percent": rounded(100 * _toxic(scans), len(messages), 2),
                    "pii_redactions_per_message": rounded(_redactions(scans), len(messages), 3),
                },
                "satisfaction": {
                    "feedback_count": len(ratings),
                    "average_rating": _average_rating(ratings),
                    "rating_degrades_at_load": _rating_degrades_at_load(ratings),
                },
            }
        )
    body.sort(key=lambda row: (-row["performance"]["total_messages"], row["agent_type_id"]))
    return {"period_days": period.days, "agent_types": body}


def _model(period: Period, agent_type_id: int, events: Sequence[UsageEvent]) -> str | None:
    """The model of most messages, ties by name; without messages the type's own, if it has one."""
    messages = Counter(e.model for e in messages_of(events))
    if messages:
        return min(messages, key=lambda model: (-messages[model], model))
    row = period.truth.agent_types.get((period.customer_id, agent_type_id))
    return row["model"] if row else None


ENDPOINTS: dict[str, tuple[int, Callable[[Period], Body]]] = {
    "/api/stats/usage/summary": (7, _usage_summary),
    "/api/stats/usage/by-agent": (7, _usage_by_agent),
    "/api/stats/usage/timeline": (30, _usage_timeline),
    "/api/stats/usage/by-model": (7, _usage_by_model),
    "/api/stats/compliance/summary": (30, _compliance_summary),
    "/api/stats/compliance/by-agent-type": (30, _compliance_by_agent_type),
    "/api/stats/feedback/summary": (30, _feedback_summary),
    "/api/stats/feedback/by-agent-type": (30, _feedback_by_agent_type),
    "/api/stats/agent-types/comparison": (30, _comparison),
}
"""Default days and the builder of each endpoint's body."""
