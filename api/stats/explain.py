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
from api.parameters import PERIOD_PARAMETERS, AuthenticatedCustomer, ComparedWith, Period, period
from api.questions.question import Answer, Figures, Question
from api.stats.responses import ERRORS, answering, from_memory_or_in_a_thread
from api.windows import Comparing, Window

router = APIRouter(tags=["any question"])

MOST_MODELS = 200
"""Models that are a group of their own, by tokens of both spans; the others are one together."""
MEASURES = (
    "message_count",
    "message_input_tokens",
    "message_tokens",
    "input_tokens",
    "total_tokens",
)
MESSAGES, MIX, FAILED = "messages", "model_mix", "failed_attempts"
INPUT, OUTPUT = "input_tokens_per_message", "output_tokens_per_message"
CAUSES = {
    "total_messages": (MESSAGES,),
    "total_tokens": (MESSAGES, MIX, INPUT, OUTPUT, FAILED),
    "total_input_tokens": (MESSAGES, MIX, INPUT, FAILED),
    "total_output_tokens": (MESSAGES, MIX, OUTPUT, FAILED),
}
"""What each metric that can be explained changes by. What failed attempts used is a part of its
own; all others are about messages."""
EXPLAIN_PARAMETERS = ("metric", *PERIOD_PARAMETERS, "compare")


class Cause(BaseModel):
    """A part of the change."""

    cause: str = Field(
        description="What changed: `messages`, `model_mix`, `input_tokens_per_message`, "
        "`output_tokens_per_message`, or what `failed_attempts` used.",
        examples=["messages"],
    )
    change: int = Field(description="By how much, in the unit of the metric.", examples=[52000])


class Explanation(BaseModel):
    """A change and its causes, which add up to it."""

    metric: str = Field(description="As asked for.", examples=["total_tokens"])
    from_: int | None = Field(
        alias="from",
        description="The figure of the earlier span; null where the spans cannot be compared.",
        examples=[433000],
    )
    to: int | None = Field(
        description="The figure of the period, as far as it is known; null likewise.",
        examples=[485000],
    )
    change: int | None = Field(description="`to` less `from`; null likewise.", examples=[52000])
    causes: list[Cause] = Field(description="The parts of the change; none where it is null.")
    reason: str | None = Field(
        description="Why nothing can be compared; null if it can.", examples=[None]
    )


@dataclass(frozen=True)
class ModelUse:
    """What one model did in a span: tokens of messages, and those of failed attempts."""

    messages: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    failed_input_tokens: int = 0
    failed_output_tokens: int = 0

    def __add__(self, other: "ModelUse") -> "ModelUse":
        return ModelUse(*map(add, astuple(self), astuple(other)))

    def failed(self, metric: str) -> int:
        """Tokens of failed attempts that the metric has."""
        failed_input = self.failed_input_tokens if metric != "total_output_tokens" else 0
        failed_output = self.failed_output_tokens if metric != "total_input_tokens" else 0
        return failed_input + failed_output


Use = Mapping[str, ModelUse]


def causes_of(metric: str, before: Use, after: Use) -> dict[str, Fraction]:
    """By how much each cause changes a metric from one span to another; they add up to the change.

    A metric is Σ over models of messages in all × the model's share of them × tokens per message.
    Each cause has the mean of what its change adds, over all orders in which the causes can change:
    it depends on no order. A model that is absent in one span has the other's tokens per message,
    and a span without messages the other's mix.
    """
    names = tuple(name for name in CAUSES[metric] if name != FAILED)
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
        for cause, values in ((INPUT, inputs), (OUTPUT, outputs)):
            if cause in names:
                of_cause = values[cause in changed]
                tokens = [a + b for a, b in zip(tokens, of_cause, strict=True)]
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
    if FAILED in CAUSES[metric]:
        failed = [sum(use.failed(metric) for use in span.values()) for span in spans]
        found[FAILED] = Fraction(failed[1] - failed[0])
    return found


def in_whole_numbers(parts: Mapping[str, Fraction]) -> dict[str, int]:
    """Parts of a whole number in whole numbers that still add up: by largest remainder.

    Of equal remainders the first part comes first.
    """
    shown = {name: floor(part) for name, part in parts.items()}
    missing = int(sum(parts.values())) - sum(shown.values())
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

        before, after = _grouped(use_in(previous), use_in(current))
        parts = in_whole_numbers(causes_of(metric, before, after))
        figures = [sum(_figure(metric, use) for use in span.values()) for span in (before, after)]
        return answer.json(
            Explanation.model_validate(
                {
                    "metric": metric,
                    "from": figures[0],
                    "to": figures[1],
                    "change": figures[1] - figures[0],
                    "causes": [{"cause": name, "change": part} for name, part in parts.items()],
                    "reason": None,
                }
            )
        )


def _figure(metric: str, use: ModelUse) -> int:
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


def _grouped(*spans: Answer) -> list[Use]:
    """What each model did in each span; models of few tokens are one group."""
    uses = [
        {str(group[0]): _use(cells[0]) for group, cells in span.cells.items()} for span in spans
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
