"""What is said of a machine that is in the way."""

import sqlite3

import pytest

from orchestration.monitoring.problems import in_its_words


@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "No space left on device", "/home/lake/x"),
        sqlite3.OperationalError("database or disk is full"),
        sqlite3.OperationalError("disk I/O error"),
    ],
)
def test_a_full_disk_is_reported_with_what_to_do(error: Exception) -> None:
    """Whichever library met it, and whatever it calls it."""
    said = in_its_words(error)
    assert said.startswith(str(error))
    assert said.endswith(": make room on the disk, and run it again; nothing is lost")


def test_a_folder_that_may_not_be_written_to_is_named_with_the_setting() -> None:
    """Read-only, or another user's."""
    said = in_its_words(OSError(30, "Read-only file system", "/home/keys.db"))
    assert said == (
        "Read-only file system: /home/keys.db; AGENTSTATS_HOME must be a folder that this user "
        "may write to"
    )
