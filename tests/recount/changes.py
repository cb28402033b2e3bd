"""What `compare` adds to a summary, by walking through quarter hours one by one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

from .answers import ENDPOINTS, QUARTER, Period, first_instant, period_asked, rounded
from .deliveries import Rating, Scan, Truth, UsageEvent, kept_from
from .prices import cost


def change(
    truth: Truth,
    customer_id: int,
    path: str,
    params: Mapping[str, str],
    now: datetime,
    data_as_of: datetime,
    compare: str = "previous",
) -> dict[str, Any]:
    """The fields that the change adds to the body of one summary of one customer."""
    default_days, build = ENDPOINTS[path]
    asked = period_asked(truth, customer_id, params, now, default_days)
    days, zone = asked.days, asked.zone
    begin = first_instant(asked.first, zone)
    after = first_instant(asked.first + timedelta(days=days), zone)
    previous_begin = first_instant(_earlier(asked.first, compare, days), zone)
    last = _earlier(asked.first + timedelta(days=days - 1), compare, days)
    previous_after = first_instant(last + timedelta(days=1), zone)
    known = min(now, data_as_of)
    cut = begin
    for moment in _quarter_hours(begin, after):
        if moment <= known:
            cut = moment
    if cut == after:
        previous_cut = previous_after
    else:
        today = _wall(cut, zone).date()
        # At midnight nothing of the date is over: the last date is the one before.
        whole = begin < cut == first_instant(today, zone)
        day = today - timedelta(days=1) if whole else today
        target = datetime.combine(
            _earlier(day, compare, days) + (today - day), _wall(cut, zone).time()
        )
        previous_cut = _same_time_of_day(cut, target, zone, previous_begin, previous_after)
    reason = _reason(truth, customer_id, zone, now, previous_begin, is_empty=cut == begin)

    def figures(since: datetime, until: datetime) -> dict[str, tuple[Any, Fraction | None]]:
        period = Period(truth, customer_id, days, asked.first, zone, since, until)
        return _figures(period, build(period))

    compared = figures(begin, cut)
    previous = figures(previous_begin, previous_cut)
    return {
        "previous": None if reason else {name: shown for name, (shown, _) in previous.items()},
        "change_percent": {
            name: None if reason else _percent(previous[name][1], exact)
            for name, (_, exact) in compared.items()
        },
        "change_reason": reason,
        "compared": None if reason else {name: shown for name, (shown, _) in compared.items()},
        "compared_from": _text(begin),
        "compared_to": _text(cut),
        "previous_from": _text(previous_begin),
        "previous_to": _text(previous_cut),
    }


def _earlier(day: date, compare: str, days: int) -> date:
    """The date that `day` of a period of so many dates is compared with."""
    if compare != "month":
        return day - timedelta(days={"previous": days, "week": 7}[compare])
    earlier = day
    while (earlier.year, earlier.month) == (day.year, day.month) or earlier.day > day.day:
        earlier -= timedelta(days=1)
    return earlier


def _quarter_hours(begin: datetime, last: datetime) -> Iterator[datetime]:
    moment = begin
    while moment <= last:
        yield moment
        moment += QUARTER


def _wall(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None)


def _same_time_of_day(
    cut: datetime, target: datetime, zone: ZoneInfo, begin: datetime, last: datetime
) -> datetime:
    """The quarter hour from `begin` on whose clocks show `target`, as those of `cut` did later.

    If none does, the first that shows a later time; of two, the first, unless `cut` is itself the
    second of two.
    """
    is_second = any(_wall(cut - step * QUARTER, zone) == _wall(cut, zone) for step in range(1, 13))
    showing = [m for m in _quarter_hours(begin, last) if _wall(m, zone) == target]
    if showing:
        return showing[-1] if is_second else showing[0]
    return next(m for m in _quarter_hours(begin, last) if _wall(m, zone) > target)


def _reason(
    truth: Truth,
    customer_id: int,
    zone: ZoneInfo,
    now: datetime,
    previous_begin: datetime,
    *,
    is_empty: bool,
) -> str | None:
    rows: list[UsageEvent | Scan | Rating] = [*truth.events, *truth.scans, *truth.ratings]
    times = [row.occurred_at for row in rows if row.customer_id == customer_id]
    if not times:
        return "there was never any data"
    if is_empty:
        return "no quarter hour of this period is loaded yet"
    first = min(times)
    data_from = first_instant(first.date() + timedelta(days=1), ZoneInfo("UTC"))
    retention = truth.retention_days(customer_id)
    kept = None if retention is None else kept_from(now, retention)
    if previous_begin >= max(data_from, kept or data_from):
        return None
    if kept is not None and kept > data_from:
        return f"data is kept from {_date(kept)} on"
    return f"data begins {first.astimezone(zone).date()}"


def _date(moment: datetime) -> date:
    return moment.date()


def _percent(before: Fraction | None, now: Fraction | None) -> int | float | None:
    if not before or now is None:
        return None
    change = 100 * (now - before) / before
    return rounded(change.numerator, change.denominator, 2)


def _figures(period: Period, body: Any) -> dict[str, tuple[Any, Fraction | None]]:
    """Each figure as its body shows it, and before it is rounded."""
    messages = len(period.events)
    found = {}
    for name, shown in body.items():
        if name in ("period_days", "rating_distribution"):
            continue
        if name == "pii_redactions":
            shown = shown["total"]
        found[name] = (shown, None if shown is None else Fraction(shown))
    times = [e.response_time_ms for e in period.events if e.response_time_ms is not None]
    ratios = {
        "avg_response_time_ms": (sum(times), len(times)),
        "toxic_rate_percent": (body.get("toxic_messages"), messages),
        "pii_rate_percent": (body.get("messages_with_pii"), messages),
        "average_rating": (sum(r.rating for r in period.ratings), len(period.ratings)),
    }
    if found.get("cost_usd", (None,))[0] is not None:
        usd = sum((cost(event).usd for event in period.events), Fraction(0))
        found["cost_usd"] = (found["cost_usd"][0], usd)
    for name, (numerator, denominator) in ratios.items():
        if name in found:
            exact = Fraction(numerator, denominator) if denominator else None
            found[name] = (found[name][0], exact)
    return found


def _text(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
