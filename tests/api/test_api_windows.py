"""Dates to instants, against a search through every quarter hour; and windows cut in parts."""

import random
import zoneinfo
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.cache.customer_rows import CustomerRows, RowCache
from api.metrics.declared import declared
from api.queries.engine import SQL_FOLDER, Queries
from api.questions.engine import Engine
from api.settings import ServingSettings
from api.snapshots import Lease, Snapshots
from api.stats.shapes import FIRST_PAGE, SHAPES
from api.windows import Span, Window, covered_from, first_instant, today, window, zone, zone_names
from snapshot_fixture import Marts, publish, usage

QUARTER_HOUR = timedelta(minutes=15)
ODD_ZONES = [
    "UTC",
    "Asia/Kathmandu",
    "Pacific/Chatham",
    "Australia/Lord_Howe",
    "America/Havana",
    "America/Santiago",
    "America/Nuuk",
    "America/Scoresbysund",
    "Africa/Cairo",
    "Africa/Casablanca",
    "Asia/Beirut",
    "Asia/Gaza",
    "Asia/Tehran",
    "America/Asuncion",
    "Atlantic/Azores",
    "Pacific/Kiritimati",
    "Pacific/Apia",
    "Europe/London",
    "America/New_York",
    "Antarctica/Troll",
]


def found_by_search(day: date, tz: zoneinfo.ZoneInfo) -> datetime:
    """The first quarter hour of UTC whose date in `tz` is `day` or later."""
    instant = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=16)
    while instant.astimezone(tz).date() < day:
        instant += QUARTER_HOUR
    return instant


def test_first_instants_agree_with_a_search_in_every_zone() -> None:
    """All zones of the package, on dates spread over 2019 to 2027 and around odd jumps."""
    spread = [date(2019, 1, 1) + timedelta(days=331 * step) for step in range(9)]
    jumps = [date(2024, 3, 31), date(2023, 3, 26), date(2024, 4, 26), date(2022, 9, 11)]
    for name in sorted(zone_names()):
        rules = zone(name)
        for day in spread + jumps:
            assert first_instant(day, rules) == found_by_search(day, rules), (name, day)


@pytest.mark.parametrize("name", ODD_ZONES)
def test_first_instants_of_odd_zones_are_whole_quarter_hours_every_day(name: str) -> None:
    """Each date since 2019 begins at a quarter hour of UTC, later than the date before."""
    rules = zone(name)
    previous = first_instant(date(2018, 12, 31), rules)
    for step in range(9 * 365):
        day = date(2019, 1, 1) + timedelta(days=step)
        instant = first_instant(day, rules)
        assert (instant - datetime(2019, 1, 1, tzinfo=UTC)) % QUARTER_HOUR == timedelta(0)
        assert instant > previous
        assert instant.astimezone(rules).date() == day
        assert (instant - timedelta(seconds=1)).astimezone(rules).date() < day
        previous = instant


@pytest.mark.parametrize(
    ("name", "day", "expected"),
    [
        # Midnight does not exist: the clock goes from 00:00 to 01:00.
        ("America/Havana", date(2024, 3, 10), datetime(2024, 3, 10, 5, 0)),
        ("Africa/Cairo", date(2024, 4, 26), datetime(2024, 4, 25, 22, 0)),
        # Midnight happens twice: the first counts.
        ("America/Havana", date(2024, 11, 3), datetime(2024, 11, 3, 4, 0)),
        # The clock goes back from 24:00 to 23:00, so the new date begins an hour later.
        ("Asia/Beirut", date(2024, 10, 27), datetime(2024, 10, 26, 22, 0)),
        # A jump over midnight, from 23:30 to 00:30: the instant of the jump.
        ("America/Toronto", date(1919, 3, 31), datetime(1919, 3, 31, 4, 30)),
        # A date that was skipped whole begins where the next begins.
        ("Pacific/Apia", date(2011, 12, 30), datetime(2011, 12, 30, 10, 0)),
        ("Pacific/Apia", date(2011, 12, 31), datetime(2011, 12, 30, 10, 0)),
    ],
)
def test_jumps_at_midnight(name: str, day: date, expected: datetime) -> None:
    """Known jumps, written down by hand."""
    assert first_instant(day, zone(name)) == expected.replace(tzinfo=UTC)


def test_zone_rules_never_come_from_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    """With no system zones at all every name of the package still loads."""
    before = zoneinfo.TZPATH
    zone.cache_clear()
    zoneinfo.reset_tzpath([])
    try:
        for name in zone_names():
            assert zone(name).key == name
    finally:
        zoneinfo.reset_tzpath(before)


@pytest.mark.parametrize("name", ["", "utc", "Europe", "europe/paris", "posixrules", "../zones"])
def test_unknown_zones_are_refused(name: str) -> None:
    """Only exact names of the list are zones."""
    with pytest.raises(ValueError, match="IANA"):
        zone(name)


def test_retention_keeps_whole_utc_dates() -> None:
    """Seven days before 2026-03-10 12:00 is 2026-03-03, from midnight."""
    now = datetime(2026, 3, 10, 12, tzinfo=UTC)
    assert covered_from(now, 7) == date(2026, 3, 3)
    assert covered_from(now, None) is None
    assert today(now, "Pacific/Kiritimati") == date(2026, 3, 11)


windows = st.builds(
    window,
    days=st.integers(1, 40),
    tz=st.sampled_from(ODD_ZONES),
    end=st.dates(date(2024, 2, 1), date(2024, 12, 1)),
    kept_from=st.none() | st.dates(date(2024, 1, 1), date(2024, 12, 1)),
)


@settings(max_examples=200, deadline=None)
@given(windows)
def test_the_parts_of_a_window_are_the_window(asked: Window) -> None:
    """Head, whole days and tail follow each other without gap or overlap."""
    assert asked.from_instant == asked.head.start <= asked.head.end
    assert asked.tail.start <= asked.tail.end == asked.to_instant
    if asked.whole_days.start < asked.whole_days.end:
        assert asked.head.end == asked.whole_days.start
        assert asked.whole_days.end == asked.tail.start
    else:
        assert asked.head.end == asked.tail.start
    assert asked.head.end - asked.head.start < timedelta(days=2)
    assert asked.tail.end - asked.tail.start < timedelta(days=1)
    assert len(asked.labels) == len(asked.spans) == asked.days


EVENTS: list[tuple[datetime, int]] = []


@pytest.fixture(scope="module")
def lease(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lease]:
    """A snapshot of 1500 random quarter hours of 2024, which EVENTS holds too."""
    chance = random.Random(4)
    start = datetime(2023, 12, 1)
    slots = sorted(chance.sample(range(366 * 96), 1500))
    EVENTS[:] = [(start + QUARTER_HOUR * slot, chance.randint(1, 9)) for slot in slots]
    home = tmp_path_factory.mktemp("home")
    rows = [
        usage(1, 1, 1, "m", f"{at:%Y-%m-%d %H:%M}", message_count=count, input_tokens=count)
        for at, count in EVENTS
    ]
    publish(home, Marts(usage=rows, customers=[(1, "One", "enterprise", 2557)]))
    snapshots = Snapshots(ServingSettings(_env_file=None, home=home))
    with snapshots.lease() as lease:
        yield lease
    snapshots.close()


QUERIES = Queries()
NO_CACHE = RowCache(0)


def engine_of(lease: Lease) -> Engine:
    """The engine for customer 1, without anything in memory: every figure is queried."""
    rows = CustomerRows(NO_CACHE, QUERIES, lease, 1, may_wait=True)
    return Engine(declared(), QUERIES, lease, 1, rows, may_wait=True)


@settings(max_examples=150, deadline=None)
@given(asked=windows)
def test_daily_rows_and_edges_equal_a_plain_sum(lease: Lease, asked: Window) -> None:
    """Any window, through the real SQL, equals Python's sum over the quarter hours in it."""
    (row,) = SHAPES["usage_summary"](engine_of(lease), asked, FIRST_PAGE).rows
    assert row["total_messages"] == sum(
        count
        for at, count in EVENTS
        if asked.from_instant <= at.replace(tzinfo=UTC) < asked.to_instant
    )


@settings(max_examples=60, deadline=None)
@given(asked=windows)
def test_each_day_of_a_timeline_equals_a_plain_sum(lease: Lease, asked: Window) -> None:
    """Each label, too, from quarter hours or from daily rows."""
    expected = [
        sum(c for at, c in EVENTS if span.start <= at.replace(tzinfo=UTC) < span.end)
        for span in asked.spans
    ]
    rows = SHAPES["usage_timeline"](engine_of(lease), asked, FIRST_PAGE).rows
    assert [row["label"] for row in rows] == asked.labels
    assert [row["messages"] for row in rows] == expected


EVERYBODYS = {"forecast_backtest", "load_buckets", "names_of_attributes", "snapshot"}
"""Queries that give every customer the same."""


def test_queries_are_rendered_from_this_checkout() -> None:
    """Every other query is about one customer, and none has Jinja left in it."""
    assert set(QUERIES.names) == {path.stem for path in SQL_FOLDER.glob("*.sql")}
    for name in QUERIES.names:
        sql = QUERIES.sql(name)
        assert "{{" not in sql and "{%" not in sql and "{#" not in sql
        is_everybodys = name in EVERYBODYS
        assert is_everybodys or "customer_id = $customer_id" in sql
        assert Path(name).name == name


@pytest.mark.parametrize(
    ("tz", "first", "days"),
    [
        ("UTC", date(2026, 3, 1), 3),
        ("Asia/Kathmandu", date(2026, 3, 1), 2557),
        ("America/New_York", date(2026, 3, 7), 3),
        # Clocks went back from midnight to 23:00: the last hour of the date before came twice.
        ("America/Asuncion", date(2024, 3, 23), 2),
        ("America/Havana", date(2024, 11, 2), 3),
    ],
)
def test_the_dates_of_a_span_are_those_of_its_window(tz: str, first: date, days: int) -> None:
    """Cut at any quarter hour: the whole dates before the cut, and the part of the last."""
    whole = window(days=days, tz=tz, end=first + timedelta(days=days - 1), kept_from=None)
    for quarter_hours in (1, 4, 5, 95, 96, 97, 99, 100, 101):
        cut = whole.to_instant - QUARTER_HOUR * quarter_hours
        spanned = whole.of_dates(Span(whole.from_instant, cut))
        assert (spanned.from_instant, spanned.to_instant) == (whole.from_instant, cut)
        kept = [each for each in whole.boundaries if each < cut]
        assert list(spanned.boundaries) == [*kept, cut]
        assert spanned.labels == whole.labels[: len(kept)]
    assert whole.of_dates(Span(whole.from_instant, whole.to_instant)) == whole
