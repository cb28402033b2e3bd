"""What of each budget is used, and when it will be used up."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field, TypeAdapter

from api.forecasts import LEAST_DAYS, MOST_DAYS, history_of
from api.metrics.declared import declared
from api.metrics.ratio import exact_ratio
from api.parameters import AuthenticatedCustomer, Period, no_period
from api.questions.question import Question
from api.stats.forecast import Forecasted, known_until, whole_days
from api.stats.responses import ERRORS, Answering, answering, from_memory_or_in_a_thread
from api.windows import ONE_DAY, QUARTER_HOUR, Window, utc_midnight, window, without_offset

router = APIRouter(tags=["budgets"])

DAILY_TOKENS_OF_TIER = "tier_daily_tokens"
"""The rule that each tier with a daily token budget has built in."""
QUARTERS_OF_A_DAY = 96


class Budget(BaseModel):
    """One budget of the customer, in its window of now."""

    rule_id: str = Field(
        description="The rule that the budget is of: `tier_daily_tokens` is built in.",
        examples=["tier_daily_tokens"],
    )
    name: str = Field(description="What it is called.", examples=["Daily tokens of tier pro"])
    metric: str = Field(description="What is counted.", examples=["total_tokens"])
    amount: int = Field(description="What the window may have of it.", examples=[100000])
    used: int = Field(description="What the window has so far.", examples=[74210])
    used_percent: float | None = Field(
        description="That in percent of the amount, which it may exceed; null of an amount of 0.",
        examples=[74.21],
    )
    window: str = Field(description="How long the window is.", examples=["day"])
    tz: str = Field(description="The zone that it begins in.", examples=["UTC"])
    resets_at: datetime = Field(
        description="When the next window begins, UTC.", examples=["2025-12-04T00:00:00Z"]
    )
    exhausted_at: datetime | None = Field(
        description="End of the quarter hour in which the amount was reached, UTC; before that, of "
        "the one in which it will be, by the forecast of the day. Null where that is not before "
        "`resets_at`, where the data is not of today, and where it is too short for a forecast.",
        examples=["2025-12-03T18:15:00Z"],
    )


BUDGETS = TypeAdapter(list[Budget])


@dataclass(frozen=True)
class Use:
    """Tokens of quarter hours: of whole days, oldest first, and of today until `known`."""

    before: Sequence[Sequence[int]]
    today: Sequence[int]
    known: int
    """Quarter hours of today that are loaded."""
    last: int
    """Ordinal of the last of the whole days."""

    def quarter_when_reached(self, amount: int) -> int | None:
        """How many quarter hours of today it takes to reach an amount, or will take; None where
        today does not."""
        used = 0
        for number, tokens in enumerate(self.today, start=1):
            used += tokens
            if used >= amount:
                return number
        if len(self.before) < LEAST_DAYS:
            return None
        days = ((float(sum(day)), float(sum(day[self.known :]))) for day in self.before)
        to_come = history_of(days, self.last).outlook().forecast(1).expected
        # The hours to come share it as they did on the days before.
        profile = [sum(quarters) for quarters in zip(*self.before, strict=True)][self.known :]
        missing, so_far = amount - used, 0
        for number, tokens in enumerate(profile, start=self.known + 1):
            so_far += tokens
            if so_far * to_come >= missing * sum(profile) > 0:
                return number
        return None


@router.get("/api/stats/budgets", response_model=list[Budget], responses=ERRORS)
@from_memory_or_in_a_thread
def budgets(
    request: Request,
    customer_id: AuthenticatedCustomer,
    asked: Annotated[Period, Depends(no_period)],
) -> Response:
    """What of each budget is used, when it resets, and when it will be used up."""
    with answering(request, customer_id, asked) as answer:
        account = answer.rows("account")[0]
        amount = account["daily_token_budget"]
        found = [] if amount is None else [_of_tier(answer, asked, account, amount)]
        return answer.json_list(BUDGETS, found)


def _of_tier(answer: Answering, asked: Period, account: dict[str, Any], amount: int) -> Budget:
    today = answer.window
    use = _use(answer, asked, account)
    metric = declared().metrics[Forecasted.total_tokens]
    sums = answer.engine.answer(Question(today, metrics=(metric,))).totals
    used = int(sums[metric.numerator] or 0)
    reached = use.quarter_when_reached(amount)
    resets_at = today.to_instant
    reached_at = None if reached is None else utc_midnight(asked.end) + QUARTER_HOUR * reached
    return Budget(
        rule_id=DAILY_TOKENS_OF_TIER,
        name=f"Daily tokens of tier {account['tier']}",
        metric=Forecasted.total_tokens,
        amount=amount,
        used=used,
        used_percent=exact_ratio(used, amount, 2, 100),
        window="day",
        tz=asked.tz,
        resets_at=resets_at,
        exhausted_at=None if reached_at is None or reached_at >= resets_at else reached_at,
    )


def _use(answer: Answering, asked: Period, account: dict[str, Any]) -> Use:
    """The tokens of today and of the whole days before it that are kept, in UTC."""
    known, data_from = known_until(answer, asked), account["data_from"]
    days = 0
    if known is not None and data_from is not None:
        covered_from = max(data_from, answer.retention_from or data_from)
        days = min(whole_days(answer, known, covered_from), MOST_DAYS)
    is_of_today = known is not None and known.day == asked.end
    whole = window(days=days + 1, tz=asked.tz, end=asked.end, kept_from=None)
    quarters = _quarter_hours(answer, whole)
    of_days = [
        quarters[first : first + QUARTERS_OF_A_DAY]
        for first in range(0, len(quarters), QUARTERS_OF_A_DAY)
    ]
    begun = 0
    if known is not None and is_of_today:
        begun = (known.until - utc_midnight(asked.end)) // QUARTER_HOUR
    return Use(
        before=of_days[:-1] if is_of_today else [],
        today=of_days[-1],
        known=begun,
        last=asked.end.toordinal() - 1,
    )


def _quarter_hours(answer: Answering, of: Window) -> list[int]:
    """The tokens of each quarter hour of a window of UTC days."""
    found = [0] * (of.days * QUARTERS_OF_A_DAY)
    first = without_offset(utc_midnight(of.end - ONE_DAY * (of.days - 1)))
    for row in answer.rows("tokens_by_quarter_hour", of):
        found[(row["bucket_start"] - first) // QUARTER_HOUR] = row["total_tokens"]
    return found
