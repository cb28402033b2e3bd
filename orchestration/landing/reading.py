"""Reading one dropped file: its rows, each judged, or why it cannot be read at all."""

from __future__ import annotations

import csv
import zlib
from functools import partial

import duckdb
import zstandard

from orchestration.landing.classification import check_rows, has_strange_rows
from orchestration.landing.files import LandedFile, UnreadableFile, without_content
from orchestration.landing.rows import RowSource, ways_to_read
from orchestration.settings import Settings
from orchestration.storage.full_disk import reports_no_room

# Whatever reading a broken file can raise.
BROKEN = (
    *(duckdb.Error, OSError, EOFError, MemoryError, ValueError, OverflowError, AssertionError),
    *(csv.Error, zlib.error, zstandard.ZstdError),
)


def read_rows(
    connection: duckdb.DuckDBPyConnection, file: LandedFile, settings: Settings
) -> RowSource:
    """Fill `checked` from the file. Raises `UnreadableFile` where it cannot be read to its end.

    Only what goes wrong here is the file's own fault; a full disk, here or while the lake is
    written, fails the run and leaves the file where it is.
    """
    now = settings.clock()
    limit = round(settings.max_unpacked_gb * 10**9)
    check = partial(check_rows, connection, file, keeps_extra=settings.extra == "keep")
    try:
        with ways_to_read(connection, file, settings.scratch, unpacked_limit=limit) as ways:
            *cheaper, last = ways
            for way in cheaper:
                try:
                    rows = way()
                    if rows is None:
                        continue
                    check(rows, now=now)
                except duckdb.Error as error:
                    if reports_no_room(str(error)):
                        raise
                    # Some record is not well formed: find out which, and keep the others.
                else:
                    if not has_strange_rows(connection):
                        return rows
            rows = last()
            assert rows
            check(rows, now=now)
    except BROKEN as error:
        if reports_no_room(str(error)):
            raise
        raise UnreadableFile(reason(error, file)) from error
    return rows


def reason(error: BaseException, file: LandedFile) -> str:
    """One sentence about what is wrong with the file, without what is in it."""
    if isinstance(error, UnicodeDecodeError | UnicodeEncodeError):
        return "its header is not UTF-8: write the file as UTF-8"
    if isinstance(error, (duckdb.OutOfMemoryException, MemoryError)):
        return "needs more memory than AGENTSTATS_MEMORY_LIMIT; raise it, or split the file"
    if isinstance(error, (EOFError, zlib.error, zstandard.ZstdError)) or file.packing:
        return f"is damaged or cut off where it is packed with {file.packing}: deliver it again"
    return (
        f"cannot be read as {file.file_format}, so it is damaged or something else: deliver it "
        f"again ({without_content(error, file.path)})"
    )
