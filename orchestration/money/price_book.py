"""The price book: the built-in list, and the prices and aliases that were delivered."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from orchestration.contract.streams import MODEL_ALIASES, PRICES
from orchestration.lake.newest import newest_rows
from orchestration.lake.verified import verified_paths
from orchestration.money.price_list import Named, Price, PriceList, price_list, quarter_of_day
from orchestration.money.rates import FIRST_INSTANT
from orchestration.settings import Settings
from orchestration.storage.database import connect
from orchestration.storage.ledger import Ledger

UNKNOWN = "unknown"
"""What marts say where an event names no provider or no model."""

BY_ALIAS = "alias"
BY_OWN_PRICE = "delivered price"
BY_LIST = "price list"
BY_FALLBACK = "price list of another provider"


@dataclass(frozen=True)
class Alias:
    """By which name a model is priced; a provider of None is any."""

    model: str
    provider: str | None
    priced_as: str


@dataclass(frozen=True)
class Resolved:
    """What a name that events have means to the price book.

    `provider` and `model` are as marts have them; `priced_provider` and `priced_model` those that
    prices are looked up by, None where the name has no price. `found_by` says how.
    """

    provider: str
    model: str
    priced_provider: str | None = None
    priced_model: str | None = None
    found_by: str | None = None
    standard_prices_only: bool = False

    @property
    def named(self) -> Named | None:
        """The model of the list."""
        if self.priced_provider is None or self.priced_model is None:
            return None
        return Named(self.priced_provider, self.priced_model, self.standard_prices_only)


class PriceBook:
    """All prices that hold, and what names mean. Read-only."""

    def __init__(self, listed: PriceList, own: Iterable[Price], aliases: Iterable[Alias]) -> None:
        self.listed = listed
        self.own = tuple(own)
        """Prices that were delivered."""
        self._aliases = {(each.model.lower(), each.provider): each for each in aliases}
        self._own_by_model: dict[str, list[Price]] = defaultdict(list)
        for price in self.own:
            self._own_by_model[price.model.lower()].append(price)
        digest = hashlib.sha256(listed.sha256.encode())
        for row in sorted(map(repr, self.own)) + sorted(map(repr, self._aliases.values())):
            digest.update(row.encode() + b"\0")
        self.price_book_id = f"{listed.version.replace(' ', '-')}-{digest.hexdigest()[:16]}"
        """Which list it rests on, and a hash of all that is in it."""
        self.names_id = hashlib.sha256(
            "\0".join(
                [
                    listed.sha256,
                    *sorted(map(repr, self._aliases.values())),
                    *sorted({f"{each.provider}/{each.model}".lower() for each in self.own}),
                ]
            ).encode()
        ).hexdigest()[:16]
        """A hash of what decides which name means what."""

    def resolve(self, provider: str, model: str) -> Resolved:
        """What a provider and a model mean, as marts name them. It never guesses: a name that no
        rule knows means nothing."""
        delivered = Resolved(provider, model)
        if model == UNKNOWN:
            return delivered
        by = None if provider == UNKNOWN else provider
        alias = self._aliases.get((model.lower(), by)) or self._aliases.get((model.lower(), None))
        if alias is not None:
            # Its provider may be one that the list does not know.
            first, _, rest = alias.priced_as.partition("/")
            for of_provider, name in (
                (by, alias.priced_as),
                (None, alias.priced_as),
                (first.lower(), rest),
            ):
                found = self._own_or_listed(of_provider, name)
                if found is not None:
                    return self._resolved(delivered, found[0], BY_ALIAS)
            return delivered
        found = self._own_or_listed(by, model)
        return delivered if found is None else self._resolved(delivered, *found)

    @staticmethod
    def _resolved(delivered: Resolved, named: Named, found_by: str) -> Resolved:
        return Resolved(
            delivered.provider,
            delivered.model,
            named.provider,
            named.model,
            found_by,
            named.is_fallback,
        )

    def _own_or_listed(self, provider: str | None, model: str) -> tuple[Named, str] | None:
        listed = self.listed.find(provider, model)
        if listed is not None:
            return listed, BY_FALLBACK if listed.is_fallback else BY_LIST
        owners = {
            price.provider
            for price in self._own_by_model.get(model.lower(), [])
            if provider is None or price.provider in (None, provider)
        }
        if provider is not None and owners:
            return Named(provider, model), BY_OWN_PRICE
        if len(owners) == 1:
            return Named(owners.pop() or UNKNOWN, model), BY_OWN_PRICE
        return None

    def prices_of(self, name: Resolved, customer_id: int | None) -> list[Price]:
        """All prices that are about a name and a customer; None: about no customer alone."""
        named = name.named
        listed = [] if named is None else list(self.listed.prices_of(named))
        models = {name.model.lower(), *([named.model.lower()] if named else [])}
        providers = {name.provider, *([named.provider] if named else []), None}
        return listed + [
            price
            for model in sorted(models)
            for price in self._own_by_model.get(model, [])
            if price.provider in providers and price.customer_id in (None, customer_id)
        ]

    def customers_of(self, name: Resolved) -> list[int]:
        """The customers that have prices of their own for a name."""
        named = name.named
        models = {name.model.lower(), *([named.model.lower()] if named else [])}
        providers = {name.provider, *([named.provider] if named else []), None}
        return sorted(
            {
                price.customer_id
                for model in models
                for price in self._own_by_model.get(model, [])
                if price.provider in providers and price.customer_id is not None
            }
        )

    def has_left_out_fee(self, name: Resolved) -> bool:
        """Whether the model has a fee per request, which is in no cost."""
        named = name.named
        return named is not None and self.listed.has_left_out_fee(named)

    @property
    def overlaps(self) -> list[tuple[Price, Price]]:
        """Pairs of delivered prices of which one hides the other for some time."""
        by_key: dict[tuple[object, ...], list[Price]] = defaultdict(list)
        for price in self.own:
            by_key[
                price.customer_id,
                price.provider,
                price.model.lower(),
                price.token_class,
                price.processing,
                price.context_over_tokens,
                price.utc_from,
                price.utc_to,
            ].append(price)
        found = []
        for prices in by_key.values():
            ordered = sorted(prices, key=lambda each: each.valid_from or FIRST_INSTANT)
            for one, other in pairwise(ordered):
                if one.valid_to is None or (other.valid_from or FIRST_INSTANT) < one.valid_to:
                    found.append((one, other))
        return found


def read_price_book(settings: Settings, ledger: Ledger) -> PriceBook:
    """The price book by what is in the lake. Raises `LakeDamaged`."""
    prices, aliases = (
        verified_paths(settings.lake, ledger, ledger.lake_files_of(stream.name))
        for stream in (PRICES, MODEL_ALIASES)
    )
    if not prices and not aliases:
        return PriceBook(price_list(), [], [])
    with closing(connect(settings)) as connection:
        newest_rows(connection, "newest_price", PRICES, prices)
        newest_rows(connection, "newest_alias", MODEL_ALIASES, aliases)
        columns = [name for name, _ in PRICES.lake_columns if name != "updated_at"]
        own = [
            _price(dict(zip(columns, row, strict=True)))
            for row in connection.execute(
                f"select {', '.join(columns)} from newest_price where usd_per_million is not null"
            ).fetchall()
        ]
        named = connection.execute(
            "select model, provider, priced_as from newest_alias where priced_as is not null"
        ).fetchall()
    return PriceBook(price_list(), own, [Alias(*row) for row in named])


def _price(row: Mapping[str, Any]) -> Price:
    """A price of a row of the lake."""
    return Price(
        provider=row["provider"],
        model=row["model"],
        token_class=row["token_class"],
        processing=row["processing"],
        context_over_tokens=row["context_over_tokens"] or 0,
        usd_per_million=int(row["usd_per_million"].scaleb(6)),
        valid_from=row["valid_from"],
        valid_to=row["valid_to"],
        utc_from=quarter_of_day(row["utc_from"]),
        utc_to=quarter_of_day(row["utc_to"]),
        customer_id=row["customer_id"],
    )
