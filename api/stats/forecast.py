"""What a day, week or month will come to, by what came before."""

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from api.errors import InvalidParameter
from api.forecasts import (
    INTERVAL_PERCENT,
    LEAST_DAYS,
    MOST_DAYS,
    MOST_DAYS_AHEAD,
    NORMAL,
    Bounds,
    history_of,
)
from api.metrics.declared import declared
from api.metrics.ratio import exact_ratio, exact_usd
from api.parameters import AuthenticatedCustomer, Period, of_today
from api.questions.buckets import Granularity
from api.questions.question import Figures, Question
from api.stats.responses import ERRORS, Answering, answering, from_memory_or_in_a_thread
from api.stats.shapes.rows import metric_of
from api.windows import (
    ONE_DAY,
    Window,
    begun_quarter_hour,
    first_instant,
    instant_of,
    utc_midnight,
    zone,
)

router = APIRouter(tags=["forecast"])

FORECAST_PARAMETERS = ("metric", "until", "tz")


class Forecasted(StrEnum):
    """What is forecast."""

    total_messages = "total_messages"
    total_tokens = "total_tokens"
    cost_usd = "cost_usd"


class Until(StrEnum):
    """The period that it is forecast for, up to its end: the day, week or month of today."""

    day = "day"
    week = "week"
    month = "month"


FIRST_DATE_OF = {
    Until.day: lambda day: day,
    Until.week: lambda day: day - ONE_DAY * (day.isoweekday() - 1),
    Until.month: lambda day: day.replace(day=1),
}
LAST_DATE_OF = {
    Until.day: lambda day: day,
    Until.week: lambda day: day + ONE_DAY * (7 - day.isoweekday()),
    Until.month: lambda day: (day.replace(day=28) + ONE_DAY * 4).replace(day=1) - ONE_DAY,
}

Amount = int | str | None
UNKNOWN_COSTS = ("unpriced_tokens", "left_out_fee_events")
IN_UNITS = "a whole number; for `cost_usd` US dollars as text with 6 decimals"


class ForecastAnswer(BaseModel):
    """What the period will come to, in all of it."""

    metric: Forecasted = Field(description="As asked for.", examples=["total_tokens"])
    until: Until = Field(description="As asked for.", examples=["month"])
    so_far: Amount = Field(
        description=f"What the period has so far: {IN_UNITS}. Null where part of it is not kept, "
        "or where none of its tokens has a price.",
        examples=[1250000],
    )
    expected: Amount = Field(
        description="What it is expected to have at its end, what it has so far included; null "
        "where `reason` says why.",
        examples=[3875000],
    )
    low: Amount = Field(
        description="Lower end of the interval, never below `so_far`.", examples=[3410000]
    )
    high: Amount = Field(description="Upper end of the interval.", examples=[4420000])
    interval_percent: int = Field(
        description="Share of the periods that the interval is made to cover.", examples=[80]
    )
    measured_coverage_percent: float | None = Field(
        description="Share that it covered: of the forecasts of the past over as many days ahead, "
        "over all series, by intervals that other series gave. Null before the first nightly run.",
        examples=[79.4],
    )
    method: str | None = Field(
        description="`weekday_and_hour_profile`: the level of the last 28 days times what each "
        "weekday, and the rest of today, has of an average day. `mean_of_28_days`: nothing but "
        "that mean, where it was nearer to what came in the last four weeks of forecasts.",
        examples=["weekday_and_hour_profile"],
    )
    reason: str | None = Field(
        description="Why a figure is null; null if none is for a reason.", examples=[None]
    )
    complete: bool | None = Field(
        description="Of `cost_usd` whether every token of the period so far and of the days before "
        "has a price, and no model a fee per request besides; null for other metrics, and without "
        "a forecast.",
        examples=[None],
    )


async def forecasted(
    _customer_id: AuthenticatedCustomer,  # first, so that no key means 401 and nothing else
    metric: Annotated[
        str,
        Query(
            description="What is forecast.",
            json_schema_extra={"enum": [each.value for each in Forecasted]},
        ),
    ] = Forecasted.total_tokens,
) -> Forecasted:
    """The dependency that reads `metric`: of all metrics, three are forecast."""
    try:
        return Forecasted(metric)
    except ValueError:
        raise InvalidParameter("metric", f"one of {', '.join(Forecasted)}") from None


@dataclass(frozen=True)
class Known:
    """Up to which instant a customer's events are loaded, and the local date that it is on."""

    until: datetime
    day: date


@router.get("/api/stats/forecast", response_model=ForecastAnswer, responses=ERRORS)
@from_memory_or_in_a_thread
def forecast(
    request: Request,
    customer_id: AuthenticatedCustomer,
    asked: Annotated[Period, Depends(of_today(FORECAST_PARAMETERS))],
    metric: Annotated[Forecasted, Depends(forecasted)],
    until: Annotated[
        Until, Query(description="Up to the end of which period: that of today, in `tz`.")
    ] = Until.month,
) -> Response:
    """What the day, week or month of today will come to, with an interval of measured coverage."""
    first = FIRST_DATE_OF[until](asked.end)
    so_far_of = replace(asked, days=(asked.end - first).days + 1)
    with answering(request, customer_id, so_far_of, question=f"{metric} {until}") as answer:
        figures: dict[str, Any] = dict.fromkeys(
            ("so_far", "expected", "low", "high", "measured_coverage_percent", "method", "complete")
        )
        reason = _why_not_whole(answer, first, until)
        if reason is None:
            totals = answer.engine.answer(_question(answer.window, metric)).totals
            figures["so_far"] = metric_of(totals, metric)
            more, reason = _forecast(answer, asked, metric, until, totals)
            figures |= more
        return answer.json(
            ForecastAnswer(
                metric=metric,
                until=until,
                interval_percent=INTERVAL_PERCENT,
                reason=reason,
                **figures,
            )
        )


def _why_not_whole(answer: Answering, first: date, until: Until) -> str | None:
    """Why the period so far is not known; None if it is."""
    kept_from = answer.retention_from
    if kept_from is None or first_instant(first, zone(answer.window.tz)) >= utc_midnight(kept_from):
        return None
    return f"the {until} began before {kept_from}, from which on data is kept"


def _forecast(
    answer: Answering, asked: Period, metric: Forecasted, until: Until, so_far: Figures
) -> tuple[dict[str, Any], str | None]:
    """The figures that a forecast adds, and why some are null."""
    known = known_until(answer, asked)
    data_from = answer.rows("account")[0]["data_from"]
    if known is None or data_from is None:
        return {}, "nothing is loaded yet"
    first, last = FIRST_DATE_OF[until](asked.end), LAST_DATE_OF[until](asked.end)
    ahead = (last - known.day).days + 1
    if ahead > MOST_DAYS_AHEAD:
        return {}, (
            f"the newest data is of {known.day}, and a forecast reaches {MOST_DAYS_AHEAD} days"
        )
    days = whole_days(answer, known, max(data_from, answer.retention_from or data_from))
    if days < LEAST_DAYS:
        return {}, f"there are {days} whole days of data, and a forecast takes {LEAST_DAYS}"
    both = _days_and_their_beginnings(answer, known, min(days, MOST_DAYS), metric)
    exact = [(_exact(metric, early), _exact(metric, rest)) for early, rest in both]
    so_far_sum = _exact(metric, so_far)
    halves = [amount for pair in exact for amount in pair]
    if so_far_sum is None or (None in halves and not any(halves)):
        return {}, "none of the tokens has a price"
    history = history_of(
        (((early or 0) + (rest or 0), rest or 0) for early, rest in exact),
        known.day.toordinal() - 1,
    )
    to_come = history.outlook().forecast(ahead, skipped=max(0, (first - known.day).days))
    bounds, coverage = _measured(answer, metric, ahead)
    low, high = to_come.interval(bounds)
    of_days = [figures for pair in both for figures in pair]
    is_complete = not any(figures[name] for figures in (so_far, *of_days) for name in UNKNOWN_COSTS)

    def shown(more: float) -> Amount:
        amount = so_far_sum + round(more)
        return exact_usd(amount) if metric is Forecasted.cost_usd else amount

    return {
        "expected": shown(to_come.expected),
        "low": shown(low),
        "high": shown(high),
        "measured_coverage_percent": coverage,
        "method": to_come.method,
        "complete": is_complete if metric is Forecasted.cost_usd else None,
    }, None if coverage is not None else "forecasts are compared with what came by the nightly run"


def known_until(answer: Answering, asked: Period) -> Known | None:
    """Up to when data is loaded, but not beyond today; None if there is none."""
    data_as_of = answer.data_as_of
    if data_as_of is None:
        return None
    rules = zone(asked.tz)
    end_of_today = first_instant(asked.end + ONE_DAY, rules)
    until = min(begun_quarter_hour(data_as_of), end_of_today)
    day = min(until.astimezone(rules).date(), asked.end)
    return Known(until, day)


def whole_days(answer: Answering, known: Known, covered_from: date) -> int:
    """How many dates before that of `known` are whole inside what is kept and was ever sent."""
    rules = zone(answer.window.tz)
    first = covered_from - ONE_DAY
    while first_instant(first, rules) < utc_midnight(covered_from):
        first += ONE_DAY
    return max(0, (known.day - first).days)


def _days_and_their_beginnings(
    answer: Answering, known: Known, days: int, metric: Forecasted
) -> list[tuple[Figures, Figures]]:
    """Of each of the last whole days what it had up to the time of day of `known`, and after it."""
    rules = zone(answer.window.tz)
    shown = known.until.astimezone(rules)
    day_ended = shown.date() > known.day
    boundaries = []
    for step in range(days, 0, -1):
        day = known.day - ONE_DAY * step
        start, end = first_instant(day, rules), first_instant(day + ONE_DAY, rules)
        at = end if day_ended else instant_of(datetime.combine(day, shown.time()), rules)
        boundaries += [start, min(max(begun_quarter_hour(at), start), end)]
    boundaries.append(first_instant(known.day, rules))
    halves = Window(
        days=2 * days,
        tz=answer.window.tz,
        end=known.day - timedelta(days=1),
        boundaries=tuple(boundaries),
    )
    answered = answer.engine.answer(
        replace(_question(halves, metric), granularity=Granularity.day, with_totals=False)
    )
    of_halves = answered.cells[()]
    return [(of_halves[2 * day], of_halves[2 * day + 1]) for day in range(days)]


def _question(window: Window, metric: Forecasted) -> Question:
    """The metric over a window, and what says whether a cost is complete."""
    return Question(window, metrics=(declared().metrics[metric],), measures=UNKNOWN_COSTS)


def _exact(metric: Forecasted, figures: Figures) -> int | None:
    """A sum as a whole number: of money in its units; None where none of its tokens has a price."""
    parts = declared().metrics[metric].exactly(figures)  # type: ignore[arg-type]
    return None if parts is None else parts[0]


def _measured(answer: Answering, metric: Forecasted, ahead: int) -> tuple[Bounds, float | None]:
    """The bounds of the interval, and the share that such intervals covered, by the nightly run."""
    for of_metric, days_ahead, forecasts, covered, low, high in answer.engine.reference(
        "forecast_backtest"
    ):
        if (of_metric, days_ahead) == (metric, ahead):
            coverage = exact_ratio(covered, forecasts, 1, 100)
            return Bounds(low, high), None if coverage is None else float(coverage)
    return NORMAL, None
