"""The built-in price list: its prices, what was left out of it, and which names mean which model.

`make prices` makes the files from the package genai-prices; a decision page says why they are files
of ours: docs/decisions/0024-prices-of-names-worked-out-before-the-models.md.
"""

from __future__ import annotations

import csv
import functools
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from api.installation import dbt_project

PRICE_LIST = "prices.csv"
LEFT_OUT = "left_out.csv"
NAMES = "names.json"
SOURCE = "source.json"
FREE_MODELS = "free_models.txt"

QUARTERS_OF_DAY = 96
FEE_PER_REQUEST = "fee per request"

_COMPACT_DATE = re.compile(r"-(20\d{2})(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?=-|:|$)")


@dataclass(frozen=True)
class Price:
    """A price of one token class.

    `usd_per_million` is in 10^-6 US dollars per million tokens, which is 10^-12 US dollars per
    token. `valid_from` and `valid_to` are instants of UTC without offset, half-open, None without
    an end; `utc_from` and `utc_to` are quarter hours of the day from 0 to 95, both None for all of
    it, and may wrap midnight. `customer_id` is None where it holds for everybody. `is_listed` says
    that it is of the built-in list. A `provider` of None is any.
    """

    provider: str | None
    model: str
    token_class: str
    processing: str
    context_over_tokens: int
    usd_per_million: int
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    utc_from: int | None = None
    utc_to: int | None = None
    customer_id: int | None = None
    is_listed: bool = False


@dataclass(frozen=True)
class Named:
    """A provider and model of the list that a name means.

    `is_fallback`: the provider is another than the one that was named, and offers its models.
    """

    provider: str
    model: str
    is_fallback: bool = False


class PriceList:
    """The built-in list. Read-only."""

    def __init__(self, folder: Path) -> None:
        """Read the files of a folder, as `make prices` wrote them."""
        self._prices: dict[tuple[str, str], list[Price]] = {}
        for row in _rows(folder / PRICE_LIST):
            price = Price(
                provider=row["provider"],
                model=row["model"],
                token_class=row["token_class"],
                processing=row["processing"],
                context_over_tokens=int(row["context_over_tokens"]),
                usd_per_million=millionths(row["usd_per_million"]),
                valid_from=_midnight(row["valid_from"]),
                valid_to=_midnight(row["valid_to"]),
                utc_from=quarter_of_day(row["utc_from"]),
                utc_to=quarter_of_day(row["utc_to"]),
                is_listed=True,
            )
            self._prices.setdefault((row["provider"], row["model"]), []).append(price)
        self.left_out: list[dict[str, str]] = list(_rows(folder / LEFT_OUT))
        self._with_fee = {
            (row["provider"], row["model"])
            for row in self.left_out
            if row["reason"] == FEE_PER_REQUEST
        }
        self._providers: list[dict[str, Any]] = json.loads((folder / NAMES).read_text("utf-8"))
        self._by_id: dict[str, dict[str, Any]] = {
            each["provider"]: each for each in self._providers
        }
        source = json.loads((folder / SOURCE).read_text("utf-8"))
        digest = hashlib.sha256()
        for name in (PRICE_LIST, LEFT_OUT, NAMES, FREE_MODELS):
            digest.update((folder / name).read_bytes())
        self.version = f"{source['package']} {source['version']}"
        """Which version of which package it was made from."""
        self.sha256 = digest.hexdigest()
        """Of its files."""

    def prices_of(self, named: Named) -> Sequence[Price]:
        """The prices of a model; by a fallback, those for standard processing only."""
        prices = self._prices.get((named.provider, named.model), [])
        if named.is_fallback:
            return [price for price in prices if price.processing == "standard"]
        return prices

    def has_left_out_fee(self, named: Named) -> bool:
        """Whether the model has a fee per request, which is in no cost."""
        return (named.provider, named.model) in self._with_fee

    @property
    def prices(self) -> list[Price]:
        """All of them."""
        return [price for prices in self._prices.values() for price in prices]

    def find(self, provider: str | None, model: str) -> Named | None:
        """What the names mean, by the list's own rules; None where these do not say."""
        model = model.lower()
        if provider == "litellm" and "/" in model:
            first, rest = model.split("/", 1)
            if self._provider(first) is not None:
                provider, model = first, rest
        if provider is not None and provider != "litellm":
            known = self._provider(provider)
        else:
            known = next(
                (each for each in self._providers if _matches(each["model_match"], model)), None
            )
        if known is None:
            return None
        return self._model(known, model) or self._model(known, _with_dashes(model))

    def _provider(self, name: str) -> dict[str, Any] | None:
        name = name.lower().strip()
        if name in self._by_id:
            return self._by_id[name]
        return next(
            (each for each in self._providers if _matches(each["provider_match"], name)), None
        )

    def _model(self, provider: Mapping[str, Any], name: str) -> Named | None:
        for model, rule in provider["models"]:
            if _matches(rule, name):
                return Named(provider["provider"], model)
        for fallback in provider["fallback"]:
            for model, rule in self._by_id.get(fallback, {"models": []})["models"]:
                if _matches(rule, name):
                    return Named(fallback, model, is_fallback=True)
        return None


@functools.cache
def price_list() -> PriceList:
    """The list of this installation."""
    return PriceList(dbt_project() / "price_list")


def millionths(usd: str) -> int:
    """An amount of at most 6 decimals, in millionths."""
    whole, _, decimals = usd.partition(".")
    return int(whole + f"{decimals:0<6}"[:6])


def quarter_of_day(time: str | None) -> int | None:
    """`HH:MM` as a number of quarter hours since midnight."""
    return int(time[:2]) * 4 + int(time[3:5]) // 15 if time else None


def _rows(path: Path) -> Sequence[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _midnight(day: str) -> datetime | None:
    return datetime.fromisoformat(day) if day else None


def _with_dashes(model: str) -> str:
    """The name with a date in it as `-2025-12-11`, where it was written `-20251211`."""

    def dashed(found: re.Match[str]) -> str:
        year, month, day = found.groups()
        try:
            date(int(year), int(month), int(day))
        except ValueError:
            return found.group(0)
        return f"-{year}-{month}-{day}"

    return _COMPACT_DATE.sub(dashed, model)


def _matches(rule: Mapping[str, Any] | None, text: str) -> bool:
    """Whether a lower-case name is one that the rule means."""
    if rule is None:
        return False
    ((kind, value),) = rule.items()
    match kind:
        case "or":
            return any(_matches(each, text) for each in value)
        case "and":
            return all(_matches(each, text) for each in value)
        case "equals":
            return bool(text == value.lower())
        case "starts_with":
            return text.startswith(value.lower())
        case "ends_with":
            return text.endswith(value.lower())
        case "contains":
            return value.lower() in text
        case "regex":
            return re.search(value, text) is not None
    raise ValueError(f"the price list has a rule of an unknown kind: {kind}")
