"""Deleting rows from the lake, one step at a time.

A file whose rows all go is dropped; of a mixed one, what stays is written to a file of another
name. Then one transaction of the ledger lets the new files count instead of the old ones and
records the deletion, and the old files are unlinked. Wherever that is cut off, the lake is as the
ledger says, what is not in the ledger is removed by the next run, and that finishes the plan.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import structlog

from orchestration.contract.streams import DELETED, STREAMS_BY_NAME
from orchestration.lake.deletion_plan import Plan, Rule, Step, is_to_be_deleted, prepare
from orchestration.lake.names import identity_of_event
from orchestration.lake.verified import LakeDamaged, verified_paths
from orchestration.lake.writing import COUNTS_FOLDER, REJECTED_FOLDER, write_file
from orchestration.settings import Settings
from orchestration.storage.database import connect
from orchestration.storage.durable import sync_folder
from orchestration.storage.ledger import Deletion, LakeFile, Ledger
from orchestration.storage.ledger.deletions import Replacement
from orchestration.storage.sql import literal

log = structlog.get_logger()


@dataclass(frozen=True)
class Progress:
    """How far a deletion is: steps done of all, and the rows that went."""

    step: int
    steps: int
    folder: str
    occurred_date: str | None
    rows: int


def delete_from_lake(
    settings: Settings,
    ledger: Ledger,
    plan: Plan,
    *,
    run_id: str,
    report: Callable[[Progress], None] = lambda progress: None,
) -> int:
    """Do the plan's steps, oldest date first. Returns the rows deleted, counts of deliveries aside.

    Raises `LakeDamaged` before the step that a damaged file is part of; the steps before it stay
    done, and nothing of that file is lost.
    """
    deleted = 0
    with closing(connect(settings)) as connection:
        prepare(connection, plan.rule)
        for number, step in enumerate(plan.steps, start=1):
            rows = _delete(connection, settings, ledger, plan.rule, step, run_id)
            deleted += rows
            progress = Progress(
                number,
                len(plan.steps),
                step.folder,
                step.occurred_date.isoformat() if step.occurred_date else None,
                rows,
            )
            log.info(
                "deleted",
                folder=progress.folder,
                occurred_date=progress.occurred_date,
                rows=rows,
                step=f"{number}/{len(plan.steps)}",
            )
            report(progress)
    ledger.delete_rewrites()
    return deleted


def unlink_lake_files(lake: Path, paths: Sequence[str]) -> None:
    """Unlink files that count no more, and folders that nothing is left in."""
    for folder in sorted({(lake / path).parent for path in paths}):
        for path in paths:
            if (lake / path).parent == folder:
                (lake / path).unlink(missing_ok=True)
        sync_folder(folder)
        if folder.exists() and not any(folder.iterdir()):
            folder.rmdir()


def new_name(file: LakeFile) -> str:
    """A path for what is left of a file, in the same folder, that no file ever had."""
    folder, _, name = file.path.rpartition("/")
    return f"{folder}/{name.split('.')[0]}.{uuid.uuid4().hex[:12]}.parquet"


def _delete(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    ledger: Ledger,
    rule: Rule,
    step: Step,
    run_id: str,
) -> int:
    paths = verified_paths(settings.lake, ledger, [file for file, _ in step.files])
    deletions = _find(connection, settings, rule, step, paths, run_id)
    to_delete = dict(
        connection.execute("select file, count(*) from to_delete group by file").fetchall()
    )
    added: list[tuple[LakeFile, int]] = []
    mixed = {
        file.path: new_name(file)
        for file, _ in step.files
        if to_delete.get(str(settings.lake / file.path), 0) < file.rows
    }
    ledger.announce_rewrite({new: [old] for old, new in mixed.items()})
    for (file, load_seq), pattern in zip(step.files, paths, strict=True):
        if file.path not in mixed:
            continue
        path = str(settings.lake / file.path)
        rest = (
            f"select * exclude (file_row_number) "
            f"from read_parquet({literal(pattern)}, file_row_number = true, "
            "hive_partitioning = false) where file_row_number not in "
            f"(select row from to_delete where file = {literal(path)}) order by file_row_number"
        )
        written = write_file(
            connection, rest, mixed[file.path], file.folder, file.occurred_date, settings.lake
        )
        if sum(new.rows for new in written) + to_delete.get(path, 0) != file.rows:
            raise LakeDamaged(
                f"{path} has other rows than the ledger recorded ({file.rows}); it was left as it "
                "is. Restore ledger.db and lake/ from the same backup, and run this again"
            )
        added += [(new, load_seq) for new in written]
    ledger.replace_lake_files(
        Replacement([file.path for file, _ in step.files], added),
        # Whatever has dates may be in a mart; so are names, which have none.
        touched=(step.folder, step.occurred_date)
        if step.occurred_date or step.folder in STREAMS_BY_NAME
        else None,
        deletions=deletions,
    )
    unlink_lake_files(settings.lake, [file.path for file, _ in step.files])
    return 0 if step.folder == COUNTS_FOLDER else sum(deletion.rows for deletion in deletions)


def _find(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    rule: Rule,
    step: Step,
    lake_paths: Sequence[str],
    run_id: str,
) -> list[Deletion]:
    """Fill `to_delete` (file, row) for the step's files; what goes, by customer."""
    reader = (
        "read_parquet($paths, filename = 'file', file_row_number = true, "
        "hive_partitioning = false, union_by_name = true)"
    )
    paths = {"paths": list(lake_paths)}
    columns = {name for name, *_ in connection.execute(f"describe from {reader}", paths).fetchall()}
    time = next((name for name in ("occurred_at", "updated_at") if name in columns), "null")
    if step.folder == REJECTED_FOLDER:
        time = "least(rejected_at, occurred_at)"
    stream = STREAMS_BY_NAME.get(step.folder)
    identity = "null"
    if stream and step.occurred_date:
        identity = identity_of_event(stream, "lake_row", has_withdrawals=DELETED in columns)
    day = f"date '{step.occurred_date}'" if step.occurred_date else "null"
    connection.execute(
        f"""
        create or replace temp table to_delete as
        select
            lake_row.file,
            lake_row.file_row_number as row,
            lake_row.customer_id,
            {identity} as identity,
            cast({time} as timestamp) as instant
        from {reader} as lake_row
        left join cutoff on lake_row.customer_id = cutoff.customer_id
        where {is_to_be_deleted(rule, step.folder, day)}
        """,
        paths,
    )
    groups = connection.execute(
        "select customer_id, count(*), count(distinct identity), min(instant), max(instant) "
        "from to_delete group by customer_id order by customer_id"
    ).fetchall()
    return [
        Deletion(
            run_id,
            customer_id,
            step.folder,
            rule.cause,
            rule.cutoff_of(customer_id),
            rows,
            events,
            _aware(oldest),
            _aware(newest),
            settings.clock(),
        )
        for customer_id, rows, events, oldest, newest in groups
    ]


def _aware(instant: datetime | None) -> datetime | None:
    return instant.replace(tzinfo=UTC) if instant else None
