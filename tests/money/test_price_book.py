"""Which of several prices holds, and which name means which model: the rules of docs/money.md."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from orchestration.money.price_book import Alias, PriceBook
from orchestration.money.price_list import Price, price_list
from orchestration.money.rates import FALLBACKS, OfClass, spans, thresholds

INPUT = Price(None, "m", "input", "standard", 0, 5_000_000)
NOON = datetime(2026, 11, 1, 12)


def rate(
    prices: Sequence[Price],
    *,
    token_class: str = "input",
    processing: str = "standard",
    context: int = 0,
    at: datetime = NOON,
) -> OfClass:
    """What a token costs at an instant."""
    quarter = at.hour * 4 + at.minute // 15
    (found,) = [
        span.rate
        for span in spans(prices, processing, context)
        if span.valid_from <= at < span.valid_to and span.quarter_from <= quarter < span.quarter_to
    ]
    return found[list(FALLBACKS).index(token_class)]


def price(usd: int, **changes: Any) -> Price:
    """A price of a token of input, in millionths of a dollar per million."""
    return replace(INPUT, usd_per_million=usd, **changes)


def test_the_customers_own_price_wins_over_everybodys_and_that_over_the_list() -> None:
    """Whichever is newer."""
    listed = price(3, is_listed=True, valid_from=datetime(2026, 10, 1))
    everybodys = price(2, valid_from=datetime(2026, 9, 1))
    own = price(1, customer_id=7)
    assert rate([listed]).usd == 3
    assert rate([listed, everybodys]).usd == 2
    assert rate([own, listed, everybodys]).usd == 1


def test_of_equals_the_later_one_holds_and_that_of_some_hours_before_that_of_the_day() -> None:
    """A price that is valid later hides the earlier one from then on only."""
    early, late = price(1), price(2, valid_from=datetime(2026, 11, 1))
    assert rate([late, early], at=NOON - timedelta(days=1)).usd == 1
    assert rate([late, early]).usd == 2
    night = price(3, utc_from=22 * 4, utc_to=6 * 4)
    assert [rate([late, night], at=NOON.replace(hour=hour)).usd for hour in (0, 5, 6, 21, 22)] == [
        3, 3, 2, 2, 3,
    ]  # fmt: skip


def test_a_price_holds_from_its_first_quarter_hour_and_before_its_last() -> None:
    """Half-open; between two prices there is none."""
    bounded = price(1, valid_from=NOON, valid_to=NOON + timedelta(hours=1))
    minutes = [-1, 0, 59, 60]
    assert [rate([bounded], at=NOON + timedelta(minutes=n)).usd for n in minutes] == [
        None, 1, 1, None,
    ]  # fmt: skip


def test_a_class_has_its_own_price_for_the_processing_then_standards_then_its_parents() -> None:
    """Each step is taken only if the one before finds nothing."""
    prices = [
        price(10),
        price(5, processing="batch"),
        price(4, token_class="cache_read_input"),
        price(6, token_class="cache_write_input", processing="batch"),
    ]
    asked = [
        rate(prices, token_class=name, processing="batch")
        for name in ("input", "cache_read_input", "cache_write_1h_input", "audio_input")
    ]
    assert asked == [OfClass(5), OfClass(4, True), OfClass(6), OfClass(5)]
    assert rate(prices, token_class="cache_read_audio_input") == OfClass(4)
    assert rate(prices, token_class="reasoning_output") == OfClass(None)
    assert rate(prices, processing="flex") == OfClass(10, True)


def test_a_threshold_is_that_of_its_class_and_processing() -> None:
    """The greatest that is exceeded; one of standard says nothing of batch."""
    prices = [
        price(1),
        price(2, context_over_tokens=100),
        price(3, context_over_tokens=200),
        price(9, processing="batch"),
    ]
    assert thresholds(prices) == [0, 100, 200]
    assert [rate(prices, context=over).usd for over in (0, 100, 200)] == [1, 2, 3]
    assert rate(prices, context=200, processing="batch").usd == 9
    assert rate([price(2, context_over_tokens=100)]).usd is None


def test_a_price_may_change_daily_for_years() -> None:
    """Twelve classes, each with another price every day of seven years, none of which ends."""
    first = datetime(2020, 1, 1)
    prices = [
        price(day, token_class=name, valid_from=first + timedelta(days=day))
        for day in range(2557)
        for name in FALLBACKS
    ]
    found = spans(prices, "standard", 0)
    assert len(found) == 2558
    assert [span.rate[0].usd for span in found] == [None, *range(2557)]


def test_of_prices_that_hide_each_other_the_one_that_is_left_holds() -> None:
    """The later one ends, and the earlier one that has no end holds again; one that ends before it
    begins never does."""
    later = price(2, valid_from=NOON, valid_to=NOON + timedelta(days=1))
    never = price(9, valid_from=NOON + timedelta(days=2), valid_to=NOON)
    prices = [never, later, price(1)]
    days = [timedelta(days=n) for n in (-1, 0, 1, 2)]
    assert [rate(prices, at=NOON + day).usd for day in days] == [1, 2, 1, 1]


def test_equal_times_are_one_row() -> None:
    """Prices that come to the same are not kept apart, in dates and in hours."""
    prices = [price(1, valid_to=NOON), price(1, valid_from=NOON), price(1, utc_from=0, utc_to=8)]
    assert len(spans(prices, "standard", 0)) == 1


ALIASES = [
    Alias("support-bot", None, "gpt-5"),
    Alias("support-bot", "azure", "gpt-5-mini"),
    Alias("house-model", None, "anthropic/claude-opus-5"),
    Alias("claude-opus-5", "in-house", "mine"),
    Alias("lost", None, "no-such-model"),
]
OWN = [
    price(1, model="mine", provider="in-house"),
    price(1, model="shared", provider="a"),
    price(1, model="shared", provider="b"),
    price(1, model="anyones"),
]


@pytest.mark.parametrize(
    ("provider", "model", "expected"),
    [
        ("unknown", "gpt-5", ("openai", "gpt-5", "price list")),
        ("unknown", "Support-Bot", ("openai", "gpt-5", "alias")),
        ("azure", "support-bot", ("openai", "gpt-5-mini", "alias")),
        ("unknown", "house-model", ("anthropic", "claude-opus-5", "alias")),
        ("in-house", "claude-opus-5", ("in-house", "mine", "alias")),
        ("in-house", "mine", ("in-house", "mine", "delivered price")),
        ("unknown", "mine", ("in-house", "mine", "delivered price")),
        ("elsewhere", "mine", (None, None, None)),
        ("a", "shared", ("a", "shared", "delivered price")),
        ("unknown", "shared", (None, None, None)),
        ("x", "anyones", ("x", "anyones", "delivered price")),
        ("unknown", "lost", (None, None, None)),
        ("unknown", "unknown", (None, None, None)),
        ("no-such-provider", "gpt-5", (None, None, None)),
    ],
)
def test_a_name_means_what_its_alias_the_list_or_a_delivered_price_says(
    provider: str, model: str, expected: tuple[str | None, ...]
) -> None:
    """And nothing where two could be meant, or none."""
    found = PriceBook(price_list(), OWN, ALIASES).resolve(provider, model)
    assert (found.priced_provider, found.priced_model, found.found_by) == expected


def test_delivered_prices_are_of_the_name_in_events_and_of_the_models_own() -> None:
    """A price of `gpt-5` is that of its dated name too; one of a customer is no other's."""
    own = price(1, model="gpt-5", provider="openai", customer_id=7)
    dated = price(2, model="gpt-5-2025-08-07")
    price_book = PriceBook(price_list(), [own, dated], [])
    name = price_book.resolve("unknown", "gpt-5-2025-08-07")
    of_customer = [each for each in price_book.prices_of(name, 7) if not each.is_listed]
    assert sorted(each.usd_per_million for each in of_customer) == [1, 2]
    assert own not in price_book.prices_of(name, 8)
    assert price_book.customers_of(name) == [7]
    other = price_book.resolve("unknown", "gpt-5")
    assert dated not in price_book.prices_of(other, None)


def test_prices_that_hide_each_other_are_named() -> None:
    """Of one key: an open end before the next begin, not an end that is the next begin."""
    first, second = price(1), price(2, valid_from=NOON)
    assert PriceBook(price_list(), [second, first], []).overlaps == [(first, second)]
    ended = replace(first, valid_to=NOON)
    assert PriceBook(price_list(), [ended, second], []).overlaps == []


def test_a_price_book_is_known_by_its_content() -> None:
    """Whatever the order; another price or alias is another."""
    one = PriceBook(price_list(), OWN, ALIASES).price_book_id
    assert PriceBook(price_list(), OWN[::-1], ALIASES[::-1]).price_book_id == one
    assert PriceBook(price_list(), OWN[1:], ALIASES).price_book_id != one
    assert PriceBook(price_list(), OWN, ALIASES[1:]).price_book_id != one
    assert one.startswith("genai-prices-")
