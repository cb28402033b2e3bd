"""What a token of each class costs, by name, processing, context and time: prices worked out.

A price book says prices of some classes, for some processings, thresholds and times; which of them
a token has follows from rules: docs/money.md. They are applied here, once for each name that events
have, so that the models only look up what holds in a quarter hour.
"""

from __future__ import annotations

import hashlib
from bisect import insort
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from orchestration.money.price_list import QUARTERS_OF_DAY, Price

FALLBACKS: Mapping[str, tuple[str, ...]] = {
    "cache_read_audio_input": ("cache_read_input", "audio_input", "input"),
    "cache_read_image_input": ("cache_read_input", "image_input", "input"),
    "cache_read_input": ("input",),
    "cache_write_1h_input": ("cache_write_input", "input"),
    "cache_write_input": ("input",),
    "audio_input": ("input",),
    "image_input": ("input",),
    "input": (),
    "reasoning_output": ("output",),
    "audio_output": ("output",),
    "image_output": ("output",),
    "output": (),
}
"""The token classes; where one has no price, it has that of the first of these which has one."""

STANDARD = "standard"
FIRST_INSTANT = datetime(1, 1, 1)
LAST_INSTANT = datetime(9999, 12, 31)


@dataclass(frozen=True)
class OfClass:
    """What a token of one class costs, in 10^-12 US dollars.

    `usd` is None where there is no price. `is_assumed`: it is that of standard processing.
    """

    usd: int | None
    is_assumed: bool = False


Rate = tuple[OfClass, ...]
"""Of each class, in the order of `FALLBACKS`."""

NO_PRICE: Rate = tuple(OfClass(None) for _ in FALLBACKS)


@dataclass(frozen=True)
class Span:
    """A rate, and when it holds: half-open in UTC, in quarter hours of the day from `quarter_from`
    on and before `quarter_to`."""

    valid_from: datetime
    valid_to: datetime
    quarter_from: int
    quarter_to: int
    rate: Rate


def thresholds(prices: Iterable[Price]) -> list[int]:
    """How many tokens of input change some price when they are exceeded, ascending, from 0."""
    return sorted({0, *(price.context_over_tokens for price in prices)})


def spans(prices: Sequence[Price], processing: str, context_over_tokens: int) -> list[Span]:
    """The rates of a name for all time, in order; `NO_PRICE` where no class has a price.

    `prices` are all that are about the name and the customer; `context_over_tokens` is the greatest
    threshold of theirs that the input exceeds.
    """
    instants = sorted(
        {
            FIRST_INSTANT,
            LAST_INSTANT,
            *(price.valid_from for price in prices if price.valid_from),
            *(price.valid_to for price in prices if price.valid_to),
        }
    )
    quarters = sorted(
        {
            0,
            QUARTERS_OF_DAY,
            *(price.utc_from for price in prices if price.utc_from is not None),
            *(price.utc_to for price in prices if price.utc_to is not None),
        }
    )
    found: list[list[Span]] = []
    holding_by_span = _holding(prices, instants)
    for start, end in pairwise(instants):
        holding = next(holding_by_span)
        of_span: list[Span] = []
        for first, last in pairwise(quarters):
            now = [price for price in holding if _holds_at(price, first)]
            rate = _rate(now, processing, context_over_tokens)
            if of_span and of_span[-1].rate == rate:
                first = of_span.pop().quarter_from
            of_span.append(Span(start, end, first, last, rate))
        if found and [_of_day(each) for each in found[-1]] == [_of_day(each) for each in of_span]:
            start = found.pop()[0].valid_from
            of_span = [Span(start, end, *_of_day(each)) for each in of_span]
        found.append(of_span)
    return [each for of_span in found for each in of_span]


def _of_day(span: Span) -> tuple[int, int, Rate]:
    return span.quarter_from, span.quarter_to, span.rate


def _holding(prices: Sequence[Price], instants: Sequence[datetime]) -> Iterator[list[Price]]:
    """From each instant on, in order: the prices that hold, of those that are about the same the
    one that comes before the others. A price may change daily for years, so that none is looked at
    but where it begins and ends."""
    begins: dict[datetime, list[Price]] = defaultdict(list)
    ends: dict[datetime, list[Price]] = defaultdict(list)
    for price in prices:
        begin, end = price.valid_from or FIRST_INSTANT, price.valid_to or LAST_INSTANT
        if begin < end:
            begins[begin].append(price)
            ends[end].append(price)
    holding: dict[tuple[object, ...], list[Price]] = defaultdict(list)
    for instant in instants:
        for price in ends[instant]:
            holding[_about(price)].remove(price)
        for price in begins[instant]:
            insort(holding[_about(price)], price, key=_precedence)
        yield [of_one[-1] for of_one in holding.values() if of_one]


def _about(price: Price) -> tuple[object, ...]:
    """What a price is of, whoever says it and whenever."""
    return (
        price.token_class,
        price.processing,
        price.context_over_tokens,
        price.utc_from,
        price.utc_to,
    )


def _holds_at(price: Price, quarter: int) -> bool:
    """Whether a price holds in a quarter hour of the day."""
    if price.utc_from is None or price.utc_to is None:
        return True
    if price.utc_from < price.utc_to:
        return price.utc_from <= quarter < price.utc_to
    return quarter >= price.utc_from or quarter < price.utc_to


def _rate(prices: Sequence[Price], processing: str, context_over_tokens: int) -> Rate:
    """The rate by the prices that hold at one time."""
    by_class: dict[tuple[str, str], dict[int, Price]] = {}
    for price in prices:
        of_threshold = by_class.setdefault((price.token_class, price.processing), {})
        other = of_threshold.get(price.context_over_tokens)
        if other is None or _precedence(price) > _precedence(other):
            of_threshold[price.context_over_tokens] = price

    def of_class(token_class: str) -> OfClass:
        for each in (token_class, *FALLBACKS[token_class]):
            found = by_class.get((each, processing))
            is_assumed = found is None and processing != STANDARD
            if found is None:
                found = by_class.get((each, STANDARD))
            if found is not None:
                exceeded = [over for over in found if over <= context_over_tokens]
                if not exceeded:
                    return OfClass(None)
                return OfClass(found[max(exceeded)].usd_per_million, is_assumed)
        return OfClass(None)

    return tuple(of_class(each) for each in FALLBACKS)


def _precedence(price: Price) -> tuple[bool, bool, bool, datetime, int]:
    """The customer's own price before everybody's, that before the list's; that of some hours
    before that of the whole day; then the later one. Of two that are equal in all that, the
    lower."""
    return (
        price.customer_id is not None,
        not price.is_listed,
        price.utc_from is not None,
        price.valid_from or FIRST_INSTANT,
        -price.usd_per_million,
    )


def rate_id(*what: object) -> int:
    """A number that stands for the prices of a name, whenever they hold."""
    digest = hashlib.sha256(repr(what).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
