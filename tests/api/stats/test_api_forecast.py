"""`/api/stats/forecast`: what a day, week or month will come to."""

import random
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from statistics import fmean
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from service_fixture import Service, StartService
from snapshot_fixture import ACME, BOREAL, NOW, Marts, publish, sample, usage

PATH = "/api/stats/forecast"
TODAY = date(2026, 3, 10)  # a Tuesday, and 12:00 of it by the clock of the service
LOADED_AT = datetime(2026, 3, 10, 11, tzinfo=UTC)
ONE_DAY = timedelta(days=1)


def of_days(amounts: Mapping[date, tuple[int, int]], model: str = "gpt-4o") -> Marts:
    """A customer who used so many tokens at 06:00 and 18:00 of each date; of one before, one."""
    at_times = {f"{min(amounts) - ONE_DAY} 12:00": 1}
    for day, (early, late) in amounts.items():
        at_times |= {f"{day} 06:00": early, f"{day} 18:00": late}
    rows = [
        usage(ACME, 42, 5, model, time, message_count=1, input_tokens=amount)
        for time, amount in at_times.items()
        if amount
    ]
    return Marts(customers=[(ACME, "Acme", "pro", 90)], usage=rows)


def every_day(days: int, early: int = 10, late: int = 86) -> dict[date, tuple[int, int]]:
    """The same on so many days before today, and on today until noon."""
    before = {TODAY - ONE_DAY * n: (early, late) for n in range(days, 0, -1)}
    return before | {TODAY: (early, 0)}


def test_the_same_every_day_goes_on(start: StartService, tmp_path: Path) -> None:
    """9 days of March and the morning are 874; an evening and 21 days are to come, surely."""
    publish(tmp_path, of_days(every_day(20)))
    answer = start().get(f"{PATH}?metric=total_tokens&until=month&tz=UTC")
    assert answer.json() == {
        "metric": "total_tokens",
        "until": "month",
        "so_far": 9 * 96 + 10,
        "expected": 31 * 96,
        "low": 31 * 96,
        "high": 31 * 96,
        "interval_percent": 80,
        "measured_coverage_percent": None,
        "method": "weekday_and_hour_profile",
        "reason": "forecasts are compared with what came by the nightly run",
        "complete": None,
    }
    assert answer.headers["X-Period-Start"] == "2026-03-01"


@pytest.mark.parametrize(
    ("until", "so_far", "expected"),
    [("day", 10, 96), ("week", 96 + 10, 7 * 96), ("month", 9 * 96 + 10, 31 * 96)],
)
def test_a_forecast_ends_with_the_day_week_or_month(
    start: StartService, tmp_path: Path, until: str, so_far: int, expected: int
) -> None:
    """Of a Tuesday; messages and money likewise: gpt-4o costs 0.0000025 USD a token here."""
    publish(tmp_path, of_days(every_day(40)))
    service = start()
    body = service.get(f"{PATH}?until={until}").json()
    assert (body["so_far"], body["expected"]) == (so_far, expected)
    per_token = float(service.get("/api/stats/cost/summary?days=1").json()["cost_usd"]) / 10
    cost = service.get(f"{PATH}?metric=cost_usd&until={until}").json()
    assert cost["so_far"] == f"{so_far * per_token:.6f}"
    assert cost["expected"] == cost["low"] == cost["high"] == f"{expected * per_token:.6f}"
    assert cost["complete"] is True
    messages = service.get(f"{PATH}?metric=total_messages&until={until}").json()
    days = {"day": 1, "week": 7, "month": 31}[until]
    assert messages["expected"] == 2 * days


def test_the_bounds_and_the_coverage_are_the_measured_ones(
    start: StartService, tmp_path: Path
) -> None:
    """By metric and days ahead: the 10th to the 31st are 22. A spread is worked out here by the
    definition, from days that alternate."""
    amounts = {
        TODAY - ONE_DAY * n: ((20, 80) if n % 2 else (40, 160)) for n in range(40, 0, -1)
    } | {TODAY: (30, 0)}
    marts = of_days(amounts)
    normal = _body(start, tmp_path / "normal", marts)
    marts.backtests = [
        ("total_tokens", 22, 1000, 794, -0.5, 2.0),
        ("total_tokens", 21, 1000, 1, -9.0, 9.0),
        ("cost_usd", 22, 1000, 2, -9.0, 9.0),
    ]
    measured = _body(start, tmp_path / "measured", marts)
    assert measured["measured_coverage_percent"] == 79.4
    assert measured["reason"] is None
    expected, spread = _worked_out(amounts, days=22)
    assert measured["expected"] == round(9 * 100 + 4 * 100 + 30 + expected)
    so_far = measured["so_far"]
    assert measured["low"] == so_far + round(expected - 0.5 * spread)
    assert measured["high"] == so_far + round(expected + 2.0 * spread)
    assert normal["low"] == so_far + round(max(0, expected - 1.2815515655446004 * spread))


def _body(start: StartService, home: Path, marts: Marts) -> dict[str, Any]:
    home.mkdir()
    publish(home, marts)
    answer = start(home=home).get(f"{PATH}?metric=total_tokens&until=month&tz=UTC")
    found: dict[str, Any] = answer.json()
    return found


def _worked_out(
    amounts: Mapping[date, tuple[int, int]], days: int, today: date = TODAY
) -> tuple[float, float]:
    """What the rest of today and the days after it are expected to have, and the spread, by the
    definition in docs/api.md: written for reading, with nothing cached."""
    totals = {day: float(sum(of)) for day, of in amounts.items() if day < today}
    rests = {day: float(of[1]) for day, of in amounts.items() if day < today}

    def before(series: Mapping[date, float], day: date, most: int) -> dict[date, float]:
        return {d: v for d, v in series.items() if day - ONE_DAY * most <= d < day}

    def share(series: Mapping[date, float], day: date, weekday: int) -> float:
        known = before(series, day, 56)
        own = [value for d, value in known.items() if d.weekday() == weekday]
        mean = fmean(known.values())
        return (sum(own) / mean + 1) / (len(own) + 1) if mean else 1.0

    def mean(series: Mapping[date, float], day: date) -> float:
        return fmean(before(series, day, 28).values())

    def expected_of(series: Mapping[date, float], day: date, ahead: date, method: str) -> float:
        known = before(series, day, 28)
        if method == "mean":
            return mean(series, day)
        shares = sum(share(series, day, d.weekday()) for d in known)
        level = sum(known.values()) / shares if shares else 0.0
        growth = 0.0
        if method == "trend" and len(known) == 28:
            later = fmean(before(series, day, 14).values())
            earlier = fmean(before(series, day - ONE_DAY * 14, 14).values())
            growth = (later - earlier) / 28 / mean(series, day)
        days_on = (ahead - day).days + len(known) / 2
        factor = min(max(1 + growth * days_on, 0.3), 3.0)
        return level * share(series, day, ahead.weekday()) * factor

    first = min(totals)

    def missed(day: date, length: int, method: str) -> float:
        span = [day + ONE_DAY * n for n in range(length)]
        guess = sum(expected_of(totals, day, d, method) for d in span)
        return abs(sum(totals[d] for d in span) - guess)

    weeks = [d for d in totals if d >= first + ONE_DAY * 7 and d + ONE_DAY * 7 <= today][-28:]
    errors = {way: sum(missed(d, 7, way) for d in weeks) for way in ("profile", "trend", "mean")}
    least = min(errors.values())
    method = next(way for way in errors if errors[way] <= least * (1 + 1e-9))
    after = [today + ONE_DAY * n for n in range(1, days)]
    expected = expected_of(rests, today, today, method)
    expected += sum(expected_of(totals, today, d, method) for d in after)
    single = [d for d in totals if d >= first + ONE_DAY * 7][-28:]
    own = (3.141592653589793 / 2) ** 0.5 * fmean(missed(d, 1, method) for d in single)
    length = len(after) + mean(rests, today) / mean(totals, today)
    return expected, own * (length + length**2 / 28) ** 0.5


@pytest.mark.parametrize("seed", range(6))
def test_forecasts_are_those_of_the_definition(
    start: StartService, tmp_path: Path, seed: int
) -> None:
    """Of series with and without weekdays, of 14 to 120 days, worked out anew."""
    chosen = random.Random(seed)
    days = chosen.choice([14, 15, 30, 60, 90, 120])
    weekend = chosen.choice([0.1, 1.0, 2.0])
    amounts = {}
    for n in range(days, -1, -1):
        day = TODAY - ONE_DAY * n
        factor = weekend if day.weekday() > 4 else 1.0
        amounts[day] = (
            int(chosen.randrange(50, 150) * factor),
            int(chosen.randrange(200, 900) * factor) if n else 0,
        )
    marts = of_days(amounts)
    marts.customers = [(ACME, "Acme", "enterprise", 400)]
    publish(tmp_path, marts)
    service = start()
    kept = dict(list(amounts.items())[-92:])
    for until, ahead, so_far_from in (("day", 1, TODAY), ("week", 6, date(2026, 3, 9))):
        body = service.get(f"{PATH}?metric=total_tokens&until={until}&tz=UTC").json()
        expected, spread = _worked_out(kept, days=ahead)
        so_far = sum(sum(of) for day, of in amounts.items() if day >= so_far_from)
        assert body["so_far"] == so_far
        assert body["expected"] == so_far + round(expected)
        assert body["high"] == so_far + round(expected + 1.2815515655446004 * spread)


def test_short_series_say_so(start: StartService, tmp_path: Path) -> None:
    """13 whole days are too few, 14 are enough; the day of the first event is none of them."""
    for days in (13, 14):
        home = tmp_path / str(days)
        home.mkdir()
        publish(home, of_days(every_day(days)))
        body = start(home=home).get(f"{PATH}?until=day").json()
        assert body["so_far"] == 10
        if days == 14:
            assert body["expected"] == 96
            continue
        assert body["expected"] is body["low"] is body["high"] is body["method"] is None
        assert body["reason"] == "there are 13 whole days of data, and a forecast takes 14"


def test_a_period_that_is_not_kept_has_no_forecast(service: Service) -> None:
    """Of a week of which two days are kept, and of a customer with 7 days; of one without events,
    and of one whose tokens have no price."""
    month = service.get(f"{PATH}?until=month", customer_id=BOREAL).json()
    assert month["reason"] == "the month began before 2026-03-03, from which on data is kept"
    assert month["so_far"] is month["expected"] is None
    day = service.get(f"{PATH}?until=day", customer_id=BOREAL).json()
    assert "whole days of data" in day["reason"]


def test_what_has_no_price_costs_not_nothing(start: StartService, tmp_path: Path) -> None:
    """Tokens of a model without a price give no forecast of money, and one of tokens."""
    publish(tmp_path, of_days(every_day(20), model="no-such-model"))
    service = start()
    cost = service.get(f"{PATH}?metric=cost_usd").json()
    assert (cost["expected"], cost["reason"]) == (None, "none of the tokens has a price")
    assert service.get(f"{PATH}?metric=total_tokens").json()["expected"] == 31 * 96


@pytest.mark.parametrize("tz", ["Asia/Kathmandu", "America/Los_Angeles", "Pacific/Kiritimati"])
def test_days_are_those_of_the_zone(start: StartService, tmp_path: Path, tz: str) -> None:
    """Where every quarter hour is alike, what is left of the period is known to the quarter."""
    first = datetime(2026, 2, 1, tzinfo=UTC)
    quarters = int((LOADED_AT - first) / timedelta(minutes=15))
    rows = [
        usage(
            ACME, 42, 5, "gpt-4o", f"{first + timedelta(minutes=15) * n:%Y-%m-%d %H:%M}",
            message_count=1, input_tokens=7,
        )
        for n in range(quarters)
    ]  # fmt: skip
    publish(tmp_path, Marts(customers=[(ACME, "Acme", "pro", 90)], usage=rows))
    service = start()
    rules = ZoneInfo(tz)
    today = NOW.astimezone(rules).date()
    for until, begin, end in (
        ("day", today, today + ONE_DAY),
        ("month", today.replace(day=1), date(2026, 4, 1)),
    ):
        start_of, end_of = (
            datetime.combine(day, datetime.min.time(), rules).astimezone(UTC)
            for day in (begin, end)
        )
        body = service.get(f"{PATH}?metric=total_messages&until={until}&tz={tz}").json()
        assert body["so_far"] == (LOADED_AT - start_of) / timedelta(minutes=15)
        whole = (end_of - start_of) / timedelta(minutes=15)
        # A day of 23 hours is taken for one like the others.
        assert body["expected"] == pytest.approx(whole, abs=4.5)


def test_what_may_be_asked(service: Service) -> None:
    """Three metrics and three periods, and the zone; nothing else."""
    for wrong, parameter in (
        ("metric=active_agents", "metric"),
        ("until=year", "until"),
        ("days=3", "days"),
        ("tz=Mars", "tz"),
    ) * 2:
        answer = service.get(f"{PATH}?{wrong}")
        assert answer.status_code == 422
        assert answer.json()["details"]["parameter"] == parameter
    metric = service.get(f"{PATH}?metric=active_agents").json()["details"]
    assert metric["allowed"] == "one of total_messages, total_tokens, cost_usd"


def test_old_data_is_gone_on_from_where_it_ends(start: StartService, tmp_path: Path) -> None:
    """Loaded three days ago: those days are forecast too; a month ago: there is no forecast."""
    amounts = {day: of for day, of in every_day(40).items() if day < date(2026, 3, 7)}
    marts = of_days(amounts)
    publish(tmp_path, marts, data_as_of=datetime(2026, 3, 7))
    service = start()
    body = service.get(f"{PATH}?until=month").json()
    assert (body["so_far"], body["expected"]) == (6 * 96, 31 * 96)
    day = service.get(f"{PATH}?until=day").json()
    assert (day["so_far"], day["expected"]) == (0, 96)
    publish(tmp_path, marts, snapshot_id="later", data_as_of=datetime(2026, 2, 7))
    service.await_snapshot("later")
    assert "reaches 31 days" in service.get(f"{PATH}?until=month").json()["reason"]


def test_the_sample_gives_reasons(start: StartService, tmp_path: Path) -> None:
    """A customer without any event has one too."""
    publish(tmp_path, sample())
    body = start().get(f"{PATH}?until=day", customer_id=3).json()
    assert (body["so_far"], body["expected"]) == (0, None)
    assert body["reason"] == "nothing is loaded yet"
