"""What a series of daily sums comes to: by its weekdays, by its hours, and by its level.

A forecast is the sum of what each day ahead is expected to have. A day is expected to have the
level of the last four weeks times what its weekday has of an average day; what is left of a day
that has begun is forecast in the same way, from what the days before had after the same time of
day. Where half of the trend of these weeks, or nothing but their mean, would have been nearer to
what came, that is the forecast.

How far off forecasts were is measured in the *spread* of each series, so that the errors of small
and large ones are comparable: the nightly backtest collects them over all series, and the
interval is what the middle four fifths of them were. Everything is plain arithmetic, in one order:
the same sums give the same forecast.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from itertools import accumulate

LEAST_DAYS = 14
"""Whole days without which nothing is forecast."""
MOST_DAYS = 91
"""Whole days that a forecast looks back on."""
MOST_DAYS_AHEAD = 31
"""Dates that a forecast reaches over, that of its last known instant included."""
INTERVAL_PERCENT = 80
NORMAL_BOUND = 1.2815515655446004
"""Spreads on either side that 80 % of normal errors lie in: where too few were measured."""
LEAST_ERRORS = 40
"""Errors without which no interval is read off them."""

NOISE = 1e-9
"""Errors below this share of all there was are those of the arithmetic."""
LEVEL_DAYS = 28
PROFILE_DAYS = 56
WEEKDAY_SHRINKAGE = 1.0
"""Average days that stand beside the days of each weekday, so that two of them prove little."""
COMPARED_DAYS = 28
"""Forecasts of the past by which the nearer way is chosen, and the spread measured."""
FIRST_ORIGIN = 7
"""Whole days after which a forecast of the past is made."""
WEEK = 7

TREND_DAYS = 14
TREND_FOLLOWED = 0.5
"""Of the growth of a day: all of it made weeks worse where there was no trend."""
LEAST_GROWTH, MOST_GROWTH = 0.3, 3.0


class Method(StrEnum):
    """How a series is forecast; of those that were equally near, the first."""

    profile = "weekday_and_hour_profile"
    trend = "weekday_and_hour_profile_with_trend"
    mean = "mean_of_28_days"


@dataclass(frozen=True)
class Bounds:
    """Where the middle four fifths of the measured errors lie, in spreads of their series."""

    low: float
    high: float


NORMAL = Bounds(-NORMAL_BOUND, NORMAL_BOUND)


@dataclass(frozen=True)
class Forecast:
    """What is yet to come; `spread` says how uncertain that is, and is 0 where nothing is."""

    method: Method
    expected: float
    spread: float

    def interval(self, bounds: Bounds) -> tuple[float, float]:
        """What comes lies between these with the share that the bounds are of; nothing is below
        0, and what is expected is never outside."""
        low = self.expected + bounds.low * self.spread
        high = self.expected + bounds.high * self.spread
        return max(0.0, min(low, self.expected)), max(high, self.expected)


class DailySeries:
    """Sums of whole days without gaps, oldest first; `last` is the ordinal of the last date."""

    def __init__(self, totals: Sequence[float], last: int) -> None:
        self.totals = totals
        self.last = last
        self._sums = [0.0, *accumulate(totals)]

    def mean_before(self, origin: int) -> float:
        """The mean of the last 28 days of the first `origin` ones."""
        first = max(0, origin - LEVEL_DAYS)
        return (self._sums[origin] - self._sums[first]) / max(1, origin - first)

    def expected(self, origin: int, days: int, method: Method, *, skipped: int = 0) -> list[float]:
        """What each of so many days is expected to have, by the first `origin` ones; the days begin
        right after those, or `skipped` days later."""
        if method is Method.mean:
            return [self.mean_before(origin)] * days
        shares = self._weekday_shares(origin)
        first = max(0, origin - LEVEL_DAYS)
        share_sum = sum(shares[self._weekday(day)] for day in range(first, origin))
        level = (self._sums[origin] - self._sums[first]) / share_sum if share_sum else 0.0
        growth = self._growth(origin) if method is Method.trend else 0.0
        middle = (first + origin) / 2
        return [
            level
            * shares[self._weekday(day)]
            * min(max(1 + growth * (day - middle), LEAST_GROWTH), MOST_GROWTH)
            for day in range(origin + skipped, origin + skipped + days)
        ]

    def nearest_method(self, origin: int) -> Method:
        """The one whose forecasts of a week, of those made before `origin`, were nearest."""
        weeks = max(0, origin - WEEK + 1 - FIRST_ORIGIN)
        first = max(0, weeks - COMPARED_DAYS)
        errors = {method: sums[weeks] - sums[first] for method, sums in self._week_errors.items()}
        return min(errors, key=lambda method: errors[method])

    def day_error(self, origin: int, method: Method) -> float:
        """The mean error of the forecasts of one day that were made before `origin`, times what
        makes it a standard deviation where errors are normal."""
        days = max(0, origin - FIRST_ORIGIN)
        first = max(0, days - COMPARED_DAYS)
        if days == first:
            return 0.0
        errors = self._day_errors[method]
        error = math.sqrt(math.pi / 2) * (errors[days] - errors[first]) / (days - first)
        return error if error > NOISE * self._sums[origin] else 0.0

    @cached_property
    def _week_errors(self) -> dict[Method, list[float]]:
        """Running sums of the errors of a week, by method and origin."""
        return {method: self._errors(WEEK, method) for method in Method}

    @cached_property
    def _day_errors(self) -> dict[Method, list[float]]:
        return {method: self._errors(1, method) for method in Method}

    def _errors(self, days: int, method: Method) -> list[float]:
        found = [0.0]
        for origin in range(FIRST_ORIGIN, len(self.totals) - days + 1):
            came = self._sums[origin + days] - self._sums[origin]
            error = abs(came - math.fsum(self.expected(origin, days, method)))
            found.append(found[-1] + (error if error > NOISE * self._sums[origin] else 0.0))
        return found

    def _growth(self, origin: int) -> float:
        """By what share of the level it is expected to grow from day to day; 0 where two weeks and
        two weeks before them are not there to compare."""
        mean = self.mean_before(origin)
        if origin < 2 * TREND_DAYS or mean == 0:
            return 0.0
        before, middle, now = (self._sums[origin - back * TREND_DAYS] for back in (2, 1, 0))
        later, earlier = (now - middle) / TREND_DAYS, (middle - before) / TREND_DAYS
        return TREND_FOLLOWED * (later - earlier) / TREND_DAYS / mean

    def _weekday(self, day: int) -> int:
        return (self.last - len(self.totals) + 1 + day) % WEEK

    def _weekday_shares(self, origin: int) -> list[float]:
        """What each weekday has of an average day."""
        first = max(0, origin - PROFILE_DAYS)
        mean = (self._sums[origin] - self._sums[first]) / max(1, origin - first)
        if mean == 0:
            return [1.0] * WEEK
        sums, counts = [0.0] * WEEK, [0] * WEEK
        for day in range(first, origin):
            weekday = self._weekday(day)
            sums[weekday] += self.totals[day]
            counts[weekday] += 1
        return [
            (part / mean + WEEKDAY_SHRINKAGE) / (count + WEEKDAY_SHRINKAGE)
            for part, count in zip(sums, counts, strict=True)
        ]


@dataclass(frozen=True)
class Outlook:
    """What the days ahead are expected to have, as far as they are not over."""

    method: Method
    parts: Sequence[float]
    """Of the rest of the day that has begun, and of each day after it."""
    rest_days: float
    """How many days the rest of the first one stands for: at most one or so."""
    day_error: float

    def forecast(self, days: int, *, skipped: int = 0) -> Forecast:
        """Of so many of the days; the first `skipped` of them count for nothing."""
        length = days - skipped if skipped else days - 1 + self.rest_days
        # Errors of days add up as if each was of its own, that of the level from day to day.
        spread = self.day_error * math.sqrt(length + length * length / LEVEL_DAYS)
        return Forecast(self.method, math.fsum(self.parts[skipped:days]), spread)


@dataclass(frozen=True)
class History:
    """Whole days of a series, and what each of them had after one time of day: the time up to which
    the day after the last of them is known."""

    totals: DailySeries
    rests: DailySeries

    def outlook(self, origin: int | None = None) -> Outlook:
        """Of the day after the first `origin` ones (all of them), and of those after it."""
        at = len(self.totals.totals) if origin is None else origin
        method = self.totals.nearest_method(at)
        mean, rest = self.totals.mean_before(at), self.rests.mean_before(at)
        return Outlook(
            method,
            [
                *self.rests.expected(at, 1, method),
                *self.totals.expected(at, MOST_DAYS_AHEAD - 1, method, skipped=1),
            ],
            rest / mean if mean else 0.0,
            self.totals.day_error(at, method),
        )

    def mean_of(self, origin: int, days: int) -> float:
        """The same by nothing but the mean of the last 28 days."""
        return self.rests.mean_before(origin) + (days - 1) * self.totals.mean_before(origin)


def history_of(days: Iterable[tuple[float, float]], last: int) -> History:
    """The history of days, oldest first, each as its sum and what of that came after the time of
    day; of the last 91 of them; `last` is the ordinal of the last date."""
    both = list(days)[-MOST_DAYS:]
    return History(
        DailySeries([total for total, _ in both], last),
        DailySeries([rest for _, rest in both], last),
    )


def bounds_of(errors: Sequence[float]) -> Bounds:
    """The bounds of the middle 80 % of errors; of normal ones where there are too few."""
    if len(errors) < LEAST_ERRORS:
        return NORMAL
    ordered = sorted(errors)
    tail = (100 - INTERVAL_PERCENT) / 200
    return Bounds(_quantile(ordered, tail), _quantile(ordered, 1 - tail))


def _quantile(ordered: Sequence[float], share: float) -> float:
    """Between the two values that are next to this share of them."""
    place = share * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])
