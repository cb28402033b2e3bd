"""Answers from rows in memory are those of the queries, and memory is bounded."""

import gc
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.cache.customer_rows import NotCached, NotCachedYet, RowCache
from api.cache.series import Series
from api.snapshots import Lease
from service_fixture import Service, StartService
from snapshot_fixture import publish, sample


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
