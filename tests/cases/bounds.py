"""Rows at every bound that the contract accepts, of customers at the bounds themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from installation import Row, rating, scan, usage_event

# Five minutes later it is another date.
NOW = datetime.fromisoformat("2026-05-01T23:58:00Z")
LATEST = "2026-05-02T00:03:00Z"
EARLIEST = "1970-01-01T00:00:00Z"
LARGEST_KEY = 2**63 - 1
LARGEST_COUNT = 10**12
LONGEST_ID = "\U0001f701" * 128
LONGEST_TEXT = "\U0001f702" * 256

ORDINARY = 7
KEPT_LONGEST = LARGEST_KEY
KEPT_SHORTEST = 1
KEPT_FOR_GOOD = LARGEST_KEY - 1
"""Without a policy, so that times from 1970 on are accepted."""
OTHERS = (KEPT_LONGEST, KEPT_SHORTEST, KEPT_FOR_GOOD, 3, 4)

Values = Mapping[str, Sequence[object]]

_KEYS = [1, LARGEST_KEY]
_IDS = ["x", LONGEST_ID]
_MODELS = [None, "m", LONGEST_TEXT]
_COUNTS = [0, 1, LARGEST_COUNT]
_RECEIVED = [None, EARLIEST, LATEST, "2026-05-02T00:03:00.000001Z", "9998-12-31T23:59:59.999999Z"]

OF_USAGE: Values = {
    "event_id": _IDS,
    "agent_id": _KEYS,
    "agent_type_id": _KEYS,
    "model_used": _MODELS,
    "input_tokens": _COUNTS,
    "output_tokens": _COUNTS,
    "total_tokens": [None, 2 * LARGEST_COUNT, LARGEST_KEY, -(2**63)],
    "response_time_ms": [None, 0, 0.49, 0.5, 86_399_999.5, 86_400_000],
    "received_at": _RECEIVED,
}
OF_SCANS: Values = {
    "audit_id": _IDS,
    "agent_id": _KEYS,
    "agent_type_id": _KEYS,
    "event_id": [None, *_IDS],
    "toxicity_score": [None, 0, 5e-324, 0.49999999999999994, 0.5, 1],
    "is_toxic": [None, False, True],
    "pii_redactions": [
        None,
        {},
        {"PERSON": 0},
        {LONGEST_TEXT: LARGEST_COUNT},
        {f"TYPE_{number}": LARGEST_COUNT // 200 for number in range(200)},
    ],
    "received_at": _RECEIVED,
}
OF_RATINGS: Values = {
    "feedback_id": _IDS,
    "agent_type_id": _KEYS,
    "agent_id": [None, *_KEYS],
    "rating": [1, 5],
    "running_instances": [None, 0, 1, 2, 3, 5, 6, LARGEST_KEY],
    "received_at": _RECEIVED,
}

_EVENTS: dict[str, tuple[Callable[..., dict[str, Any]], Values]] = {
    "agent_usage_events": (usage_event, OF_USAGE),
    "audit_events": (scan, OF_SCANS),
    "feedback_events": (rating, OF_RATINGS),
}


def of_ordinary() -> dict[str, list[Row]]:
    """By stream, what an everyday customer delivers."""
    own = {"customer_id": ORDINARY, "received_at": None}
    days = range(20)
    at = {day: (NOW - timedelta(days=day, hours=day)).isoformat() for day in days}
    return {
        "customers": [_customer(ORDINARY, "pro", customer_name="Ordinary")],
        "agents": [_named("agent", ORDINARY, 11, "Greeter")],
        "agent_types": [{**_named("agent_type", ORDINARY, 5, "Support"), "model": "m"}],
        "agent_usage_events": [usage_event(n, **own, occurred_at=at[n]) for n in days],
        "audit_events": [scan(n, **own, occurred_at=at[n]) for n in days],
        "feedback_events": [rating(n, **own, occurred_at=at[n]) for n in days],
    }


def of_others() -> dict[str, list[Row]]:
    """By stream, a row for each bound of each column, and those where all are at their last."""
    streams: dict[str, list[Row]] = {
        # Days as text: who makes Parquet of JSON gets a double of the smallest integer.
        "customers": [
            _customer(KEPT_LONGEST, "enterprise", retention_days="2557", updated_at=LATEST),
            _customer(KEPT_SHORTEST, "enterprise", retention_days="1", updated_at=None),
            _customer(3, "pro", retention_days=str(LARGEST_KEY), updated_at=EARLIEST),
            _customer(4, "free", retention_days=str(-(2**63)), customer_name="n"),
        ],
        "agents": [],
        "agent_types": [],
    }
    for customer_id in OTHERS:
        for key in _KEYS:
            streams["agents"].append(_named("agent", customer_id, key, LONGEST_TEXT))
            named = _named("agent_type", customer_id, key, LONGEST_TEXT)
            streams["agent_types"].append({**named, "model": LONGEST_TEXT})
    for stream, (make, values) in _EVENTS.items():
        streams[stream] = [
            row for customer_id in OTHERS for row in _at_the_bounds(make, values, customer_id)
        ]
    return streams


def _at_the_bounds(
    make: Callable[..., dict[str, Any]], values: Values, customer_id: int
) -> list[Row]:
    first = {
        KEPT_LONGEST: (NOW.date() - timedelta(days=2557)).isoformat(),
        KEPT_SHORTEST: "2026-04-30",
        KEPT_FOR_GOOD: EARLIEST,
        4: "2026-04-24",
    }.get(customer_id, "2026-05-01")
    own = {"customer_id": customer_id, "occurred_at": "2026-05-01T08:00:00Z"}
    changes = [{name: value} for name, many in values.items() for value in many]
    last = {name: many[-1] for name, many in values.items()}
    changes += [{"occurred_at": first}, {"occurred_at": LATEST}]
    # Of one identity, as it is, there is one time; so the fullest row has an id of its own.
    identity = next(iter(values))
    changes += [{**last, identity: LONGEST_ID[1:] + "x", "occurred_at": first}]
    return [make(number, **{**own, **change}) for number, change in enumerate(changes)]


def _customer(customer_id: int, tier: str, **changes: Any) -> Row:
    row = {"customer_id": customer_id, "customer_name": LONGEST_TEXT, "tier": tier}
    return {**row, "retention_days": None, "updated_at": "2026-01-01T00:00:00Z", **changes}


def _named(what: str, customer_id: int, key: int, name: str) -> dict[str, Any]:
    row = {f"{what}_id": key, "customer_id": customer_id, f"{what}_name": name}
    return {**row, "agent_type_id": key if what == "agent_type" else 5, "updated_at": LATEST}
