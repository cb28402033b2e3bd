"""The version of a ledger: what an older one lacks is added once, any other one is refused."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from orchestration.cli import app
from orchestration.storage.ledger import Ledger, LedgerUnusable, schema

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
NEWEST = len(schema.MIGRATIONS)

# A table that others refer to, rebuilt, and a semicolon that ends nothing.
TO_NEXT_VERSION = """
create table run_with_host (
    run_seq integer primary key autoincrement, -- the order of the runs; not their times
    run_id text not null unique, job text not null, pid integer not null, started_at text not null,
    ended_at text, status text not null, detail text not null, host text not null
);
insert into run_with_host select *, 'a; b' from run;
drop table run;
alter table run_with_host rename to run;
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A ledger of the newest version, with a run in it."""
    with closing(Ledger(tmp_path / "ledger.db")) as ledger:
        ledger.start_run(run_id="a", job="hourly", pid=1, at=NOW)
    return tmp_path / "ledger.db"


def version_of(path: Path) -> int:
    """What SQLite says of the file."""
    with closing(sqlite3.connect(path)) as connection:
        return schema.version_of(connection)


def with_a_migration(monkeypatch: pytest.MonkeyPatch, migration: str) -> None:
    """Let the program be of the next version."""
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, migration))


def test_a_new_ledger_has_every_table_and_the_newest_version(path: Path) -> None:
    """The number is raised with the tables, and nothing is left to migrate."""
    assert version_of(path) == NEWEST
    with closing(sqlite3.connect(path)) as ledger, closing(sqlite3.connect(":memory:")) as whole:
        whole.executescript("".join(schema.MIGRATIONS))
        tables = "select name, sql from sqlite_schema order by name"
        assert ledger.execute(tables).fetchall() == whole.execute(tables).fetchall()


def test_a_ledger_of_an_older_version_is_migrated_and_keeps_its_rows(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once, by whichever command opens it first; the version before refuses it from then on."""
    with monkeypatch.context() as newer:
        with_a_migration(newer, TO_NEXT_VERSION)
        for _ in range(2):
            with closing(Ledger(path)) as ledger:
                assert ledger.runs(5)[0].run_id == "a"
                (host,) = ledger._connection.execute("select host from run").fetchone()
                assert host == "a; b"
                assert ledger._connection.execute("pragma foreign_keys").fetchone()[0] == 1
        assert version_of(path) == NEWEST + 1
    kept = path.read_bytes()
    refusal = rf"version {NEWEST + 1}, .* up to {NEWEST}: a newer one .* Install that"
    with pytest.raises(LedgerUnusable, match=refusal):
        Ledger(path)
    assert path.read_bytes() == kept


def test_a_load_of_the_first_version_is_kept(tmp_path: Path) -> None:
    """What it could not count is 0 of it."""
    path = tmp_path / "ledger.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(schema.VERSION_1)
        connection.execute(
            "insert into load select 1, 'a', 'customers', 'customers/a.csv', 5, 6, 'b', 'loaded', "
            "null, 3, 2, 1, 0, 0, 0, '{}', 0, 4, 0, '2026-03-01T12:00:00Z', "
            "'2026-03-01T12:00:00Z', 1"
        )
        connection.execute("pragma user_version = 1")
        connection.commit()
    with closing(Ledger(path)) as ledger:
        (load,) = ledger.loads()
    assert (load.rows_read, load.duplicates, load.unknown_columns) == (3, 1, 4)
    assert load.unknown_time_zones == 0


def test_a_loss_of_before_its_deletions_were_counted_is_kept(tmp_path: Path) -> None:
    """It is taken as lost before any deletion, as it was then."""
    path = tmp_path / "ledger.db"
    with closing(sqlite3.connect(path)) as connection:
        for migration in schema.MIGRATIONS[:2]:
            connection.executescript(migration)
        connection.execute(
            "insert into lake_loss values (1, 'a', 'audit_events', '2026-03-01', 2, 3, 'b', "
            "'missing', '2026-03-02')"
        )
        connection.executemany(
            "insert into lake_loss_amount values (1, 'audit_events', ?, '2026-03-01', 'events', 2)",
            [(7,), (8,)],
        )
        connection.execute(
            "insert into deletion values (1, 'a', 8, 'audit_events', 'retention', '2026-03-02', "
            "2, 2, null, null, '2026-03-03')"
        )
        connection.execute("pragma user_version = 2")
        connection.commit()
    with closing(Ledger(path)) as ledger:
        assert [loss.customer_id for loss in ledger.losses()] == [7]
        assert [loss.customer_id for loss in ledger.losses(deleted_since=True)] == [8]


def test_a_migration_that_is_cut_off_leaves_the_ledger_as_it_was(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of it or nothing, whatever it had done before it failed."""
    with monkeypatch.context() as broken:
        with_a_migration(broken, TO_NEXT_VERSION + "insert into no_such_table values (1);")
        with pytest.raises(sqlite3.OperationalError, match="no_such_table"):
            Ledger(path)
    with closing(Ledger(path)) as ledger:
        assert [run.run_id for run in ledger.runs(5)] == ["a"]
    assert version_of(path) == NEWEST


def test_several_may_open_a_ledger_at_once_that_has_to_be_migrated(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`status` beside a run: one of them migrates, the others find it done."""
    with_a_migration(monkeypatch, TO_NEXT_VERSION)

    def opened(each: Path) -> int:
        with closing(Ledger(each)) as ledger:
            return len(ledger.runs(5))

    new = path.parent / "new" / "ledger.db"
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(opened, [path, new] * 8)) == [1, 0] * 8
    assert version_of(path) == version_of(new) == NEWEST + 1


def test_a_ledger_without_a_version_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By every command, in a sentence that says what to do; nothing in it is changed."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("pragma user_version = 0")
    kept = path.read_bytes()
    monkeypatch.setenv("AGENTSTATS_HOME", str(path.parent))
    for command in (["status"], ["reconcile"]):
        with pytest.raises(LedgerUnusable, match="Begin with a new home folder"):
            CliRunner().invoke(app, command, catch_exceptions=False)
    assert path.read_bytes() == kept
