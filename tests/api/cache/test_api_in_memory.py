"""Answers from rows in memory are those of the queries, and memory is bounded."""

import gc
import random
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.cache.customer_rows import CustomerRows, NotCached, NotCachedYet, RowCache
from api.cache.series import Series
from api.queries.engine import Queries
from api.queries.formulas import metric, metrics
from api.queries.series import SERIES
from api.settings import ServingSettings
from api.snapshots import Lease, Snapshots
from api.stats.in_memory import ANSWERS, Ratings, Scans, Usage
from api.windows import window
from service_fixture import Service, StartService
from snapshot_fixture import DAILY, QUARTER_HOURLY, Marts, delivery, publish, sample

LAST = date(2026, 3, 12)
ZONES = ["UTC", "Asia/Kathmandu", "America/New_York", "Pacific/Kiritimati", "Australia/Lord_Howe"]


def busy_marts(home: Path) -> None:
    """Random rows of three customers over 130 days around a change of the clocks."""
    marts = Marts(
        customers=[(1, "A", "pro", 90), (2, "B", "enterprise", None)],
        deliveries=[
            delivery("audit_events", 3, "2026-03-01 00:15", accepted=1, newest="2026-03-02")
        ],
    )
    path = publish(home, marts, snapshot_id="busy")
    draw = random.Random(17)
    with duckdb.connect(str(path)) as connection:
        for mart, (dimensions, measures) in QUARTER_HOURLY.items():
            for _ in range(600):
                day = datetime(2026, 3, 13) - timedelta(days=draw.randint(1, 130))
                bucket = day + timedelta(minutes=15 * draw.choice([0, 1, 20, 47, 70, 73, 94, 95]))
                values: list[object] = []
                for column in dimensions.split(", "):
                    name, kind = column.strip().split(" ", 1)
                    if name == "customer_id":
                        values.append(draw.randint(1, 3))
                    elif kind == "bigint":
                        values.append(draw.randint(1, 4))
                    elif name == "load_bucket":
                        values.append(draw.choice(["low", "medium", "high", "unknown"]))
                    elif kind == "varchar":
                        values.append(draw.choice(["B", "a", "Ünïcode", "unknown"]))
                    else:
                        values.append([])
                values += [draw.choice([0, 1, 3, 10**12]) for _ in measures]
                places = ", ".join("?" for _ in [*values, bucket, day])
                connection.execute(
                    f"insert into marts.{mart} values ({places})", [*values, bucket, day]
                )
        for name, (source, keys, measures) in DAILY.items():
            sums = ", ".join(f"cast(sum({measure}) as bigint) as {measure}" for measure in measures)
            connection.execute(
                f"create or replace table marts.{name} as select {keys}, {sums}, occurred_date"
                f" from marts.{source} group by {keys}, occurred_date"
            )


@pytest.fixture(scope="module")
def lease(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lease]:
    """A hold on the busy snapshot."""
    home = tmp_path_factory.mktemp("busy")
    busy_marts(home)
    snapshots = Snapshots(ServingSettings(_env_file=None, home=home))
    with snapshots.lease() as leased:
        yield leased
    snapshots.close()


@pytest.mark.parametrize("query", ANSWERS)
def test_every_answer_is_the_querys(lease: Lease, query: str) -> None:
    """In random windows of five zones, cut at retention or not: all columns, in order."""
    queries, row_cache = Queries(), RowCache(10_000_000)
    row_cache.turn_to(lease.snapshot.snapshot_id)
    draw = random.Random(query)
    compared = 0
    for _ in range(150):
        kept_from = draw.choice([None, LAST - timedelta(days=draw.randint(0, 60))])
        asked = window(
            days=draw.choice([1, 2, 3, 7, 30, 90, 140]),
            tz="UTC" if query.endswith("of_utc_days") else draw.choice(ZONES),
            end=LAST - timedelta(days=draw.choice([0, 0, 1, 4, 5, 40])),
            kept_from=kept_from,
        )
        customer = draw.randint(1, 4)  # the fourth has no rows
        rows = CustomerRows(row_cache, queries, lease, customer, may_wait=True)
        from_memory = ANSWERS[query](rows, asked)
        queried = queries.run(lease, query, customer_id=customer, window=asked)
        assert from_memory == queried, (asked, customer)
        assert [[type(row[name]) for name in sorted(row)] for row in from_memory] == [
            [type(row[name]) for name in sorted(row)] for row in queried
        ]
        compared += sum(map(len, queried))
    assert compared > 150


@given(
    rows=st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 30), st.integers(0, 10**15)), max_size=40
    ),
    start=st.integers(-5, 35),
    length=st.integers(0, 40),
)
def test_a_series_sums_any_range(rows: list[tuple[int, int, int]], start: int, length: int) -> None:
    """As adding up the rows in it does."""
    expected: dict[tuple[int], tuple[int]] = {}
    for group, position, measure in rows:
        if start <= position < start + length:
            expected[group,] = (expected.get((group,), (0,))[0] + measure,)
    series = Series(sorted(rows), measures=1, max_bytes=1_000_000)
    assert series.sums(start, start + length) == expected


def of_days(days: int) -> Callable[[int], Series]:
    """Reads a series of so many dates."""
    return lambda room: Series([(day, 1) for day in range(days)], measures=1, max_bytes=room)


def test_memory_is_bounded_and_what_was_used_last_stays() -> None:
    """A series of 100 dates takes about three kilobytes; there is room for about eight."""
    row_cache = RowCache(25_000)
    row_cache.turn_to("s")
    read: list[int] = []

    def get(snapshot_id: str, number: int) -> None:
        def reading(room: int) -> Series:
            read.append(number)
            return of_days(100)(room)

        row_cache.get(snapshot_id, (number,), reading, may_wait=True)

    for number in range(50):
        get("s", number)
        get("s", 0)
        assert row_cache.size <= 25_000
    assert read == list(range(50))
    get("s", 1)
    assert read[-1] == 1
    row_cache.turn_to("later")
    assert row_cache.size == 0
    get("s", 0)  # by one who asked before
    assert (read[-1], row_cache.size) == (0, 0)
    get("later", 0)
    assert 0 < row_cache.size < 5_000


def test_what_a_series_takes_is_what_it_says() -> None:
    """Within a third, so that the bound is one of memory and not of a guess."""
    rows = [(agent, day, day, day) for agent in range(500) for day in range(90)]
    gc.collect()
    tracemalloc.start()
    series = Series(rows, measures=2, max_bytes=10_000_000)
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 0.75 < series.size / taken < 1.33


def test_what_does_not_fit_is_queried_and_read_but_once() -> None:
    """Neither a giant nor sums beyond 64 bits are cached; who may not wait gets an error."""
    row_cache = RowCache(25_000)
    row_cache.turn_to("s")
    for place, too_large in enumerate(
        (of_days(2000), lambda room: Series([(1, 2**63)], measures=1, max_bytes=room))
    ):
        with pytest.raises(NotCachedYet):
            row_cache.get("s", (place,), too_large, may_wait=False)
        with pytest.raises(NotCached):
            row_cache.get("s", (place,), too_large, may_wait=True)
        with pytest.raises(NotCached):
            row_cache.get("s", (place,), of_days(1), may_wait=False)
    with pytest.raises(NotCached):
        RowCache(0).get("s", (1,), of_days(1), may_wait=True)


def test_the_second_question_about_a_customer_reads_nothing(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another window is another question, which the same rows answer."""
    service.get("/api/stats/usage/by-agent?days=7")
    asked: list[str] = []
    monkeypatch.setattr(Lease, "tuples", lambda _lease, sql, _parameters: asked.append(sql))
    assert service.get("/api/stats/usage/by-agent?days=8").status_code == 200
    assert asked == []


def test_a_server_without_room_answers_the_same(
    start: StartService, service: Service, tmp_path: Path
) -> None:
    """Every question is a query then."""
    other = tmp_path / "other"
    publish(other, sample())
    without = start(home=other, rows_cache_mb=0)
    for path in ("usage/summary", "usage/timeline?tz=Asia/Kathmandu", "agent-types/comparison"):
        path = f"/api/stats/{path}"
        assert without.get(path).content == service.get(path).content
    assert without.app.state.services.row_cache.size == 0
    assert service.app.state.services.row_cache.size > 0


def test_metrics_are_those_of_the_warehouse() -> None:
    """Each macro became a function; what they compute is compared with the SQL of the answers."""
    assert set(metrics()) >= {"avg_response_time_ms", "toxic_rate_percent", "average_rating"}
    assert metric("average_rating", 1, 8) == 0.13
    assert metric("average_rating", 0, 0) is None
    assert metric("tokens_per_second", 9 * 10**18, 10**18) == 9000.0


def test_measures_are_named_alike() -> None:
    """The tuples that answers are made from have the columns that a series reads, in order."""
    assert SERIES["usage"].measures == Usage._fields
    assert SERIES["compliance"].measures == Scans._fields
    assert SERIES["ratings"].measures == Ratings._fields
