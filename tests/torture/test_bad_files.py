"""The small version of `make torture TORTURE_ARGS=bad-files`."""

from pathlib import Path

from torture import bad_files


def test_bad_files_harm_nothing_else(tmp_path: Path) -> None:
    """Each is set aside or loses rows, with a reason that quotes none, in bounded memory."""
    outcome = bad_files.run(tmp_path, flips=12, damaged=60, bomb_gb=0.1)
    assert outcome.failures == []
