"""Why a figure changed: exact parts of the change, one for each cause."""

from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass
from fractions import Fraction
from itertools import combinations
from math import factorial, floor
from operator import add, attrgetter
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from api.errors import MOST_ROWS, InvalidParameter, TooLarge
from api.metrics.ratio import USD_UNITS, exact_usd, rounded_units
from api.parameters import PERIOD_PARAMETERS, AuthenticatedCustomer, ComparedWith, Period, period
from api.questions.question import Answer, Figures, Question
from api.stats.responses import ERRORS, answering, from_memory_or_in_a_thread
from api.windows import Comparing, Window

router = APIRouter(tags=["any question"])

MILLIONTH = USD_UNITS // 10**6
"""Of a US dollar, in units."""
MOST_MODELS = 200
"""Models that are a group of their own, by tokens of both spans; the others are one together."""
MEASURES = (
    "message_count",
    "message_input_tokens",
    "message_tokens",
    "input_tokens",
    "total_tokens",
)
COST_MEASURES = ("cost_usd", "unpriced_tokens")
MESSAGES, MIX, FAILED = "messages", "model_mix", "failed_attempts"
PRICE, UNPRICED = "price", "unpriced_tokens"
COST = "cost_usd"
INPUT, OUTPUT = "input_tokens_per_message", "output_tokens_per_message"
CAUSES = {
    "total_messages": (MESSAGES,),
    "total_tokens": (MESSAGES, MIX, INPUT, OUTPUT, FAILED),
    "total_input_tokens": (MESSAGES, MIX, INPUT, FAILED),
    "total_output_tokens": (MESSAGES, MIX, OUTPUT, FAILED),
    COST: (MESSAGES, MIX, INPUT, OUTPUT, PRICE, FAILED, UNPRICED),
}
"""What each metric that can be explained changes by. What failed attempts used, and what is missing
for want of a price, are parts of their own; all others are about messages."""
EXPLAIN_PARAMETERS = ("metric", *PERIOD_PARAMETERS, "compare")


class Cause(BaseModel):
    """A part of the change."""

    cause: str = Field(
        description="What changed: `messages`, `model_mix`, `input_tokens_per_message`, "
        "`output_tokens_per_message`, `price`, what `failed_attempts` used, or what is missing "
        "because of `unpriced_tokens`.",
        examples=["messages"],
    )
    change: int | str = Field(
        description="By how much, in the unit of the metric; money as a text.", examples=[52000]
    )


class Explanation(BaseModel):
    """A change and its causes, which add up to it."""

    metric: str = Field(description="As asked for.", examples=["total_tokens"])
    from_: int | str | None = Field(
        alias="from",
        description="The figure of the earlier span; null where the spans cannot be compared.",
        examples=[433000],
    )
    to: int | str | None = Field(
        description="The figure of the period, as far as it is known; null likewise.",
        examples=[485000],
    )
    change: int | str | None = Field(
        description="`to` less `from`; null likewise.", examples=[52000]
    )
    causes: list[Cause] = Field(description="The parts of the change; none where it is null.")
    reason: str | None = Field(
        description="Why nothing can be compared; null if it can.", examples=[None]
    )


@dataclass(frozen=True)
class ModelUse:
    """What one model did in a span: tokens of messages, and those of failed attempts; what all of
    them cost, in units of 10^-12 US dollars, and which of them have no price."""

    messages: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    failed_input_tokens: int = 0
    failed_output_tokens: int = 0
    input_cost: int = 0
    output_cost: int = 0
    unpriced_input_tokens: int = 0
    unpriced_output_tokens: int = 0

    def __add__(self, other: "ModelUse") -> "ModelUse":
        return ModelUse(*map(add, astuple(self), astuple(other)))

    def failed(self, metric: str) -> int:
        """Tokens of failed attempts that the metric has."""
        failed_input = self.failed_input_tokens if metric != "total_output_tokens" else 0
        failed_output = self.failed_output_tokens if metric != "total_input_tokens" else 0
        return failed_input + failed_output

    @property
    def input_price(self) -> Fraction | None:
        """Mean price of the input tokens that have one; None without any."""
        priced = self.input_tokens + self.failed_input_tokens - self.unpriced_input_tokens
        return Fraction(self.input_cost, priced) if priced else None

    @property
    def output_price(self) -> Fraction | None:
        """Mean price of the output tokens that have one; None without any."""
        priced = self.output_tokens + self.failed_output_tokens - self.unpriced_output_tokens
        return Fraction(self.output_cost, priced) if priced else None


Use = Mapping[str, ModelUse]


def causes_of(metric: str, before: Use, after: Use) -> dict[str, Fraction]:
    """By how much each cause changes a metric from one span to another; they add up to the change.

    A metric is Σ over models of messages in all × the model's share of them × tokens per message.
    Each cause has the mean of what its change adds, over all orders in which the causes can change:
    it depends on no order. A model that is absent in one span has the other's tokens per message
    and prices, and a span without messages the other's mix.

    For a cost, tokens are times their mean price. What failed attempts cost, and what tokens
    without a price would have cost, are at the prices of their own span.
    """
    names = tuple(name for name in CAUSES[metric] if name not in (FAILED, UNPRICED))
    models = sorted(before.keys() | after.keys())
    spans = (before, after)
    totals = [sum(use.messages for use in span.values()) for span in spans]

    def share(span: int, model: str) -> Fraction:
        here = span if totals[span] else 1 - span
        of_model = spans[here].get(model, ModelUse()).messages
        return Fraction(of_model, totals[here]) if totals[here] else Fraction(0)

    def per_message(span: int, model: str, tokens: Callable[[ModelUse], int]) -> Fraction:
        for here in (span, 1 - span):
            use = spans[here].get(model, ModelUse())
            if use.messages:
                return Fraction(tokens(use), use.messages)
        return Fraction(0)

    def price(span: int, model: str, of_side: Callable[[ModelUse], Fraction | None]) -> Fraction:
        if metric != COST:
            return Fraction(1)
        for here in (span, 1 - span):
            found = of_side(spans[here].get(model, ModelUse()))
            if found is not None:
                return found
        return Fraction(0)

    input_prices, output_prices = (
        [[price(span, model, of_side) for model in models] for span in (0, 1)]
        for of_side in (attrgetter("input_price"), attrgetter("output_price"))
    )
    shares = [[share(span, model) for model in models] for span in (0, 1)]
    inputs, outputs = (
        [[per_message(span, model, tokens) for model in models] for span in (0, 1)]
        for tokens in (attrgetter("input_tokens"), attrgetter("output_tokens"))
    )

    def figure(changed: frozenset[str]) -> Fraction:
        """The metric where these causes are those of the later span."""
        messages = totals[MESSAGES in changed]
        if MIX not in names:
            return Fraction(messages)
        tokens = [Fraction(0)] * len(models)
        for cause, values, prices in (
            (INPUT, inputs, input_prices),
            (OUTPUT, outputs, output_prices),
        ):
            if cause in names:
                of_cause = zip(values[cause in changed], prices[PRICE in changed], strict=True)
                tokens = [a + b * c for a, (b, c) in zip(tokens, of_cause, strict=True)]
        mix = shares[MIX in changed]
        return messages * sum((s * t for s, t in zip(mix, tokens, strict=True)), Fraction(0))

    count = len(names)
    subsets = [frozenset(some) for size in range(count + 1) for some in combinations(names, size)]
    figures = {changed: figure(changed) for changed in subsets}
    found = dict.fromkeys(names, Fraction(0))
    for changed in subsets:
        for cause in set(names) - changed:
            orders = factorial(len(changed)) * factorial(count - len(changed) - 1)
            added = figures[changed | {cause}] - figures[changed]
            found[cause] += Fraction(orders, factorial(count)) * added
    if metric == COST:
        for cause, sign, of_cause in (
            (FAILED, 1, ("failed_input_tokens", "failed_output_tokens")),
            (UNPRICED, -1, ("unpriced_input_tokens", "unpriced_output_tokens")),
        ):
            at_own_prices = [
                sum(
                    (
                        getattr(spans[span].get(model, ModelUse()), tokens) * prices[span][number]
                        for number, model in enumerate(models)
                        for tokens, prices in zip(
                            of_cause, (input_prices, output_prices), strict=True
                        )
                    ),
                    Fraction(0),
                )
                for span in (0, 1)
            ]
            found[cause] = sign * (at_own_prices[1] - at_own_prices[0])
    elif FAILED in CAUSES[metric]:
        failed = [sum(use.failed(metric) for use in span.values()) for span in spans]
        found[FAILED] = Fraction(failed[1] - failed[0])
    return found


def in_whole_numbers(parts: Mapping[str, Fraction], whole: int | None = None) -> dict[str, int]:
    """Parts of a whole number in whole numbers that still add up: by largest remainder.

    `whole` is what they are to add up to where their sum is rounded. Of equal remainders the first
    part comes first.
    """
    shown = {name: floor(part) for name, part in parts.items()}
    whole = int(sum(parts.values())) if whole is None else whole
    missing = whole - sum(shown.values())
    by_remainder = sorted(parts, key=lambda name: shown[name] - parts[name])
    for name in by_remainder[:missing]:
        shown[name] += 1
    return shown


@router.get("/api/stats/explain", response_model=Explanation, responses=ERRORS)
@from_memory_or_in_a_thread
def explain(
    request: Request,
    customer_id: AuthenticatedCustomer,
    asked: Annotated[Period, Depends(period(default_days=7, parameters=EXPLAIN_PARAMETERS))],
    metric: Annotated[
        str,
        Query(
            description=f"One of {', '.join(CAUSES)}.",
            examples=["total_tokens"],
            json_schema_extra={"enum": list(CAUSES)},
        ),
    ],
    compare: ComparedWith = Comparing.previous,
) -> Response:
    """Why a figure changed against an earlier period: exact parts that add up to the change."""
    if metric not in CAUSES:
        raise InvalidParameter("metric", f"one of {', '.join(CAUSES)}")
    if compare is Comparing.none:
        raise InvalidParameter("compare", "previous, week or month")
    with answering(request, customer_id, asked, compared_with=compare, question=metric) as answer:
        reason, current, previous = answer.compared_windows()
        if current is None or previous is None:
            nothing = Explanation.model_validate(
                {"metric": metric, "from": None, "to": None, "change": None, "causes": []}
                | {"reason": reason}
            )
            return answer.json(nothing)

        def use_in(window: Window) -> Answer:
            asked_models = Question(
                window,
                measures=MEASURES,
                group_by=("model",),
                order_by="message_count",
                with_totals=False,
            )
            found = answer.engine.answer(asked_models)
            if found.group_count > MOST_ROWS:
                raise TooLarge(found.group_count, "models", MOST_ROWS)
            return found

        def costs_in(window: Window) -> Answer | None:
            if metric != COST:
                return None
            found = answer.engine.answer(
                Question(
                    window,
                    measures=COST_MEASURES,
                    group_by=("model", "token_class"),
                    with_totals=False,
                )
            )
            if found.group_count > MOST_ROWS:
                raise TooLarge(found.group_count, "models by token class", MOST_ROWS)
            return found

        before, after = _grouped(
            *((use_in(window), costs_in(window)) for window in (previous, current))
        )
        figures = [sum(_figure(metric, use) for use in span.values()) for span in (before, after)]
        causes = causes_of(metric, before, after)
        shown: Callable[[int], int | str] = int
        if metric == COST:
            # In millionths of a dollar, as they are shown.
            figures = [rounded_units(units, 1) for units in figures]
            causes = {name: part / MILLIONTH for name, part in causes.items()}
            shown = _as_usd
        parts = in_whole_numbers(causes, figures[1] - figures[0])
        return answer.json(
            Explanation.model_validate(
                {
                    "metric": metric,
                    "from": shown(figures[0]),
                    "to": shown(figures[1]),
                    "change": shown(figures[1] - figures[0]),
                    "causes": [
                        {"cause": name, "change": shown(part)} for name, part in parts.items()
                    ],
                    "reason": None,
                }
            )
        )


def _as_usd(millionths: int) -> str:
    """An amount as it is shown, which may be below 0."""
    sign = "-" if millionths < 0 else ""
    return f"{sign}{exact_usd(abs(millionths) * MILLIONTH)}"


def _figure(metric: str, use: ModelUse) -> int:
    if metric == COST:
        return use.input_cost + use.output_cost
    of_messages = {
        "total_messages": use.messages,
        "total_tokens": use.input_tokens + use.output_tokens,
        "total_input_tokens": use.input_tokens,
        "total_output_tokens": use.output_tokens,
    }[metric]
    return of_messages + (use.failed(metric) if FAILED in CAUSES[metric] else 0)


def _use(figures: Figures) -> ModelUse:
    messages, message_input, message_tokens, input_tokens, tokens = (
        int(figures[name] or 0) for name in MEASURES
    )
    failed_input = input_tokens - message_input
    return ModelUse(
        messages=messages,
        input_tokens=message_input,
        output_tokens=message_tokens - message_input,
        failed_input_tokens=failed_input,
        failed_output_tokens=tokens - message_tokens - failed_input,
    )


def _with_costs(uses: dict[str, ModelUse], costs: Answer | None) -> dict[str, ModelUse]:
    """The same, with what the tokens of each side cost."""
    found = dict(uses)
    for (model, token_class), cells in () if costs is None else costs.cells.items():
        units, unpriced = (int(cells[0][name] or 0) for name in COST_MEASURES)
        of_class = (
            ModelUse(input_cost=units, unpriced_input_tokens=unpriced)
            if token_class.endswith("input")
            else ModelUse(output_cost=units, unpriced_output_tokens=unpriced)
        )
        found[str(model)] = found.get(str(model), ModelUse()) + of_class
    return found


def _grouped(*spans: tuple[Answer, Answer | None]) -> list[Use]:
    """What each model did in each span; models of few tokens are one group."""
    uses = [
        _with_costs({str(group[0]): _use(cells[0]) for group, cells in used.cells.items()}, costs)
        for used, costs in spans
    ]
    tokens: dict[str, int] = {}
    for span in uses:
        for model, use in span.items():
            tokens[model] = tokens.get(model, 0) + use.input_tokens + use.output_tokens
    kept = set(sorted(tokens, key=lambda model: (-tokens[model], model))[:MOST_MODELS])
    found: list[Use] = []
    for span in uses:
        others = [use for model, use in span.items() if model not in kept]
        grouped = {model: use for model, use in span.items() if model in kept}
        if others:
            # No model is called so: names are trimmed.
            grouped[" "] = sum(others, start=ModelUse())
        found.append(grouped)
    return found
