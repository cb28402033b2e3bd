"""What each benchmark makes of the costs that it measured, with costs that are made up."""

import json
from collections import Counter
from datetime import date
from itertools import pairwise
from math import ceil
from pathlib import Path
from typing import Any

import duckdb
import pytest

from benchmarks import (
    generated,
    growth,
    history,
    hourly_peers,
    machine,
    publishing,
    rebuild,
    storage,
)
from benchmarks.generated import BUSY_DAY, Traffic, write_events, write_history, write_new_hour
from benchmarks.measuring import Cost
from benchmarks.peers.usage import LONGEST_MS, stretches
from benchmarks.product import Product
from benchmarks.report import Curve, Figure, Report, table


@pytest.fixture(autouse=True)
def _without_their_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    """A report names the versions of packages that are not installed beside the product."""
    monkeypatch.setattr(machine, "PACKAGES", ("duckdb",))


def figure(report: Report, what: str, against: str) -> Figure:
    """The one figure of that name."""
    [found] = [each for each in report.figures if (each.what, each.against) == (what, against)]
    return found


def rows_of(query: str) -> list[tuple[Any, ...]]:
    """All rows of a query over files."""
    with duckdb.connect() as connection:
        return connection.execute(query).fetchall()


def no_events(path: Path, *_arguments: object, **_options: object) -> None:
    """Stands for a file of events whose content is not read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")


def test_files_of_two_seeds_have_no_event_in_common(tmp_path: Path) -> None:
    """And each file has as many rows as it should, with those that come twice."""
    for seed in (1, 2):
        write_events(tmp_path / f"{seed}.parquet", Traffic(1000, duplicates=0.05, seed=seed))
    rows, ids, changed = rows_of(
        f"select sum(rows), count(*), count(*) filter (versions > 1) from ("
        f" select count(*) as rows, count(distinct output_tokens) as versions"
        f" from '{tmp_path}/*.parquet' group by customer_id, event_id)"
    )[0]
    assert (rows, ids) == (2100, 2000)
    assert 0 < changed < 100, "some that come twice are changed, most are not"


def test_a_history_has_as_many_events_on_each_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever number of files it takes; none is later than the busy day."""
    monkeypatch.setattr(generated, "ROWS_A_FILE", 3000)
    write_history(tmp_path, days=5, events_a_day=1000, customers=10)
    assert len(list(tmp_path.rglob("*.parquet"))) == 2
    days: list[tuple[date, int]] = rows_of(
        f"select occurred_at::date as day, count(distinct event_id)"
        f" from '{tmp_path}/*/*.parquet' group by day order by day"
    )
    assert [day for day, _ in days] == [date(2026, 3, 5 + number) for number in range(5)]
    assert days[-1][0] == BUSY_DAY
    assert all(900 < events < 1100 for _, events in days)


def test_one_new_event_in_two_hundred_is_late(tmp_path: Path) -> None:
    """By three days at most, and so on four dates at most."""
    write_new_hour(tmp_path / "hour.parquet", 20_000, seed=1)
    late, oldest = rows_of(
        "select count(*) filter (occurred_at < '2026-03-10'), min(occurred_at)"
        f" from '{tmp_path}/hour.parquet'"
    )[0]
    assert 60 < late < 140
    assert oldest.date() >= date(2026, 3, 7)


def test_buckets_of_response_times_follow_each_other() -> None:
    """Every millisecond of a day is in one, and the last has the number that the marts give it."""
    table_of_stretches = list(stretches())
    assert table_of_stretches[0].from_ms == 0
    for one, next_one in pairwise(table_of_stretches):
        assert one.to_ms == next_one.from_ms
        assert one.bucket + ceil((one.to_ms - one.from_ms) / one.width) == next_one.bucket
    assert table_of_stretches[-1].to_ms == LONGEST_MS + 1


def test_the_hourly_run_is_compared_with_each_peer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its parts add up to the whole, and few events are compared with the fastest alone."""
    monkeypatch.setattr(hourly_peers, "write_events", no_events)
    monkeypatch.setattr(hourly_peers, "verify", lambda *_: None)
    monkeypatch.setattr(hourly_peers, "ours", lambda *_: Cost(10, 12, 1))

    def steps(folder: Path, *_: object) -> Cost:
        parts = {"land": [1, 2], "roll up": [4, 5], "publish": [2, 1]}
        (folder / "steps.json").write_text(json.dumps(parts))
        return Cost(8, 9, 1)

    monkeypatch.setattr(hourly_peers, "our_steps", steps)
    theirs = {"clickhouse": 6.0, "polars": 4.0, "postgresql": 24.0, "pandas": 48.0}
    monkeypatch.setattr(hourly_peers, "theirs", lambda peer, *_: Cost(20, theirs[peer], 1))
    report = Report("hourly-peers", "")
    for events in (1_000_000, 100_000):
        (tmp_path / str(events)).mkdir()
        # No server gets a request: what would send it is replaced above.
        no_server: Any = None
        hourly_peers._compare(report, tmp_path / str(events), no_server, events)
    assert figure(report, "1,000,000 events, CPU", "polars") == Figure(
        "1,000,000 events, CPU", "polars", 3, 1
    )
    assert figure(report, "1,000,000 events, CPU", "pandas").ratio == 0.25
    assert figure(report, "1,000,000 events, wall", "pandas").holds is True
    fastest = "fastest peer (polars)"
    assert figure(report, "100,000 events, CPU", fastest) == Figure(
        "100,000 events, CPU", fastest, 3, 3
    )
    parts = [
        each.ratio for each in report.figures if each.what.startswith("1,000,000 events, CPU of:")
    ]
    assert parts == [0.5, 1.25, 0.25, 1]


def test_history_is_compared_with_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Round by round; the first run after the build counts nowhere."""
    runs: Counter[str] = Counter()

    def run(product: Product, *_: str) -> Cost:
        days = product.home.name
        runs[days] += 1
        if runs[days] == 1:
            return Cost(99, 99, 99)
        return Cost(1, 1, 1) if days == "7" else Cost(5, 1.1, 1.3)

    monkeypatch.setattr(history, "write_new_hour", no_events)
    monkeypatch.setattr(history, "filled", lambda home, *_: Product(home))
    monkeypatch.setattr(Product, "run", run)
    report = history.run(tmp_path, 0.001)
    assert runs == {"7": 4, "365": 4}
    cpu, memory, wall = report.figures
    assert (cpu.ratio, cpu.holds) == (1.1, True)
    assert (memory.ratio, memory.holds) == (1.3, False)
    assert (wall.ratio, wall.holds) == (5, None)


def test_publishing_is_compared_with_itself_and_a_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of as many rows as were asked for, each time with another file that touches one day."""
    programs: list[str] = []

    def program(product: Product, source: str, *arguments: object) -> Cost:
        programs.append(source)
        if source == publishing.PUBLISH:
            times = int(product.home.name) / publishing.FEW_ROWS
            published = {"wall": 2 * times, "CPU": times, "rows": 1, "bytes": 9, "path": "snapshot"}
            product.home.mkdir(exist_ok=True)
            Path(str(arguments[0])).write_text(json.dumps(published))
        return Cost(1, 1, 1)

    monkeypatch.setattr(publishing, "write_events", no_events)
    monkeypatch.setattr(Product, "program", program)
    monkeypatch.setattr(publishing, "of_command", lambda *_, **__: Cost(4, 0.5, 1))
    report = publishing.run(tmp_path, 1)
    assert programs.count(publishing.REPEAT) == 2
    assert programs.count(publishing.PUBLISH) == 2 + 2 * publishing.ROUNDS
    many = "publish 50 M rows"
    assert figure(report, f"{many}, wall", "10 M rows") == Figure(
        f"{many}, wall", "10 M rows", 5, 3
    )
    assert figure(report, f"{many}, wall", "cp with fsync").ratio == 2.5
    assert figure(report, f"{many}, CPU", "cp with fsync") == Figure(
        f"{many}, CPU", "cp with fsync", 10
    )


@pytest.mark.parametrize("ends", [True, False])
def test_a_rebuild_starts_without_a_warehouse(
    ends: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its usual memory and with little; one that does not end is a goal missed."""
    limits: list[object] = []

    def run(product: Product, *_: str, **settings: object) -> Cost:
        warehouse = product.home / "warehouse.duckdb"
        assert not warehouse.exists()
        warehouse.parent.mkdir(exist_ok=True)
        warehouse.write_bytes(b"")
        limits.append(settings.get("memory_limit"))
        if settings and not ends:
            raise RuntimeError("no room")
        return Cost(10, 20, 3 * 1024) if settings else Cost(5, 10, 9 * 1024)

    monkeypatch.setattr(rebuild, "write_history", no_events_below)
    monkeypatch.setattr(Product, "program", lambda *_: Cost(1, 1, 1))
    monkeypatch.setattr(Product, "run", run)
    report = rebuild.run(tmp_path, 0.001)
    assert limits == [None, "2GiB"]
    assert [each.ratio for each in report.figures] == ([1.5, 1, 0.5, 2] if ends else [1.5, 0])
    assert report.figures[0].holds is False
    assert report.figures[1].holds is ends


def no_events_below(landing: Path, **_: object) -> None:
    """Stands for files of events that are not read."""


def test_room_is_that_of_all_files_of_the_lake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before and after the nightly run, against what was landed."""
    raw: list[int] = []

    def run(product: Product, _run: str, job: str) -> Cost:
        raw[:] = [path.stat().st_size for path in product.landing.rglob("*.gz")]
        folder = product.home / "lake" / "agent_usage_events" / "occurred_date=2026-03-09"
        folder.mkdir(parents=True, exist_ok=True)
        size = sum(raw) // (2 if job == "nightly" else 1)
        (folder / "a.parquet").write_bytes(bytes(size))
        snapshots = product.home / "snapshots"
        snapshots.mkdir(exist_ok=True)
        for path in (snapshots / "agentstats.duckdb", product.home / "warehouse.duckdb"):
            path.write_bytes(bytes(sum(raw) // 4))
        return Cost(1, 1, 1)

    monkeypatch.setattr(storage, "DELIVERIES", 2)
    monkeypatch.setattr(Product, "run", run)
    report = storage.run(tmp_path, 0)
    assert len(raw) == 2
    assert [round(each.ratio, 2) for each in report.figures] == [1, 0.5, 0.25]
    assert [each.holds for each in report.figures] == [None, True, None]


def test_a_slope_is_the_power_that_a_cost_grows_with() -> None:
    """A constant part makes it less, and the last two points show less of that."""
    sizes = (10, 100, 1000)
    square = Curve("a", "things", [(size, size**2, 7, 5 + size) for size in sizes])
    assert square.slope(1) == pytest.approx(2)
    assert square.slope(2) == pytest.approx(0)
    assert square.slope(3, last=2) > square.slope(3)
    text = table([Report("growth", "Growth", curves=[square])])
    assert "| things, 10 to 1,000 | 2.00 | 0.00 |" in text


def test_a_curve_has_three_points_at_least(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However small the share; the full one ends at the most events."""
    assert growth.sizes_up_to(0) == [100_000, 316_228, 1_000_000]
    assert growth.sizes_up_to(growth.MOST_EVENTS)[-1] == growth.MOST_EVENTS
    monkeypatch.setattr(growth, "write_history", no_events_below)
    monkeypatch.setattr(growth, "write_new_hour", no_events)
    monkeypatch.setattr(growth, "filled", lambda home, *_: Product(home))
    monkeypatch.setattr(Product, "run", lambda *_: Cost(2, 1, 3))
    report = growth.run(tmp_path, 0.001)
    assert [len(curve.points) for curve in report.curves] == [3, 4, 5]
    assert all(point[1:] == (1, 2, 3) for curve in report.curves for point in curve.points)
