"""Merging the small files that hourly loads leave: one file is read faster than 24 of them.

A merged file is sorted by customer and time, as landing writes them. It holds the same rows, so
that no mart changes and nothing has to be rebuilt.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import groupby

import duckdb
import structlog

from orchestration.contract.streams import STREAMS_BY_NAME
from orchestration.lake.deletion import new_name, unlink_lake_files
from orchestration.lake.names import rows_of
from orchestration.lake.verified import LakeDamaged, verified_paths
from orchestration.lake.writing import write_file
from orchestration.settings import Settings
from orchestration.storage.database import connect
from orchestration.storage.ledger import LakeFile, Ledger
from orchestration.storage.ledger.deletions import Replacement
from orchestration.storage.sql import literal

# Files of this size are left alone, so that a large date is not written anew each night.
SMALL_BYTES = 16 * 1024 * 1024
# Fewer small files than this are not worth a rewrite.
FEWEST_FILES = 4

log = structlog.get_logger()


@dataclass(frozen=True)
class Compaction:
    """How many small files became how many."""

    files_before: int
    files_after: int


def compact(settings: Settings, ledger: Ledger) -> Compaction:
    """Merge the small files of each folder and date. Raises `LakeDamaged` for a damaged one."""
    before = after = 0
    with closing(connect(settings)) as connection:
        for files in _mergeable(ledger):
            merged = _merge(connection, settings, ledger, files)
            ledger.replace_lake_files(
                Replacement(
                    [file.path for file, _ in files],
                    # The number of the newest load: a load before it is verified by now.
                    [(merged, max(load_seq for _, load_seq in files))],
                ),
                touched=None,
                deletions=[],
            )
            unlink_lake_files(settings.lake, [file.path for file, _ in files])
            before += len(files)
            after += 1
    ledger.delete_rewrites()
    if before:
        log.info("compacted", files_before=before, files_after=after)
    return Compaction(before, after)


def _mergeable(ledger: Ledger) -> Iterator[list[tuple[LakeFile, int]]]:
    for folder in ledger.lake_folders():
        files = [
            (file, load_seq)
            for file, load_seq in ledger.lake_files_in(folder)
            if file.occurred_date and file.bytes < SMALL_BYTES
        ]
        for _, of_date in groupby(files, key=lambda file: file[0].occurred_date):
            small = list(of_date)
            if len(small) >= FEWEST_FILES:
                yield small


def _merge(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    ledger: Ledger,
    files: list[tuple[LakeFile, int]],
) -> LakeFile:
    small = [file for file, _ in files]
    paths = ", ".join(literal(path) for path in verified_paths(settings.lake, ledger, small))
    first = small[0]
    target = new_name(first)
    ledger.announce_rewrite({target: [file.path for file in small]})
    rows = f"read_parquet([{paths}], hive_partitioning = false, union_by_name = true)"
    if stream := STREAMS_BY_NAME.get(first.folder):
        rows = rows_of(stream, f"[{paths}]")
    connection.execute(f"create or replace temp view small as select * from {rows}")
    (merged,) = write_file(
        connection,
        "select * from small order by customer_id, occurred_at",
        target,
        first.folder,
        first.occurred_date,
        settings.lake,
    )
    if merged.rows != sum(file.rows for file, _ in files):
        raise LakeDamaged(
            f"{first.folder} of {first.occurred_date} has other rows than the ledger recorded; the "
            "files were left as they are. Restore ledger.db and lake/ from the same backup"
        )
    return merged
