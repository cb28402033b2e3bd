"""A snapshot that is made from the last one holds what one written from nothing would."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from installation import (
    Installation,
    Row,
    fingerprints_of_snapshot,
    rating,
    rows_of_snapshot,
    scan,
    usage_event,
)
from orchestration.publication.publish import current_snapshot
from orchestration.warehouse import published, rollups

NOW = "2026-03-20T12:00:00Z"
DAYS = range(1, 13)
STREAMS: tuple[tuple[str, Callable[..., Row]], ...] = (
    ("agent_usage_events", usage_event),
    ("audit_events", scan),
    ("feedback_events", rating),
)


@pytest.fixture(scope="module")
def published_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some days of three customers, published."""
    home = tmp_path_factory.mktemp("published") / "home"
    with pytest.MonkeyPatch.context() as environment:
        made = Installation(home, environment, NOW)
        made.drop("customers", "all.ndjson", [_customer(number) for number in (1, 2, 3)])
        for stream, row in STREAMS:
            made.drop(
                stream, "all.ndjson", [event for day in DAYS for event in _day(row, day, day * 100)]
            )
        made.run()
    return home


@pytest.fixture
def installation(
    published_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Installation:
    """A copy of it, in which the bytes that were published are the same."""
    shutil.copytree(published_home, tmp_path / "home", symlinks=True)
    return Installation(tmp_path / "home", monkeypatch, NOW)


def _customer(number: int, **changes: object) -> dict[str, object]:
    return {
        "customer_id": number,
        "customer_name": f"Customer {number}",
        "tier": "pro",
        "retention_days": None,
        "updated_at": "2026-01-01T00:00:00Z",
        **changes,
    }


def _day(row: Callable[..., Row], day: int, first: int, count: int = 9) -> list[Row]:
    at = f"2026-03-{day:02}T08:00:00Z"
    numbers = range(first, first + count)
    return [row(n, customer_id=1 + n % 3, occurred_at=at, received_at=at) for n in numbers]


def _drop_more(installation: Installation, day: int, first: int) -> None:
    """Three more events of each stream on a day of March, numbered from `first` on."""
    for stream, row in STREAMS:
        installation.drop(stream, f"{first}.ndjson", _day(row, day, first, 3))


def _is_sorted(installation: Installation) -> object:
    return installation.last_run()["snapshot_sorted"]


def _assert_equal_to_one_from_nothing(installation: Installation) -> None:
    """The published marts are those of a rebuild of everything, with every comment and macro."""
    path = current_snapshot(installation.settings.snapshots)
    assert path is not None
    found, described = fingerprints_of_snapshot(path), _described(path)
    loads = _loads(path)
    installation.run(full_refresh=True)
    path = current_snapshot(installation.settings.snapshots)
    assert path is not None
    assert _is_sorted(installation) is True
    assert fingerprints_of_snapshot(path) == found
    assert _described(path) == described
    assert _loads(path) == loads


def _described(path: Path) -> list[dict[str, object]]:
    return rows_of_snapshot(
        path,
        "select table_name as name, '' as part, comment from duckdb_tables() union all "
        "select table_name, column_name || ' ' || data_type, comment from duckdb_columns() "
        "where schema_name = 'marts' union all "
        "select function_name, macro_definition, comment from duckdb_functions() "
        "where schema_name = 'marts' order by all",
    )


def _loads(path: Path) -> list[dict[str, object]]:
    return rows_of_snapshot(path, "from marts.load_ledger order by all")


def test_late_and_new_events_are_replaced_date_by_date(installation: Installation) -> None:
    """Hour after hour, of old and new dates, over new names: equal to one from nothing."""
    for hour, day in enumerate((12, 3, 13)):
        _drop_more(installation, day, 5000 + hour * 10)
        installation.drop(
            "customers",
            f"{hour}.ndjson",
            [_customer(1, customer_name=f"Name {hour}", updated_at=f"2026-02-0{1 + hour}")],
        )
        installation.run()
        assert _is_sorted(installation) is False
    _assert_equal_to_one_from_nothing(installation)


def test_a_corrected_event_leaves_its_agent_with_nothing(installation: Installation) -> None:
    """A group that is gone after a rebuild is gone from the copy too."""
    at = "2026-03-05T08:00:00Z"
    one = usage_event(9000, agent_id=77, occurred_at=at, received_at=at)
    installation.drop("agent_usage_events", "wrong.ndjson", [one])
    installation.run()
    assert installation.marts("from marts.agent_daily where agent_id = 77")
    corrected = {**one, "agent_id": 11, "received_at": "2026-03-06T08:00:00Z"}
    installation.drop("agent_usage_events", "right.ndjson", [corrected])
    installation.run()
    assert _is_sorted(installation) is False
    assert not installation.marts("from marts.agent_daily where agent_id = 77")
    _assert_equal_to_one_from_nothing(installation)


def test_a_failed_run_leaves_its_dates_to_the_next(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dates that a run rebuilt and did not publish are in the file of the run after it."""
    _drop_more(installation, 4, 7000)
    with monkeypatch.context() as patched:
        patched.setattr("orchestration.publication.snapshot_file.digest_of", _no_space)
        assert not installation.try_run().succeeded
    _drop_more(installation, 6, 7100)
    installation.run()
    assert _is_sorted(installation) is False
    _assert_equal_to_one_from_nothing(installation)


def _no_space(path: Path) -> str:
    raise OSError(28, "No space left on device", str(path))


def test_what_was_cut_off_before_it_was_recorded_is_not_built_upon(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pointer moved, but the warehouse knows of the file before: all is written anew."""
    _drop_more(installation, 4, 7000)
    with monkeypatch.context() as patched:
        patched.setattr("orchestration.warehouse.published.note", _killed)
        assert not installation.try_run().succeeded
    _drop_more(installation, 6, 7100)
    installation.run()
    assert _is_sorted(installation) is True
    _assert_equal_to_one_from_nothing(installation)


def _killed(*_arguments: object, **_options: object) -> None:
    raise RuntimeError("killed")


def test_a_damaged_last_file_is_not_built_upon(installation: Installation) -> None:
    """One flipped bit, with the file's times as they were: all is written anew."""
    path = current_snapshot(installation.settings.snapshots)
    assert path is not None
    times = path.stat()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    _drop_more(installation, 5, 8000)
    installation.run()
    assert _is_sorted(installation) is True
    _assert_equal_to_one_from_nothing(installation)


def test_a_last_file_that_somebody_wrote_to_is_not_built_upon(installation: Installation) -> None:
    """An analyst's tool that opened it for writing, and changed a number."""
    path = current_snapshot(installation.settings.snapshots)
    assert path is not None
    with duckdb.connect(str(path)) as connection:
        connection.execute("update marts.customer_daily set message_count = 1000000")
    _drop_more(installation, 5, 8000)
    installation.run()
    assert _is_sorted(installation) is True
    _assert_equal_to_one_from_nothing(installation)


def test_after_a_deletion_no_byte_is_taken_over(installation: Installation) -> None:
    """Days that expired are gone from the file, not only from its tables."""
    at = "2026-03-02T08:00:00Z"
    gone = usage_event(1, customer_id=2, model_used="a-model-of-old", occurred_at=at)
    installation.drop("agent_usage_events", "gone.ndjson", [gone])
    shorter = _customer(2, tier="free", updated_at="2026-02-01")
    installation.drop("customers", "shorter.ndjson", [shorter])
    installation.run()
    assert _is_sorted(installation) is False
    installation.run("nightly")
    assert _is_sorted(installation) is True
    path = current_snapshot(installation.settings.snapshots)
    assert path is not None
    assert b"a-model-of-old" not in path.read_bytes()
    _drop_more(installation, 6, 8100)
    installation.run()
    assert _is_sorted(installation) is False
    _assert_equal_to_one_from_nothing(installation)


def test_a_nightly_run_sorts_anew(installation: Installation) -> None:
    """Each customer's rows lie together again, by date."""
    _drop_more(installation, 5, 8000)
    installation.run()
    assert _is_sorted(installation) is False
    installation.run("nightly")
    assert _is_sorted(installation) is True
    rows = installation.marts("select customer_id, bucket_start from marts.usage_quarter_hourly")
    keys = [(row["customer_id"], row["bucket_start"]) for row in rows]
    assert keys == sorted(keys)


def test_a_table_that_lost_a_date_is_not_published_as_a_copy(installation: Installation) -> None:
    """A warehouse that differs on dates that were not noted is noticed by its number of rows."""
    with rollups.open_warehouse(installation.settings) as warehouse:
        warehouse.execute("delete from marts.customer_daily where occurred_date = '2026-03-02'")
    _drop_more(installation, 5, 8000)
    installation.run()
    assert _is_sorted(installation) is True


def test_the_dates_of_many_publications_are_recorded_once(installation: Installation) -> None:
    """What is recorded does not grow with the number of runs."""
    for hour in range(2):
        _drop_more(installation, 5, 8000 + hour)
        installation.run()
    with rollups.open_warehouse(installation.settings) as warehouse:
        last = published.read(warehouse)
        (rows,) = warehouse.execute("select count(*) from raw.rebuilt_dates").fetchone() or (None,)
    assert last is not None
    assert rows == sum(map(len, last.replaced.values()))
    assert not last.rebuilt
