"""Random events cost what the package computes that the price list was made from."""

from __future__ import annotations

import os
import random
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import ModelInfo, ModelPrice, Provider, TieredPrices, Usage

from orchestration.money.from_genai_prices import CLASSES, rounded
from orchestration.money.price_list import Named, price_list
from orchestration.money.rates import FALLBACKS, spans, thresholds

EVENTS = int(os.environ.get("AGENTSTATS_PRICED_EVENTS", "3000"))

WAYS = {
    "standard": {},
    "batch": {"processing": "batch"},
    "flex": {"service_tier": "flex"},
    "priority": {"service_tier": "priority"},
    "fast": {"service_tier": "fast"},
}


def _values(prices: ModelPrice) -> dict[str, Any]:
    return {name: price for name, price in vars(prices).items() if price is not None}


def _exact(prices: ModelPrice) -> ModelPrice:
    """The prices of tokens, as the contract rounds them; all others are left out."""
    found: dict[str, Any] = {}
    for name, price in _values(prices).items():
        if name not in CLASSES:
            continue
        if isinstance(price, TieredPrices):
            tiers = [type(tier)(tier.start, rounded(tier.price)) for tier in price.tiers]
            found[name] = TieredPrices(rounded(price.base), tiers)
        else:
            found[name] = rounded(price)
    return ModelPrice(**found)


def _tokens(draw: random.Random, model: ModelInfo) -> dict[str, int]:
    """Tokens by class, now and then one token beside a threshold."""
    size = draw.choice([10, 1000, 10**5, 10**6])
    tokens = {name: draw.choice([0, 0, draw.randint(1, size)]) for name in FALLBACKS}
    if draw.random() < 0.3:
        over = draw.choice([100_000, 128_000, 200_000, 272_000])
        inputs = [name for name in FALLBACKS if name.endswith("input")]
        rest = sum(tokens[name] for name in inputs if name != "input")
        tokens["input"] = max(0, over + draw.randint(-1, 1) - rest)
    return tokens


def _usage(tokens: dict[str, int]) -> Usage:
    """The same, as the package takes it: wholes, and parts of them."""
    audio = tokens["cache_read_audio_input"] + tokens["audio_input"]
    image = tokens["cache_read_image_input"] + tokens["image_input"]
    read = sum(tokens[name] for name in FALLBACKS if name.startswith("cache_read"))
    written = tokens["cache_write_1h_input"] + tokens["cache_write_input"]
    counts = {
        "input_tokens": sum(tokens[name] for name in FALLBACKS if name.endswith("input")),
        "output_tokens": sum(tokens[name] for name in FALLBACKS if name.endswith("output")),
        "cache_read_tokens": read,
        "cache_write_tokens": written,
        "cache_write_1h_tokens": tokens["cache_write_1h_input"],
        "input_audio_tokens": audio,
        "input_image_tokens": image,
        "cache_audio_read_tokens": tokens["cache_read_audio_input"],
        "cache_image_read_tokens": tokens["cache_read_image_input"],
        "output_reasoning_tokens": tokens["reasoning_output"],
        "output_audio_tokens": tokens["audio_output"],
        "output_image_tokens": tokens["image_output"],
    }
    return Usage(**counts)


def _ours(named: Named, processing: str, at: datetime, tokens: dict[str, int]) -> Fraction | None:
    """The cost by the rates that hold; None where some token has no price."""
    prices = price_list().prices_of(named)
    whole_input = sum(count for name, count in tokens.items() if name.endswith("input"))
    context = max(over for over in thresholds(prices) if over == 0 or whole_input > over)
    quarter = at.hour * 4 + at.minute // 15
    (rate,) = [
        span.rate
        for span in spans(prices, processing, context)
        if span.valid_from <= at < span.valid_to and span.quarter_from <= quarter < span.quarter_to
    ]
    units = 0
    for of_class, count in zip(rate, tokens.values(), strict=True):
        if count and of_class.usd is None:
            return None
        units += count * (of_class.usd or 0)
    return Fraction(units, 10**12)


def _theirs(
    model: ModelInfo, processing: str, at: datetime, tokens: dict[str, int]
) -> Fraction | None:
    """The cost by the package; None where it has no price for some token, which costs nothing
    there."""
    ways = WAYS[processing]
    if processing == "fast" and any(
        "speed" in variant.when for variant in model.price_variants or []
    ):
        ways = {"speed": "fast"}
    prices = _exact(model.get_prices(at, ways))
    names = {CLASSES[name] for name in _values(prices)}
    for name, count in tokens.items():
        if count and not names & {name, *FALLBACKS[name]}:
            return None
    cost: Decimal = prices.calc_price(_usage(tokens))["total_price"]
    return Fraction(cost)


def test_random_events_cost_the_same() -> None:
    """Over all models, classes, processings and dates of the list, and beside every threshold."""
    draw = random.Random("prices")
    models: list[tuple[Provider, ModelInfo]] = [
        (provider, model) for provider in get_snapshot().providers for model in provider.models
    ]
    compared = unpriced = 0
    while compared + unpriced < EVENTS:
        provider, model = draw.choice(models)
        if (
            draw.random() < 0.5
            and not model.price_variants
            and isinstance(model.prices, ModelPrice)
        ):
            continue  # half of the events are of models with more than one price
        at = datetime(2024, 1, 1) + timedelta(minutes=draw.randrange(1100 * 24 * 60))
        at = draw.choice([at, datetime(2026, 10, draw.randint(9, 30), draw.randrange(24))])
        processing = draw.choice(list(WAYS))
        tokens = _tokens(draw, model)
        if model.id.endswith(":free"):
            continue  # an empty price set, which is free by its name
        ours = _ours(Named(provider.id, model.id), processing, at, tokens)
        theirs = _theirs(model, processing, at, tokens)
        assert ours == theirs, (provider.id, model.id, processing, at, tokens)
        compared += theirs is not None
        unpriced += theirs is None
    assert compared > 0.6 * EVENTS
    assert unpriced > 0


def test_names_mean_what_they_mean_to_the_package() -> None:
    """Every id of the list, with its provider, without, and with others; dated and mixed case."""
    draw = random.Random("names")
    snapshot = get_snapshot()
    providers = [provider.id for provider in snapshot.providers]
    names = [model.id for provider in snapshot.providers for model in provider.models]
    names = draw.sample(names, min(len(names), EVENTS // 6))
    found = 0
    for name in names:
        for model in (name, name.upper(), f"{name}-20251211", f"openai/{name}"):
            for provider in (None, draw.choice(providers), "litellm", "no-such-provider"):
                try:
                    asked, meant = snapshot.find_provider_model(model, None, provider, None)
                except LookupError:
                    expected = None
                else:
                    is_own = any(meant is each for each in asked.models)
                    expected = (meant.id, not is_own)
                ours = price_list().find(provider, model)
                actual = None if ours is None else (ours.model, ours.is_fallback)
                assert actual == expected, (provider, model)
                found += ours is not None
    assert found > len(names)
