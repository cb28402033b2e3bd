"""`/api/stats/explain`: exact parts, by every order in which the causes can change."""

from fractions import Fraction
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.stats.explain import CAUSES, ModelUse, causes_of, in_whole_numbers
from service_fixture import Service, StartService
from snapshot_fixture import ACME, BOREAL, Marts, publish, usage

PATH = "/api/stats/explain"
Span = dict[str, tuple[int, int, int]]
COUNTED = {
    "total_messages": (0,),
    "total_tokens": (1, 2),
    "total_input_tokens": (1,),
    "total_output_tokens": (2,),
}
"""Which numbers of a model's use make up a metric."""

spans = st.dictionaries(
    st.sampled_from("abcd"),
    st.tuples(st.integers(1, 50), st.integers(0, 10**6), st.integers(0, 10**6)),
    max_size=4,
)


def by_every_order(metric: str, before: Span, after: Span) -> dict[str, Fraction]:
    """The mean of what each cause adds, by walking through all orders, one model after another."""
    models = sorted({*before, *after})
    sides = [before, after]
    totals = [sum(use[0] for use in side.values()) for side in sides]

    def value(states: dict[str, int]) -> Fraction:
        found = Fraction(0)
        for model in models:
            mix = states.get("model_mix", 0)
            if not totals[mix]:
                mix = 1 - mix
            share = Fraction(sides[mix].get(model, (0, 0, 0))[0], totals[mix])
            each = Fraction(metric == "total_messages")
            for number, side in ((1, "input"), (2, "output")):
                cause = f"{side}_tokens_per_message"
                if cause in CAUSES[metric]:
                    use = sides[states[cause]].get(model) or sides[1 - states[cause]][model]
                    each += Fraction(use[number], use[0])
            found += totals[states["messages"]] * share * each
        return found

    names = CAUSES[metric]
    sums = dict.fromkeys(names, Fraction(0))
    orders = list(permutations(names))
    for order in orders:
        states = dict.fromkeys(names, 0)
        for cause in order:
            here = value(states)
            states[cause] = 1
            sums[cause] += value(states) - here
    return {name: total / len(orders) for name, total in sums.items()}


@pytest.mark.parametrize("metric", COUNTED)
@settings(max_examples=100, deadline=None)
@given(before=spans, after=spans)
def test_causes_are_the_mean_over_all_orders_and_add_up(
    metric: str, before: Span, after: Span
) -> None:
    """Models come, go and stay; a span may be empty."""
    found = causes_of(
        metric,
        {model: ModelUse(*use) for model, use in before.items()},
        {model: ModelUse(*use) for model, use in after.items()},
    )
    assert found == by_every_order(metric, before, after)
    earlier, later = (
        sum(use[number] for number in COUNTED[metric] for use in span.values())
        for span in (before, after)
    )
    assert sum(found.values()) == later - earlier
    shown = in_whole_numbers(found)
    assert sum(shown.values()) == later - earlier
    assert all(abs(shown[name] - found[name]) < 1 for name in found)


def priced_uses() -> st.SearchStrategy[ModelUse]:
    """Uses of a model of which some tokens, or all, or none have a price."""

    def use(numbers: list[int], prices: tuple[int, int], share: tuple[int, int]) -> ModelUse:
        messages, *tokens = numbers
        messages = max(messages, int(tokens[0] + tokens[1] > 0))
        sides = (tokens[0] + tokens[2], tokens[1] + tokens[3])
        unpriced = [side * part // 4 for side, part in zip(sides, share, strict=True)]
        costs = [
            (side - left) * price for side, left, price in zip(sides, unpriced, prices, strict=True)
        ]
        return ModelUse(messages, *tokens, *costs, *unpriced)

    return st.builds(
        use,
        st.lists(st.integers(0, 1000), min_size=5, max_size=5),
        st.tuples(st.integers(0, 9), st.integers(0, 9)),
        st.tuples(st.sampled_from([0, 0, 1, 4]), st.sampled_from([0, 0, 1, 4])),
    )


def cost_by_every_order(
    before: dict[str, ModelUse], after: dict[str, ModelUse]
) -> dict[str, Fraction]:
    """The same as `by_every_order`, of what messages cost; then the parts of their own."""
    models = sorted({*before, *after})
    sides = [before, after]
    totals = [sum(use.messages for use in side.values()) for side in sides]

    def first_of(span: int, found: list[Fraction | None]) -> Fraction:
        return next((each for each in (found[span], found[1 - span]) if each is not None), ZERO)

    def uses(model: str) -> list[ModelUse]:
        return [side.get(model, ModelUse()) for side in sides]

    def mean_price(span: int, model: str, side: str) -> Fraction:
        found: list[Fraction | None] = []
        for use in uses(model):
            tokens = getattr(use, f"{side}_tokens") + getattr(use, f"failed_{side}_tokens")
            tokens -= getattr(use, f"unpriced_{side}_tokens")
            found.append(Fraction(getattr(use, f"{side}_cost"), tokens) if tokens else None)
        return first_of(span, found)

    def value(states: dict[str, int]) -> Fraction:
        mix = states["model_mix"] if totals[states["model_mix"]] else 1 - states["model_mix"]
        found = ZERO
        for model in models if totals[mix] else ():
            share = Fraction(uses(model)[mix].messages, totals[mix])
            for side in ("input", "output"):
                each: list[Fraction | None] = [
                    Fraction(getattr(use, f"{side}_tokens"), use.messages) if use.messages else None
                    for use in uses(model)
                ]
                tokens = first_of(states[f"{side}_tokens_per_message"], each)
                price = mean_price(states["price"], model, side)
                found += totals[states["messages"]] * share * tokens * price
        return found

    names = [name for name in CAUSES["cost_usd"] if name not in OF_THEIR_OWN]
    sums = dict.fromkeys(names, ZERO)
    orders = list(permutations(names))
    for order in orders:
        states = dict.fromkeys(names, 0)
        for cause in order:
            here = value(states)
            states[cause] = 1
            sums[cause] += value(states) - here
    found = {name: total / len(orders) for name, total in sums.items()}
    for name, prefix, sign in (
        ("failed_attempts", "failed", 1),
        ("unpriced_tokens", "unpriced", -1),
    ):
        parts = [
            sum(
                (
                    getattr(use, f"{prefix}_{side}_tokens") * mean_price(span, model, side)
                    for model, use in sides[span].items()
                    for side in ("input", "output")
                ),
                ZERO,
            )
            for span in (0, 1)
        ]
        found[name] = sign * (parts[1] - parts[0])
    return found


ZERO = Fraction(0)
OF_THEIR_OWN = ("failed_attempts", "unpriced_tokens")


@settings(max_examples=60, deadline=None)
@given(
    before=st.dictionaries(st.sampled_from("abc"), priced_uses(), max_size=3),
    after=st.dictionaries(st.sampled_from("abc"), priced_uses(), max_size=3),
)
def test_causes_of_a_cost_are_exact(
    before: dict[str, ModelUse], after: dict[str, ModelUse]
) -> None:
    """The mean over all orders; failed attempts and unpriced tokens are parts of their own."""
    found = causes_of("cost_usd", before, after)
    assert found == cost_by_every_order(before, after)
    costs = [
        sum(use.input_cost + use.output_cost for use in span.values()) for span in (before, after)
    ]
    assert sum(found.values()) == costs[1] - costs[0]


def test_a_dearer_model_is_a_change_of_price_and_mix(start: StartService, tmp_path: Path) -> None:
    """10 messages of gpt-4o of 100 tokens in; then 10 of claude-sonnet-4: 3 instead of 2.5."""
    publish(
        tmp_path,
        Marts(
            customers=[(ACME, "Acme", "pro", 90)],
            usage=[
                usage(ACME, 1, 5, "gpt-4o", "2026-02-01 00:00", message_count=1),
                usage(ACME, 1, 5, "gpt-4o", "2026-02-25 09:00", message_count=10,
                      input_tokens=1000),
                usage(ACME, 1, 5, "claude-sonnet-4", "2026-03-04 09:00", message_count=10,
                      input_tokens=1000),
            ],
        ),
    )  # fmt: skip
    body = start().get(f"{PATH}?metric=cost_usd&days=7").json()
    assert {each["cause"]: each["change"] for each in body.pop("causes")} == {
        "messages": "0.000000",
        "model_mix": "0.000500",
        "input_tokens_per_message": "0.000000",
        "output_tokens_per_message": "0.000000",
        "price": "0.000000",
        "failed_attempts": "0.000000",
        "unpriced_tokens": "0.000000",
    }
    assert body == {
        "metric": "cost_usd",
        "from": "0.002500",
        "to": "0.003000",
        "change": "0.000500",
        "reason": None,
    }


def test_the_example_of_the_docs() -> None:
    """10 messages of 100 tokens, then 20 of 150: worked out by hand in docs/api.md."""
    found = causes_of(
        "total_input_tokens", {"m": ModelUse(10, 1000, 0)}, {"m": ModelUse(20, 3000, 0)}
    )
    assert found == {
        "messages": 1250,
        "model_mix": 0,
        "input_tokens_per_message": 750,
        "failed_attempts": 0,
    }


def test_whole_numbers_go_to_the_largest_remainders() -> None:
    """Of equal ones to the first."""
    thirds = {name: Fraction(1, 3) for name in "abc"}
    assert in_whole_numbers(thirds) == {"a": 1, "b": 0, "c": 0}
    parts = {"a": Fraction(-7, 2), "b": Fraction(5, 4), "c": Fraction(1, 4)}
    assert in_whole_numbers(parts) == {"a": -3, "b": 1, "c": 0}


def weeks(tmp_path: Path) -> None:
    """A week of 10 messages of 100 tokens, and one of 20 of 150, before 2026-03-10 12:00."""
    publish(
        tmp_path,
        Marts(
            customers=[(ACME, "Acme", "pro", 90), (BOREAL, "Boreal", "pro", 90)],
            usage=[
                usage(ACME, 1, 5, "m", "2026-02-01 00:00", message_count=1),
                usage(ACME, 1, 5, "m", "2026-02-25 09:00", message_count=10, input_tokens=1000),
                usage(ACME, 1, 5, "m", "2026-03-04 09:00", message_count=20, input_tokens=3000),
                usage(BOREAL, 1, 5, "other", "2026-03-04 09:00", message_count=7, input_tokens=1),
            ],
        ),
    )


def test_an_answer_adds_up(start: StartService, tmp_path: Path) -> None:
    """The figures are those of the summary's comparison."""
    weeks(tmp_path)
    service = start()
    body = service.get(f"{PATH}?metric=total_tokens&days=7").json()
    assert body == {
        "metric": "total_tokens",
        "from": 1000,
        "to": 3000,
        "change": 2000,
        "causes": [
            {"cause": "messages", "change": 1250},
            {"cause": "model_mix", "change": 0},
            {"cause": "input_tokens_per_message", "change": 750},
            {"cause": "output_tokens_per_message", "change": 0},
            {"cause": "failed_attempts", "change": 0},
        ],
        "reason": None,
    }
    summary = service.get("/api/stats/usage/summary?days=7&compare=previous").json()
    figures = [summary[span]["total_tokens"] for span in ("previous", "compared")]
    assert figures == [1000, 3000]


def test_what_failed_attempts_used_is_a_part_of_its_own(
    start: StartService, tmp_path: Path
) -> None:
    """A week of 10 messages of 100 tokens; then the same, and 3 failed attempts with 70 tokens."""
    failed = usage(
        ACME, 1, 5, "m", "2026-03-04 09:15", error_count=3, input_tokens=50, output_tokens=20,
        message_tokens=0, message_input_tokens=0,
    )  # fmt: skip
    whole = [
        usage(ACME, 1, 5, "m", f"2026-{day} 09:00", message_count=10, input_tokens=1000)
        for day in ("02-01", "02-25", "03-04")
    ]
    publish(tmp_path, Marts(customers=[(ACME, "Acme", "pro", 90)], usage=[*whole, failed]))
    service = start()
    for metric, used in (("tokens", 70), ("input_tokens", 50), ("output_tokens", 20)):
        body = service.get(f"{PATH}?metric=total_{metric}&days=7").json()
        changes = {each["cause"]: each["change"] for each in body["causes"]}
        assert changes.pop("failed_attempts") == used == body["change"], metric
        assert not any(changes.values()), metric
    assert service.get(f"{PATH}?metric=total_messages&days=7").json()["change"] == 0


def test_what_cannot_be_compared_says_why(start: StartService, tmp_path: Path) -> None:
    """Nothing of it is a number then."""
    weeks(tmp_path)
    body = start().get(f"{PATH}?metric=total_messages&days=60").json()
    assert body["reason"] == "data begins 2026-02-01"
    assert (body["from"], body["to"], body["change"], body["causes"]) == (None, None, None, [])


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ("", "metric"),
        ("metric=average_rating", "metric"),
        ("metric=total_tokens&compare=none", "compare"),
        ("metric=total_tokens&format=csv", "format"),
        ("metric=total_tokens&metric=total_tokens", "metric"),
    ],
)
def test_what_does_not_go_is_refused(service: Service, parameters: str, named: str) -> None:
    """422, with the parameter."""
    answer = service.get(f"{PATH}?{parameters}")
    assert answer.status_code == 422
    details: dict[str, Any] = answer.json()["details"]
    assert details["parameter"] == named
