"""The parts of a window that figures are given for: quarter hours, hours, days, weeks, months."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from enum import StrEnum
from itertools import pairwise
from zoneinfo import ZoneInfo

from api.windows import ONE_DAY, QUARTER_HOUR, Window, window, zone

ONE_HOUR = timedelta(hours=1)


class Granularity(StrEnum):
    """How long a bucket is; `all` is the whole window."""

    all = "all"
    quarter_hour = "quarter_hour"
    hour = "hour"
    day = "day"
    week = "week"
    month = "month"


MADE_OF_DAYS = (Granularity.all, Granularity.day, Granularity.week, Granularity.month)


@dataclass(frozen=True)
class Part:
    """A half-open range of UTC instants inside one bucket, one hour of day and one day of week."""

    start: datetime
    end: datetime
    bucket: int
    hour_of_day: int | None
    """None where the part is longer than an hour."""
    day_of_week: int | None
    """1 is Monday; None where the part is the whole window."""


@dataclass(frozen=True)
class Buckets:
    """The buckets of a window, by their labels, oldest first, and the parts they are made of."""

    labels: tuple[str | None, ...]
    parts: tuple[Part, ...]
    """In order; a part before retention is empty, its start is its end."""


def buckets_of(asked: Window, granularity: Granularity, *, by_hour: bool, by_day: bool) -> Buckets:
    """The buckets of a window, in parts of one hour of day, or of one day of week, if asked."""
    if granularity is Granularity.all and not by_hour and not by_day:
        whole = Part(asked.from_instant, asked.to_instant, 0, None, None)
        return Buckets((None,), (whole,))
    if granularity in (Granularity.hour, Granularity.quarter_hour):
        return _of_clock_times(asked, granularity)
    label_of = _LABELS[granularity]
    labels: list[str | None] = []
    parts: list[Part] = []
    for day, start, end in _days(asked):
        label = label_of(day)
        if not labels or labels[-1] != label:
            labels.append(label)
        bucket, weekday = len(labels) - 1, day.isoweekday()
        if by_hour:
            for hour_start, hour_end, local in _hours(start, end, zone(asked.tz)):
                parts.append(Part(hour_start, hour_end, bucket, local.hour, weekday))
        else:
            parts.append(Part(start, end, bucket, None, weekday))
    return Buckets(tuple(labels), tuple(parts))


_LABELS: dict[Granularity, Callable[[date], str | None]] = {
    Granularity.all: lambda _day: None,
    Granularity.day: date.isoformat,
    Granularity.week: lambda day: (day - ONE_DAY * (day.isoweekday() - 1)).isoformat(),
    Granularity.month: lambda day: day.replace(day=1).isoformat(),
}


def dates_in_buckets(
    asked: Window, granularity: Granularity
) -> tuple[tuple[str | None, ...], Sequence[int]]:
    """Labels of the buckets that are made of dates, and the number of the bucket of each date."""
    if granularity is Granularity.day:
        return tuple(asked.labels), range(asked.days)
    if granularity is Granularity.all:
        return (None,), (0,) * asked.days
    last = asked.end.toordinal()
    label_of = _LABELS[granularity]
    of_dates = [label_of(date.fromordinal(n)) for n in range(last - asked.days + 1, last + 1)]
    labels = tuple(dict.fromkeys(of_dates))
    numbers = {label: number for number, label in enumerate(labels)}
    return labels, [numbers[label] for label in of_dates]


def _days(asked: Window) -> Iterator[tuple[date, datetime, datetime]]:
    first = asked.end - ONE_DAY * (asked.days - 1)
    for step, (start, end) in enumerate(pairwise(asked.boundaries)):
        yield first + ONE_DAY * step, start, end


def _of_clock_times(asked: Window, granularity: Granularity) -> Buckets:
    rules = zone(asked.tz)
    kept_from = asked.from_instant
    # What lies before retention has its labels, as dates have.
    whole = window(days=asked.days, tz=asked.tz, end=asked.end, kept_from=None)
    labels: list[str | None] = []
    parts: list[Part] = []
    for day, start, end in _days(whole):
        for hour_start, hour_end, local in _hours(start, end, rules):
            steps: Collection[tuple[datetime, datetime, datetime]] = [(hour_start, hour_end, local)]
            if granularity is Granularity.quarter_hour:
                steps = list(_quarter_hours(hour_start, hour_end, rules))
            for step_start, step_end, shown in steps:
                label = shown.isoformat(timespec="minutes")
                if not labels or labels[-1] != label:
                    labels.append(label)
                bucket = len(labels) - 1
                span = max(step_start, kept_from), max(step_end, kept_from)
                parts.append(Part(*span, bucket, local.hour, day.isoweekday()))
    return Buckets(tuple(labels), tuple(parts))


def _hours(
    start: datetime, end: datetime, rules: ZoneInfo
) -> Iterator[tuple[datetime, datetime, datetime]]:
    """The hours of the clock from one instant to another: each start, end, and what it is called.

    An hour that clocks show twice is two, of different offsets; one that they jump into begins
    where they do, and is called by its full hour.
    """
    here = start
    while here < end:
        local = here.astimezone(rules)
        offset = local.utcoffset()
        # With the offset of now: by the rules the full hour may be before the clocks were set.
        shown = local.replace(tzinfo=timezone(offset or timedelta()))
        full_hour = shown.replace(minute=0, second=0, microsecond=0)
        after = here + ONE_HOUR - (shown - full_hour)
        # Clocks may be set in the middle of an hour, on a quarter of it.
        if (after - QUARTER_HOUR).astimezone(rules).utcoffset() != offset:
            after = here + QUARTER_HOUR
            while after.astimezone(rules).utcoffset() == offset:
                after += QUARTER_HOUR
        after = min(after, end)
        yield here, after, full_hour
        here = after


def _quarter_hours(
    start: datetime, end: datetime, rules: ZoneInfo
) -> Iterator[tuple[datetime, datetime, datetime]]:
    here = start.astimezone(UTC)
    while here < end:
        yield here, here + QUARTER_HOUR, here.astimezone(rules)
        here += QUARTER_HOUR
