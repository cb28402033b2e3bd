"""What a publication that was cut off left undone is done by the next run."""

from __future__ import annotations

import os
from pathlib import Path

from orchestration.publication.publish import drop_snapshots_before, finish_publication, name_of


def _snapshot(folder: Path, day: int) -> Path:
    """A snapshot of a day of March, without content."""
    path = folder / f"202603{day:02}T120000Z-00000000" / "agentstats.duckdb"
    return _file(path, day)


def _file(path: Path, second: int) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"")
    os.utime(path, (second, second))
    return path


def _point_to(folder: Path, current: Path) -> None:
    (folder / "CURRENT").write_text(f"{name_of(current, folder)}\n")


def test_links_follow_the_pointer_and_nothing_else_is_left(tmp_path: Path) -> None:
    """After the pointer moved: the links lead where it leads, the oldest files are unlinked."""
    old, older, current = (_snapshot(tmp_path, day) for day in (2, 1, 3))
    _point_to(tmp_path, current)
    (tmp_path / "marts.duckdb").symlink_to(name_of(old, tmp_path))
    (tmp_path / ".agentstats.duckdb.tmp").symlink_to(name_of(current, tmp_path))
    (tmp_path / ".20260228T120000Z-00000000.tmp").mkdir()

    finish_publication(tmp_path, keep=2)

    assert not older.parent.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "20260302T120000Z-00000000",
        "20260303T120000Z-00000000",
        "CURRENT",
        "agentstats.duckdb",
        "marts.duckdb",
    ]
    for link in ("marts.duckdb", "agentstats.duckdb"):
        assert (tmp_path / link).resolve() == current


def test_a_file_that_was_never_pointed_to_is_removed(tmp_path: Path) -> None:
    """Before the pointer moved: the file has its name already, and no reader."""
    current, orphan = _snapshot(tmp_path, 1), _snapshot(tmp_path, 2)
    _point_to(tmp_path, current)
    unfinished = _file(tmp_path / ".20260303T120000Z-00000000.tmp" / "agentstats.duckdb", 3)
    (unfinished.parent / "agentstats.duckdb.wal").write_bytes(b"half")

    finish_publication(tmp_path, keep=3)

    assert current.exists()
    assert not orphan.parent.exists()
    assert not unfinished.parent.exists()


def test_what_is_not_a_snapshot_is_left_alone(tmp_path: Path) -> None:
    """Where readers spill beside the link, and files of their own."""
    current = _snapshot(tmp_path, 1)
    _point_to(tmp_path, current)
    theirs = [
        _file(tmp_path / "agentstats.duckdb.tmp" / "duckdb_temp_storage-0.tmp", 9),
        _file(tmp_path / "mine" / "agentstats.duckdb", 9),
        _file(tmp_path / "notes.txt", 9),
    ]

    finish_publication(tmp_path, keep=1)
    drop_snapshots_before(tmp_path, 1)

    assert all(path.exists() for path in [current, *theirs])
