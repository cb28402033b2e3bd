"""What Dagster keeps of its runs, bounded: by itself it deletes ticks, but no run, ever."""

# No postponed annotations here: Dagster checks the type of `context`.
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
from dagster._core.storage.dagster_run import FINISHED_STATUSES
from dagster._core.storage.event_log.schema import (
    AssetCheckExecutionsTable,
    SqlEventLogStorageTable,
)
from dagster._core.storage.event_log.sqlite import SqliteEventLogStorage
from sqlalchemy import delete, func, select

from orchestration.clock import run_worker
from orchestration.clock.retries import retried_where_it_helps
from orchestration.clock.writer import Writer

DAGSTER_HISTORY = dg.AssetKey("dagster_history")

# A first pruning of years of runs must not make one night's run endless.
MAX_RUNS_AT_ONCE = 5_000
_BATCH = 200

# Events that belong to no run.
_NO_RUN = ""


@dg.asset(
    key=DAGSTER_HISTORY,
    group_name="housekeeping",
    description="Runs, ticks and check results that Dagster keeps, for "
    "AGENTSTATS_DAGSTER_HISTORY_DAYS.",
)
@retried_where_it_helps
def dagster_history(
    context: dg.AssetExecutionContext, writer: Writer
) -> dg.MaterializeResult[None]:
    """Delete the runs that ended long ago, with their events and logs."""
    # Dagster records its runs by the wall clock, whatever AGENTSTATS_NOW says.
    before = time.time() - writer.settings.dagster_history_days * 86_400
    deleted = delete_runs(context.instance, before=before)
    delete_events_without_run(context.instance, before=before)
    run_worker.remove_dead(Path(context.instance.root_directory))
    writer.note(dagster_runs_deleted=deleted)
    return dg.MaterializeResult(metadata={"runs_deleted": deleted})


def delete_runs(instance: dg.DagsterInstance, *, before: float) -> int:
    """Delete finished runs that were last changed before a Unix time. Returns how many."""
    deleted = 0
    for run_id in _old_runs(instance, before):
        instance.delete_run(run_id)
        _remove_files(instance, run_id)
        deleted += 1
    return deleted


def _old_runs(instance: dg.DagsterInstance, before: float) -> Iterator[str]:
    for _ in range(MAX_RUNS_AT_ONCE // _BATCH):
        batch = instance.get_run_records(
            dg.RunsFilter(
                statuses=list(FINISHED_STATUSES),
                updated_before=datetime.fromtimestamp(before, UTC),
            ),
            limit=_BATCH,
            ascending=True,
        )
        yield from (record.dagster_run.run_id for record in batch)
        if len(batch) < _BATCH:
            return


def _remove_files(instance: dg.DagsterInstance, run_id: str) -> None:
    """Remove the run's log files, and the database of its events, which Dagster only empties."""
    shutil.rmtree(Path(instance.storage_directory()) / run_id, ignore_errors=True)
    events = instance.event_log_storage
    if isinstance(events, SqliteEventLogStorage):
        path = Path(events.path_for_shard(run_id))
        for each in (path, *(path.with_name(path.name + end) for end in ("-wal", "-shm"))):
            with suppress(FileNotFoundError):
                each.unlink()


def delete_events_without_run(instance: dg.DagsterInstance, *, before: float) -> None:
    """Delete old check results and what was reported outside of runs; the newest of each stay."""
    events = instance.event_log_storage
    if not isinstance(events, SqliteEventLogStorage):
        return
    at = datetime.fromtimestamp(before, UTC).replace(tzinfo=None)
    checks, log = AssetCheckExecutionsTable, SqlEventLogStorageTable
    old = delete(log).where(log.c.run_id == _NO_RUN, log.c.timestamp < at)
    with events.index_connection() as connection:
        newest = select(func.max(checks.c.id)).group_by(checks.c.asset_key, checks.c.check_name)
        connection.execute(
            delete(checks).where(checks.c.create_timestamp < at, checks.c.id.not_in(newest))
        )
        connection.execute(old)
    with events.run_connection(_NO_RUN) as connection:
        connection.execute(old)
