"""Periods and days: from dates in a time zone to instants of UTC.

The only place that turns a date into an instant, and the only zone rules are those of the pinned
`tzdata` package: the copies of the system and of DuckDB disagree with it for some zones.
"""

import functools
import hashlib
import importlib.resources
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import cached_property
from itertools import pairwise
from zoneinfo import ZoneInfo

ONE_DAY = timedelta(days=1)
ONE_SECOND = timedelta(seconds=1)
QUARTER_HOUR = timedelta(minutes=15)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@functools.cache
def zone_names() -> frozenset[str]:
    """All IANA names in the pinned `tzdata` package."""
    zones = importlib.resources.files("tzdata").joinpath("zones").read_text(encoding="utf-8")
    return frozenset(zones.split())


@functools.lru_cache(maxsize=1024)
def zone(name: str) -> ZoneInfo:
    """The rules of one IANA zone, e.g. `Asia/Kathmandu`; case matters.

    Raises ValueError for a name that the pinned `tzdata` package does not list.
    """
    if name not in zone_names():
        raise ValueError(f"unknown time zone {name!r}: use an IANA name such as Europe/Paris")
    resource = importlib.resources.files("tzdata").joinpath("zoneinfo", *name.split("/"))
    with resource.open("rb") as rules:
        return ZoneInfo.from_file(rules, key=name)


def first_instant(day: date, tz: ZoneInfo) -> datetime:
    """The first instant of UTC (aware) at which the date in `tz` is `day`.

    Of a midnight that happens twice it is the first. Where the clock jumps over midnight it is the
    instant of the jump; so for a date that is skipped whole it is the first instant of the next.
    """
    return instant_of(datetime.combine(day, time.min), tz)


def instant_of(local: datetime, tz: ZoneInfo) -> datetime:
    """The instant of UTC (aware) at which clocks in `tz` show the naive time `local`.

    Of a time that they show twice, `fold` says which. Where they jump over it, it is the instant of
    the jump, so the first later time that they do show.
    """
    shown = local.replace(tzinfo=tz)
    candidate = shown.astimezone(UTC)
    if candidate.astimezone(tz).replace(tzinfo=None) == local:
        return candidate
    # It lies in a gap. PEP 495: fold=0 reads it with the offset before the jump, which gives an
    # instant at or after it, and fold=1 with the offset after, which gives one before it.
    before = shown.replace(fold=1).astimezone(UTC)
    after = shown.replace(fold=0).astimezone(UTC)
    while after - before > ONE_SECOND:
        middle = before + timedelta(seconds=(after - before) // ONE_SECOND // 2)
        if middle.astimezone(tz).replace(tzinfo=None) >= local:
            after = middle
        else:
            before = middle
    return after


@dataclass(frozen=True)
class Span:
    """A half-open range of UTC instants `[start, end)`, aware; empty if they are equal."""

    start: datetime
    end: datetime


@dataclass(frozen=True)
class Stretch:
    """Boundaries one after the other that fall on UTC dates in a row, at one time of day in UTC."""

    dates: range
    """Proleptic Gregorian ordinals of the dates."""
    times: int
    """How often each is there; more than once only where there is one date."""
    time_of_day: timedelta


@dataclass(frozen=True)
class Window:
    """The `days` dates in `tz` that end with `end`, as UTC instants, cut off at retention.

    What follows from them is worked out once, unless it takes much room for each date: many
    questions are about the same window.
    """

    days: int
    tz: str
    end: date
    boundaries: tuple[datetime, ...]
    """First instants of the dates, oldest first, and the end of the last: `days` + 1 of them."""

    @cached_property
    def from_instant(self) -> datetime:
        """Where the window begins; it is part of it."""
        return self.boundaries[0]

    @cached_property
    def to_instant(self) -> datetime:
        """Where the window ends; it is not part of it."""
        return self.boundaries[-1]

    @cached_property
    def fingerprint(self) -> str:
        """A hash of all that the window is."""
        parts = [self.days, self.tz, self.end.isoformat(), *map(str, self.boundaries)]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    @cached_property
    def labels(self) -> list[str]:
        """The dates, `YYYY-MM-DD`, oldest first."""
        last = self.end.toordinal()
        return [date.fromordinal(day).isoformat() for day in range(last - self.days + 1, last + 1)]

    @property
    def spans(self) -> list[Span]:
        """One span for each label; one before retention is empty."""
        return [Span(start, end) for start, end in pairwise(self.boundaries)]

    @cached_property
    def is_of_utc_days(self) -> bool:
        """Whether each date of the window is a whole UTC date (or empty)."""
        return not any(stretch.time_of_day for stretch in self.stretches)

    @cached_property
    def stretches(self) -> tuple[Stretch, ...]:
        """The boundaries again, in as few parts as can be: one, but for retention and clocks."""
        found: list[Stretch] = []
        for boundary in self.boundaries:
            date_of_it = boundary.date()
            time_of_day = boundary - utc_midnight(date_of_it)
            here = range(date_of_it.toordinal(), date_of_it.toordinal() + 1)
            last = found[-1] if found else None
            if last is None or last.time_of_day != time_of_day:
                found.append(Stretch(here, 1, time_of_day))
            elif last.dates == here:
                found[-1] = Stretch(here, last.times + 1, time_of_day)
            elif last.times == 1 and last.dates.stop == here.start:
                found[-1] = Stretch(range(last.dates.start, here.stop), 1, time_of_day)
            else:
                found.append(Stretch(here, 1, time_of_day))
        return tuple(found)

    def of_dates(self, span: Span) -> "Window":
        """The same zone, and the dates of another span; its last date may end early."""
        rules = zone(self.tz)
        first = span.start.astimezone(rules).date()
        last = max(span.start, span.end - QUARTER_HOUR).astimezone(rules).date()
        if first_instant(last + ONE_DAY, rules) < span.end:
            last += ONE_DAY  # it ends in an hour of before midnight that clocks show again
        whole = window(days=(last - first).days + 1, tz=self.tz, end=last, kept_from=None)
        boundaries = (min(max(each, span.start), span.end) for each in whole.boundaries)
        return replace(whole, boundaries=tuple(boundaries))

    def of_numbered_dates(self, first: int, last: int) -> "Window":
        """Some of its dates, by their numbers from 0, the last one included."""
        return replace(
            self,
            days=last - first + 1,
            end=self.end - ONE_DAY * (self.days - 1 - last),
            boundaries=self.boundaries[first : last + 2],
        )

    @cached_property
    def head(self) -> Span:
        """The part before the first UTC midnight of the window; the whole if it holds none."""
        return Span(self.from_instant, min(self.whole_days.start, self.to_instant))

    @cached_property
    def whole_days(self) -> Span:
        """The whole UTC days of the window, from midnight to midnight."""
        start = utc_midnight(self.from_instant.date())
        if start < self.from_instant:
            start += ONE_DAY
        return Span(start, max(start, utc_midnight(self.to_instant.date())))

    @cached_property
    def tail(self) -> Span:
        """The part after the last UTC midnight of the window."""
        return Span(min(self.whole_days.end, self.to_instant), self.to_instant)


class Comparing(StrEnum):
    """What the figures of a period are compared with."""

    none = "none"
    previous = "previous"
    week = "week"
    month = "month"


@dataclass(frozen=True)
class ComparedSpans:
    """A period as far as it can be known, and the same stretch of an earlier period."""

    current: Span
    previous: Span


def compared_spans(
    *, days: int, tz: str, end: date, known_until: datetime, comparing: Comparing
) -> ComparedSpans:
    """The spans that a change of the `days` dates in `tz` up to and with `end` compares.

    The earlier dates are those right before (`previous`), those a week before, or those a month
    before. In the last case first and last date each go to the same day of the month before, or to
    its last day where it has no such day: so both spans have equally many dates unless a day of
    the 29th to 31st had to go to an earlier one. `week` and `month` overlap with a longer period.

    Of a period that runs beyond `known_until`, both end at one local time of day, that of the last
    quarter hour that is over by then: half a day is not compared with a whole one.
    Raises KeyError for `none`, which compares nothing.
    """
    back = EARLIER_DATE[comparing]
    rules = zone(tz)
    first = end - ONE_DAY * (days - 1)
    start, stop = first_instant(first, rules), first_instant(end + ONE_DAY, rules)
    previous_start = first_instant(back(first, days), rules)
    if known_until >= stop:
        previous_stop = first_instant(back(end, days) + ONE_DAY, rules)
        return ComparedSpans(Span(start, stop), Span(previous_start, previous_stop))
    cut = max(start, begun_quarter_hour(known_until))
    local = cut.astimezone(rules)
    if start < cut == first_instant(local.date(), rules):
        # The last date is a whole one, and so is the earlier one: 28 March, 24:00, goes to
        # 28 February, 24:00, and not with 29 March to 28 February, 0:00.
        earlier_date = back(local.date() - ONE_DAY, days) + ONE_DAY
    else:
        earlier_date = back(local.date(), days)
    previous_stop = instant_of(datetime.combine(earlier_date, local.time()), rules)
    return ComparedSpans(Span(start, cut), Span(previous_start, max(previous_start, previous_stop)))


def month_before(day: date) -> date:
    """The same day of the month before, or the last day of a month that is too short for it."""
    last_of_it = day.replace(day=1) - ONE_DAY
    return last_of_it.replace(day=min(day.day, last_of_it.day))


EARLIER_DATE: Mapping[Comparing, Callable[[date, int], date]] = {
    Comparing.previous: lambda day, days: day - ONE_DAY * days,
    Comparing.week: lambda day, _: day - ONE_DAY * 7,
    Comparing.month: lambda day, _: month_before(day),
}
"""Which date one of a period of so many dates is compared with."""


def begun_quarter_hour(instant: datetime) -> datetime:
    """The latest whole quarter hour that is not after the instant."""
    return EPOCH + (instant - EPOCH) // QUARTER_HOUR * QUARTER_HOUR


def covered_from(
    now: datetime, retention_days: int | None, deleted_before: date | None = None
) -> date | None:
    """The first UTC date that retention lets a customer see; None if nothing is deleted.

    Nothing before `deleted_before` is there any more, however long the retention is by now.
    """
    if retention_days is None:
        return deleted_before
    by_policy = now.astimezone(UTC).date() - ONE_DAY * retention_days
    return by_policy if deleted_before is None else max(by_policy, deleted_before)


def today(now: datetime, tz: str) -> date:
    """The date of `now` in the zone named `tz`."""
    return now.astimezone(zone(tz)).date()


def next_change(now: datetime, tz: str) -> datetime:
    """The earliest instant after `now` at which "today" in `tz`, or what retention keeps, moves."""
    tomorrow = first_instant(today(now, tz) + ONE_DAY, zone(tz))
    return min(tomorrow, utc_midnight(now.astimezone(UTC).date() + ONE_DAY))


# Seven years take 0.3 MB.
@functools.lru_cache(maxsize=128)
def window(*, days: int, tz: str, end: date, kept_from: date | None) -> Window:
    """The window of the `days` dates in `tz` up to and with `end`; nothing before `kept_from`."""
    rules = zone(tz)
    first = end - ONE_DAY * (days - 1)
    boundaries = [first_instant(first + ONE_DAY * step, rules) for step in range(days + 1)]
    if kept_from is not None:
        floor = utc_midnight(kept_from)
        boundaries = [max(boundary, floor) for boundary in boundaries]
    return Window(days=days, tz=tz, end=end, boundaries=tuple(boundaries))


def without_offset(instant: datetime) -> datetime:
    """An aware instant as the marts store it: UTC, naive."""
    return instant.astimezone(UTC).replace(tzinfo=None)


def utc_midnight(day: date) -> datetime:
    """The first instant of a UTC date, aware."""
    return datetime.combine(day, time.min, tzinfo=UTC)
