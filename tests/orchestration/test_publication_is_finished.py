"""What a publication that was cut off left undone is done by the next run."""

from __future__ import annotations

import os
from pathlib import Path

from orchestration.publication import finish_publication


def _snapshot(folder: Path, name: str, *, second: int) -> Path:
    path = folder / f"marts-{name}.duckdb"
    path.write_bytes(b"")
    os.utime(path, (second, second))
    return path


def test_links_follow_the_pointer_and_nothing_else_is_left(tmp_path: Path) -> None:
    """After the pointer moved: the links lead where it leads, the oldest files are unlinked."""
    old, older = _snapshot(tmp_path, "old", second=2), _snapshot(tmp_path, "older", second=1)
    current = _snapshot(tmp_path, "current", second=3)
    (tmp_path / "CURRENT").write_text(f"{current.name}\n")
    (tmp_path / "marts.duckdb").symlink_to(old.name)
    (tmp_path / ".agentstats.duckdb.tmp").symlink_to(current.name)

    finish_publication(tmp_path, keep=2)

    assert not older.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "CURRENT",
        "agentstats.duckdb",
        "marts-current.duckdb",
        "marts-old.duckdb",
        "marts.duckdb",
    ]
    for link in ("marts.duckdb", "agentstats.duckdb"):
        assert (tmp_path / link).resolve() == current


def test_a_file_that_was_never_pointed_to_is_removed(tmp_path: Path) -> None:
    """Before the pointer moved: the file has its name already, and no reader."""
    current = _snapshot(tmp_path, "current", second=1)
    (tmp_path / "CURRENT").write_text(f"{current.name}\n")
    orphan = _snapshot(tmp_path, "orphan", second=2)
    unfinished = tmp_path / ".marts-next.duckdb.tmp"
    unfinished.write_bytes(b"half")

    finish_publication(tmp_path, keep=3)

    assert current.exists()
    assert not orphan.exists()
    assert not unfinished.exists()
