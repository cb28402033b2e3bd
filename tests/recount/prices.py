"""What one event costs, by the contract's rules and the shipped list of prices, exactly.

Names are looked up by the package that the list was made of; the prices of an event are chosen one
by one, at its own instant.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

from genai_prices.data_snapshot import get_snapshot

from .deliveries import UsageEvent
from .token_classes import token_classes

LIST = Path(__file__).resolve().parents[2] / "dbt_project" / "price_list"
PARENTS = {
    "cache_read_audio_input": ["cache_read_input", "audio_input", "input"],
    "cache_read_image_input": ["cache_read_input", "image_input", "input"],
    "cache_read_input": ["input"],
    "cache_write_1h_input": ["cache_write_input", "input"],
    "cache_write_input": ["input"],
    "audio_input": ["input"],
    "image_input": ["input"],
    "input": [],
    "reasoning_output": ["output"],
    "audio_output": ["output"],
    "image_output": ["output"],
    "output": [],
}


@dataclass(frozen=True)
class OfClass:
    """Tokens of one class, and what one of them costs; None without a price."""

    token_class: str
    tokens: int
    price: Fraction | None
    is_price_assumed: bool


@dataclass(frozen=True)
class Cost:
    """What an event costs, in US dollars; which tokens have no price, or an assumed one."""

    usd: Fraction = Fraction(0)
    unpriced_tokens: int = 0
    assumed_price_tokens: int = 0
    context_over_tokens: int = 0
    is_context_assumed: bool = False
    has_left_out_fee: bool = False
    by_class: tuple[OfClass, ...] = ()
    """Those of no class are of `input` and `output`, without a price."""


Row = dict[str, Any]


@cache
def _listed() -> dict[tuple[str, str], list[Row]]:
    found: dict[tuple[str, str], list[Row]] = {}
    with (LIST / "prices.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            found.setdefault((row["provider"], row["model"]), []).append(row)
    return found


@cache
def _with_fee() -> set[tuple[str, str]]:
    with (LIST / "left_out.csv").open(newline="") as file:
        return {
            (row["provider"], row["model"])
            for row in csv.DictReader(file)
            if row["reason"] == "fee per request"
        }


@cache
def _meaning(provider: str, model: str) -> tuple[str, str, bool] | None:
    """Provider and model of the list, and whether another provider's prices are taken."""
    if model == "unknown":
        return None
    snapshot = get_snapshot()
    by = None if provider == "unknown" else provider
    try:
        asked, found = snapshot.find_provider_model(model, None, by, None)
    except LookupError:
        return None
    if any(found is each for each in asked.models):
        return asked.id, found.id, False
    for each in snapshot.providers:
        if any(found is model_of for model_of in each.models):
            return each.id, found.id, True
    raise AssertionError(f"{found.id} is of no provider")


def _rows_of(event: UsageEvent) -> tuple[list[Row], bool]:
    """The prices that are about the event's name and customer, of the list in one shape with those
    that were delivered; and whether there is a fee besides."""
    provider, model = event.provider, event.model
    named = _named(event)
    listed: list[Row] = []
    if named is not None:
        listed = [
            {
                **row,
                "usd_per_million": Fraction(row["usd_per_million"]),
                "context_over_tokens": int(row["context_over_tokens"]),
                "valid_from": _midnight(row["valid_from"]),
                "valid_to": _midnight(row["valid_to"]),
                "rank": 0,
            }
            for row in _listed().get(named[:2], [])
            if not named[2] or row["processing"] == "standard"
        ]
    models = {model.lower(), *([named[1].lower()] if named else [])}
    providers = {provider, None, *([named[0]] if named else [])}
    delivered = [] if event.delivered is None else event.delivered.prices
    rows = listed + [
        {
            **row,
            "usd_per_million": Fraction(row["usd_per_million"]),
            "context_over_tokens": row["context_over_tokens"] or 0,
            "processing": row["processing"] or "standard",
            "rank": 1 if row["customer_id"] is None else 2,
        }
        for row in delivered
        if row["model"].lower() in models
        and row["provider"] in providers
        and row["customer_id"] in (None, event.customer_id)
    ]
    return rows, named is not None and named[:2] in _with_fee()


def _named(event: UsageEvent) -> tuple[str, str, bool] | None:
    """Provider and model that the event is priced by: by an alias first."""
    delivered = event.delivered
    if delivered is None or event.model == "unknown":
        return _meaning(event.provider, event.model)
    for of_provider in (event.provider, None):
        for alias in delivered.aliases:
            if (alias["model"].lower(), alias["provider"]) == (event.model.lower(), of_provider):
                first, _, rest = alias["priced_as"].partition("/")
                ways = [(event.provider, alias["priced_as"]), ("unknown", alias["priced_as"])]
                for way in [*ways, (first.lower(), rest)]:
                    found = _meaning(*way) or _delivered_name(event, *way)
                    if found is not None:
                        return found
                return None
    return _meaning(event.provider, event.model) or _delivered_name(
        event, event.provider, event.model
    )


def _delivered_name(event: UsageEvent, provider: str, model: str) -> tuple[str, str, bool] | None:
    assert event.delivered is not None
    owners = {
        row["provider"]
        for row in event.delivered.prices
        if row["model"].lower() == model.lower()
        and (provider == "unknown" or row["provider"] in (None, provider))
    }
    if provider != "unknown" and owners:
        return provider, model, False
    return (owners.pop() or "unknown", model, False) if len(owners) == 1 else None


def _midnight(day: str) -> datetime | None:
    return datetime.fromisoformat(f"{day}T00:00:00+00:00") if day else None


def _holds(row: Row, at: datetime) -> bool:
    if (row["valid_from"] and at < row["valid_from"]) or (
        row["valid_to"] and at >= row["valid_to"]
    ):
        return False
    if not row["utc_from"] or not row["utc_to"]:
        return True
    time = f"{at:%H:%M}"
    if row["utc_from"] < row["utc_to"]:
        return bool(row["utc_from"] <= time < row["utc_to"])
    return bool(time >= row["utc_from"] or time < row["utc_to"])


def cost(event: UsageEvent) -> Cost:
    """What the event costs."""
    classes = token_classes(event)
    unclassed = classes["unclassed_input_tokens"] + classes["unclassed_output_tokens"]
    rows, has_fee = _rows_of(event)
    exceeded = [
        row["context_over_tokens"]
        for row in rows
        if event.input_tokens > row["context_over_tokens"]
    ]
    context = max(exceeded, default=0)
    is_context_assumed = context > 0 and (event.model_requests or 1) > 1
    if is_context_assumed:
        context = 0
    at = event.occurred_at.astimezone(UTC)
    usd, unpriced, assumed = Fraction(0), unclassed, 0
    by_class = [
        OfClass(side, classes[f"unclassed_{side}_tokens"], None, is_context_assumed)
        for side in ("input", "output")
        if classes[f"unclassed_{side}_tokens"]
    ]
    for name, parents in PARENTS.items():
        tokens = classes[f"class_{name}_tokens"]
        if not tokens:
            continue
        price, is_assumed = _price([name, *parents], rows, event.processing, context, at)
        by_class.append(OfClass(name, tokens, price, is_assumed or is_context_assumed))
        if price is None:
            unpriced += tokens
            continue
        usd += price * tokens
        assumed += tokens if is_assumed or is_context_assumed else 0
    has_fee = has_fee and any(_holds(row, at) for row in rows)
    return Cost(usd, unpriced, assumed, context, is_context_assumed, has_fee, tuple(by_class))


def _price(
    names: Sequence[str], rows: Sequence[Row], processing: str, context: int, at: datetime
) -> tuple[Fraction | None, bool]:
    def found(name: str, of_processing: str) -> Iterator[Row]:
        for row in rows:
            if (row["token_class"], row["processing"]) == (name, of_processing) and _holds(row, at):
                yield row

    for name in names:
        for of_processing in dict.fromkeys([processing, "standard"]):
            holding = list(found(name, of_processing))
            if holding:
                fitting = [row for row in holding if row["context_over_tokens"] <= context]
                if not fitting:
                    return None, False
                most = max(row["context_over_tokens"] for row in fitting)
                row = max(
                    (row for row in fitting if row["context_over_tokens"] == most),
                    key=lambda each: (
                        each["rank"],
                        bool(each["utc_from"]),
                        each["valid_from"] or datetime.min.replace(tzinfo=UTC),
                        -each["usd_per_million"],
                    ),
                )
                return row["usd_per_million"] / 10**6, of_processing != processing
    return None, False
