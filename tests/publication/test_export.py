"""`agentstats export`: every mart as Parquet, and a manifest that proves what is in it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

from installation import Installation, usage_event
from orchestration.publication.export import export
from orchestration.publication.reading import ReadingProblem
from orchestration.settings import Settings, read_settings
from published_demo import PublishedDemo, environment

CUSTOMER = 1039


@pytest.fixture(scope="module")
def settings(demo: PublishedDemo) -> Settings:
    """Return the settings of the demo."""
    return read_settings(environment(demo.home))


def _read(folder: Path, table: str, columns: str = "*") -> list[tuple[Any, ...]]:
    with duckdb.connect() as connection:
        path = folder / f"{table}.parquet"
        return connection.execute(f"select {columns} from read_parquet('{path}')").fetchall()


def test_the_manifest_proves_each_file(demo: PublishedDemo, tmp_path: Path) -> None:
    """Rows, SHA-256 and columns of the manifest are those of the files, for every mart."""
    done = demo.agentstats("export", "--to", str(tmp_path / "marts"), "--json")
    assert done.returncode == 0, done.stderr
    manifest = json.loads((tmp_path / "marts" / "manifest.json").read_text())
    assert json.loads(done.stdout) == manifest
    with demo.connect() as connection:
        tables = connection.execute(
            "select table_name from duckdb_tables() where schema_name = 'marts' order by 1"
        ).fetchall()
        info = connection.execute(
            "select snapshot_id, data_as_of from marts.snapshot_info"
        ).fetchall()
        assert [(file["table"],) for file in manifest["files"]] == tables
        assert manifest["snapshot_id"] == info[0][0]
        assert manifest["data_as_of"] == f"{info[0][1].isoformat()}Z"
        for file in manifest["files"]:
            path = tmp_path / "marts" / file["file"]
            assert hashlib.sha256(path.read_bytes()).hexdigest() == file["sha256"]
            assert path.stat().st_size == file["bytes"]
            rows = _read(tmp_path / "marts", file["table"])
            assert len(rows) == file["rows"]
            expected = connection.execute(f"from marts.{file['table']}").fetchall()
            assert sorted(map(str, rows)) == sorted(map(str, expected)), file["table"]
            assert file["description"].startswith("One row per ")
            assert all(column["description"] for column in file["columns"])


def test_one_customers_extract_holds_nothing_of_the_others(
    settings: Settings, tmp_path: Path
) -> None:
    """Every row is the customer's own or of none, and no other customer's id or name is in it."""
    done = export(settings, tmp_path / "extract", customer_id=CUSTOMER)
    assert {file.table for file in done.files} >= {"customer_daily", "agents", "load_buckets"}
    assert not {file.table for file in done.files} & {"load_ledger"}
    for file in done.files:
        names = [column.name for column in file.columns]
        if "customer_id" in names:
            found = set(_read(tmp_path / "extract", file.table, "customer_id"))
            assert found <= {(CUSTOMER,)}, file.table
    assert done.customer_id == CUSTOMER
    texts = b"".join(path.read_bytes() for path in (tmp_path / "extract").iterdir())
    assert b"Alder & Finch" not in texts


def test_since_keeps_that_date_and_later(settings: Settings, tmp_path: Path) -> None:
    """Rows with a date start at it; rows without one are all there."""
    done = export(settings, tmp_path / "recent", since=date(2026, 11, 20))
    assert min(_read(tmp_path / "recent", "customer_daily", "occurred_date")) == (
        date(2026, 11, 20),
    )
    assert next(file.rows for file in done.files if file.table == "customers") == 40


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"customer_id": 77}, "nothing of customer 77"),
        ({"since": date(2027, 1, 1)}, "in the future"),
    ],
)
def test_impossible_requests_say_what_to_do_and_leave_nothing(
    settings: Settings, tmp_path: Path, arguments: dict[str, Any], message: str
) -> None:
    """An unknown customer and a date to come are refused, and no folder is left."""
    with pytest.raises(ReadingProblem, match=message):
        export(settings, tmp_path / "marts", **arguments)
    assert list(tmp_path.iterdir()) == []


def test_an_export_replaces_an_export_and_nothing_else(settings: Settings, tmp_path: Path) -> None:
    """A folder with an export may be named again; one with other files, or a file, may not."""
    export(settings, tmp_path / "marts")
    export(settings, tmp_path / "marts", customer_id=CUSTOMER)
    assert not (tmp_path / "marts" / "load_ledger.parquet").exists()
    (tmp_path / "marts" / "notes.txt").write_text("mine")
    with pytest.raises(ReadingProblem, match=r"notes\.txt"):
        export(settings, tmp_path / "marts")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ReadingProblem, match="is a file"):
        export(settings, tmp_path / "file")
    (tmp_path / "parquet").mkdir()
    (tmp_path / "parquet" / "mine.parquet").write_text("mine")
    with pytest.raises(ReadingProblem, match="without a manifest"):
        export(settings, tmp_path / "parquet")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "marts", "parquet"]


def test_an_interrupted_export_leaves_the_earlier_one(settings: Settings, tmp_path: Path) -> None:
    """Whatever stops an export half way, the folder holds the earlier one, whole."""
    export(settings, tmp_path / "marts", customer_id=CUSTOMER)
    before = {path.name: path.read_bytes() for path in (tmp_path / "marts").iterdir()}

    def stop(_file: object) -> None:
        raise KeyboardInterrupt

    progress: Callable[[Any], None] = stop
    with pytest.raises(KeyboardInterrupt):
        export(settings, tmp_path / "marts", progress=progress)
    assert {path.name: path.read_bytes() for path in (tmp_path / "marts").iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["marts"]


def test_rows_past_their_retention_stay_behind(installation: Installation, tmp_path: Path) -> None:
    """A snapshot that retention has not caught up with gives no row older than the policy."""
    installation.drop("customers", "customers.csv", [
        {"customer_id": 1, "customer_name": "Acme", "tier": "free", "retention_days": "",
         "updated_at": "2026-01-01T00:00:00Z"}])  # fmt: skip
    installation.drop("agent_usage_events", "events.ndjson", [
        usage_event(1, occurred_at="2026-02-22T00:00:00Z"),
        usage_event(2, occurred_at="2026-03-01T08:00:00Z"),
        usage_event(3, customer_id=2, occurred_at="2026-02-22T00:00:00Z"),
    ])  # fmt: skip
    installation.run()
    installation.set_clock("2026-03-02T01:00:00Z")
    export(installation.settings, tmp_path / "marts")
    found = _read(tmp_path / "marts", "customer_daily", "customer_id, occurred_date")
    assert sorted(found) == [(1, date(2026, 3, 1)), (2, date(2026, 2, 22))]
