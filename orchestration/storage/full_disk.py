"""How a disk without room is reported, by whatever library met it."""

from __future__ import annotations

import errno
import os

# As Python and DuckDB say it, DuckDB of what it may spill, and SQLite.
_NO_ROOM = (
    *(os.strerror(number) for number in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)),
    "max_temp_directory_size",
    "database or disk is full",
    "disk I/O error",  # what SQLite says of it where it maps its file, as of a disk that fails
)


def reports_no_room(message: str) -> bool:
    """Whether an error says that there was no room for what was to be written."""
    return any(words in message for words in _NO_ROOM)
