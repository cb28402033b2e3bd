"""What a period cost, by token class and model, and the month so far."""

from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from api.errors import MOST_ROWS
from api.metrics.declared import declared
from api.metrics.ratio import exact_usd
from api.parameters import PERIOD_PARAMETERS, AuthenticatedCustomer, Period, period
from api.questions.question import Answer, Figures, Question
from api.stats.responses import ERRORS, Answering, answering, from_memory_or_in_a_thread
from api.stats.shapes.rows import metric_of
from api.windows import Window, utc_midnight, window, zone

router = APIRouter(tags=["cost"])

USD = "in US dollars with 6 decimals"
COSTS = declared().families["costs"].measures


class TokenClassCost(BaseModel):
    """What the tokens of one class cost."""

    token_class: str = Field(
        description="The part of the tokens; parts do not overlap.", examples=["cache_read_input"]
    )
    tokens: int = Field(description="Tokens of the class.", examples=[120000])
    cost_usd: str | None = Field(
        description=f"What they cost, {USD}; null where none of them has a price.",
        examples=["0.060000"],
    )


class ModelCost(BaseModel):
    """What one model cost."""

    model: str = Field(
        description="Name of the model; `unknown` if the events have none.",
        examples=["claude-sonnet-4"],
    )
    tokens: int = Field(description="Input and output tokens.", examples=[325000])
    cost_usd: str | None = Field(
        description=f"What they cost, {USD}; null where none of them has a price.",
        examples=["1.954100"],
    )
    unpriced_tokens: int = Field(description="Tokens without a price.", examples=[0])


class MonthToDate(BaseModel):
    """The cost of the month so far."""

    cost_usd: str | None = Field(
        description=f"Cost from the first of this month in `tz` until now, {USD}; null where "
        "`reason` says why, or where none of its tokens has a price.",
        examples=["31.204500"],
    )
    from_: date = Field(
        alias="from", description="First date of the month in `tz`.", examples=["2025-12-01"]
    )
    reason: str | None = Field(
        description="Why there is no figure; null if there is one.", examples=[None]
    )


class CostSummary(BaseModel):
    """What the period cost by the price book, and of what that is made."""

    period_days: int = Field(description="Number of dates asked for.", examples=[30])
    cost_usd: str | None = Field(
        description=f"What all tokens cost, failed attempts too, {USD}; null where there are "
        "tokens and none has a price.",
        examples=["12.345600"],
    )
    reported_cost_usd: str | None = Field(
        description=f"What the senders of the events say that they cost, {USD}; null where none "
        "says so. It is beside `cost_usd`, never mixed with it.",
        examples=[None],
    )
    complete: bool = Field(
        description="Whether every token has a price and no model a fee per request besides.",
        examples=[True],
    )
    unpriced_tokens: int = Field(
        description="Tokens without a price: they are in no cost.", examples=[0]
    )
    assumed_price_tokens: int = Field(
        description="Tokens that took the price of standard processing, or of the lowest context, "
        "for want of one of their own.",
        examples=[0],
    )
    by_token_class: list[TokenClassCost] = Field(
        description="Each class with tokens, greatest cost first."
    )
    by_model: list[ModelCost] = Field(description="Each model with tokens, greatest cost first.")
    month_to_date: MonthToDate = Field(description="The month so far.")
    price_book: str | None = Field(
        description="Which price book the costs are of: the list it rests on, and a hash of its "
        "prices.",
        examples=["genai-prices-0.2.3-873f00503365ccee"],
    )


@router.get("/api/stats/cost/summary", response_model=CostSummary, responses=ERRORS)
@from_memory_or_in_a_thread
def cost_summary(
    request: Request,
    customer_id: AuthenticatedCustomer,
    asked: Annotated[Period, Depends(period(default_days=30, parameters=PERIOD_PARAMETERS))],
) -> Response:
    """What the period cost, by token class and by model, and the month so far."""
    with answering(request, customer_id, asked, question=f"{_today(asked)}") as answer:
        totals = _sums(answer, answer.window, ("total_tokens", *COSTS))
        by_class = _by(answer, "token_class")
        by_model = _by(answer, "model")
        answer.say_if_truncated(len(by_model.groups), by_model.group_count)
        reported = int(totals["reported_cost_usd"] or 0)
        return answer.json(
            CostSummary(
                period_days=asked.days,
                cost_usd=metric_of(totals, "cost_usd"),
                reported_cost_usd=exact_usd(reported) if totals["reported_cost_events"] else None,
                complete=not (totals["unpriced_tokens"] or totals["left_out_fee_events"]),
                unpriced_tokens=int(totals["unpriced_tokens"] or 0),
                assumed_price_tokens=int(totals["assumed_price_tokens"] or 0),
                by_token_class=[
                    TokenClassCost(token_class=group[0], **_priced(by_class.cells[group][0]))
                    for group in by_class.groups
                ],
                by_model=[
                    ModelCost(
                        model=group[0],
                        **_priced(by_model.cells[group][0]),
                        unpriced_tokens=int(by_model.cells[group][0]["unpriced_tokens"] or 0),
                    )
                    for group in by_model.groups
                ],
                month_to_date=_month_to_date(answer, asked),
                price_book=answer.price_book,
            )
        )


def _today(asked: Period) -> date:
    """Today, in the period's zone."""
    return asked.asked_at.astimezone(zone(asked.tz)).date()


def _by(answer: Answering, dimension: str) -> Answer:
    """Cost and tokens by one dimension, greatest cost first, then by the dimension."""
    return answer.engine.answer(
        Question(
            answer.window,
            metrics=(declared().metrics["cost_usd"],),
            group_by=(dimension,),
            limit=MOST_ROWS,
            with_totals=False,
        )
    )


def _priced(figures: Figures) -> dict[str, Any]:
    return {"tokens": figures["total_tokens"], "cost_usd": metric_of(figures, "cost_usd")}


def _sums(answer: Answering, of: Window, measures: tuple[str, ...]) -> Figures:
    answered = answer.engine.answer(Question(of, measures=measures, with_totals=False))
    return answered.cells[()][0]


def _month_to_date(answer: Answering, asked: Period) -> MonthToDate:
    """The month of today, in the period's zone."""
    today = _today(asked)
    first = today.replace(day=1)
    kept_from = answer.retention_from
    month = window(days=today.day, tz=asked.tz, end=today, kept_from=None)
    reason = None
    if kept_from is not None and month.from_instant < utc_midnight(kept_from):
        reason = f"the month began before {kept_from}, from which on data is kept"
    sums = None if reason else _sums(answer, month, ("total_tokens", *COSTS))
    return MonthToDate.model_validate(
        {
            "cost_usd": None if sums is None else metric_of(sums, "cost_usd"),
            "from": first,
            "reason": reason,
        }
    )
