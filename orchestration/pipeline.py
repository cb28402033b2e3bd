"""The steps of the jobs, one function each, free of Dagster: `assets` says how they hang together.

Every step reads what the steps before it left on disk, so a run that was cut off anywhere is taken
up by the next one.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, timedelta

import duckdb
import structlog

from orchestration import dbt, publication, rollups
from orchestration.landing.files import LOADED_FOLDER, content_of
from orchestration.landing.land import land_waiting_files
from orchestration.landing.streams import EVENT_STREAMS
from orchestration.ledger import Ledger, Load
from orchestration.publication import Snapshot
from orchestration.rollups import Scope
from orchestration.settings import Settings
from orchestration.source.pull import Pull
from orchestration.source.pull import pull as pull_from_source

RECONCILIATION = "tag:reconciliation"

log = structlog.get_logger()


@dataclass(frozen=True)
class RollUp:
    """What a roll-up did: its scope, and the result of each dbt node (none for an empty scope)."""

    scope: Scope
    results: Sequence[dbt.NodeResult]

    @property
    def failed(self) -> list[dbt.NodeResult]:
        return [result for result in self.results if not result.is_ok]


@dataclass(frozen=True)
class Difference:
    """One stream, customer and UTC date where the marts count other than the lake holds."""

    stream: str
    customer_id: int
    occurred_date: str
    accepted: int
    in_marts: int


@dataclass(frozen=True)
class FileDifference:
    """A delivered file whose rows do not add up, or whose stream's totals do not."""

    source: str
    problem: str


@dataclass(frozen=True)
class Reconciliation:
    """The proof that it adds up: nothing in `differences` and `file_differences`."""

    events: int
    groups: int
    files: int
    differences: Sequence[Difference]
    file_differences: Sequence[FileDifference]

    @property
    def adds_up(self) -> bool:
        return not self.differences and not self.file_differences


def clear_scratch(settings: Settings) -> None:
    """Remove what an interrupted run spilled."""
    shutil.rmtree(settings.scratch, ignore_errors=True)
    settings.scratch.mkdir(parents=True, exist_ok=True)


def pull(settings: Settings, ledger: Ledger) -> Pull:
    """Write what is new in the source database to the landing folder; nothing without a source."""
    return pull_from_source(settings, ledger)


def land(settings: Settings, ledger: Ledger) -> list[Load]:
    """Load every file that waits in the landing folder."""
    settings.landing.mkdir(parents=True, exist_ok=True)
    return land_waiting_files(settings, ledger)


def roll_up(settings: Settings, ledger: Ledger, *, full_refresh: bool = False) -> RollUp:
    """Rebuild the dates that loads touched since the last roll-up, and test them.

    Whether it worked is in the results; the roll-up counts as done only if all of them are ok.
    """
    scope = rollups.scope_of_run(settings, ledger, full_refresh=full_refresh)
    log.info("roll_up", dates=scope.date_count, full=scope.is_full, reason=scope.reason)
    if scope.is_empty:
        # Nothing to build, but what was looked at need not be looked at again.
        rollups.mark_rolled_up(settings, scope, has_changed=False)
        return RollUp(scope, [])
    rollups.hand_over(settings, ledger, scope)
    results = dbt.build(
        settings,
        select=["*"],
        exclude=[] if scope.is_full else [RECONCILIATION],
        full_refresh=scope.is_full,
    )
    done = RollUp(scope, results)
    if not done.failed:
        rollups.mark_rolled_up(settings, scope, has_changed=True)
    return done


def reconcile(settings: Settings, ledger: Ledger) -> Reconciliation:
    """Recount every accepted event in the lake and compare with the marts, by customer and date.

    Raises `DbtFailed` where the recount itself fails.
    """
    scope = rollups.whole_lake(ledger)
    rollups.hand_over(settings, ledger, scope)
    results = dbt.build(settings, select=[RECONCILIATION], exclude=[], full_refresh=False)
    failed = [result for result in results if not result.is_ok]
    if failed:
        raise dbt.DbtFailed("; ".join(f"{node.unique_id}: {node.message}" for node in failed))
    with rollups.open_warehouse(settings) as warehouse:
        rollups.renew_marts_version(warehouse)
        totals = warehouse.execute(
            "select stream, cast(sum(accepted) as bigint), count(*) from marts.reconciliation "
            "group by stream"
        ).fetchall()
        differences = warehouse.execute(
            "select stream, customer_id, cast(occurred_date as varchar), accepted, in_marts "
            "from marts.reconciliation where difference <> 0 order by all"
        ).fetchall()
    in_lake = {stream: accepted for stream, accepted, _ in totals}
    loads = ledger.loads()
    return Reconciliation(
        events=sum(in_lake.values()),
        groups=sum(groups for _, _, groups in totals),
        files=len(loads),
        differences=[Difference(*row) for row in differences],
        file_differences=_file_differences(loads, in_lake),
    )


def _file_differences(loads: Sequence[Load], in_lake: dict[str, int]) -> list[FileDifference]:
    found = [
        FileDifference(
            load.source_file,
            f"{load.rows_read} read, but {load.accepted} accepted + {load.duplicates} duplicates "
            f"+ {load.rejected} rejected",
        )
        for load in loads
        if load.rows_read != load.accepted + load.duplicates + load.rejected
    ]
    for stream in EVENT_STREAMS:
        booked = sum(load.accepted for load in loads if load.stream == stream.name)
        if booked != in_lake.get(stream.name, 0):
            found.append(
                FileDifference(
                    stream.name,
                    f"{booked} accepted by the ledger, {in_lake.get(stream.name, 0)} in the lake",
                )
            )
    return found


def clear_archive(settings: Settings, ledger: Ledger) -> list[str]:
    """Delete landed files whose load is verified in the lake and old enough.

    Verified: every lake file of the load is there with the bytes that the ledger booked. Returns
    the files deleted, relative to the landing folder.
    """
    archive = settings.landing / LOADED_FOLDER
    keep_from = settings.clock() - timedelta(days=settings.archive_days)
    deleted: list[str] = []
    for path in sorted(archive.rglob("*")):
        if not path.is_file():
            continue
        content = content_of(path)
        stream = path.relative_to(archive).parts[0]
        deliveries = [
            load for load in ledger.deliveries_of(stream, content.sha256) if load.status == "loaded"
        ]
        if not deliveries:
            log.warning("archived_file_unknown", path=str(path), then="kept")
            continue
        broken = [
            file.path
            for load in deliveries
            for file in ledger.lake_files_of_load(load.load_seq or 0)
            if not (settings.lake / file.path).exists()
            or content_of(settings.lake / file.path).sha256 != file.sha256
        ]
        if broken:
            log.error("load_not_verified", source=str(path), lake_files=broken, then="kept")
        elif max(load.loaded_at for load in deliveries) <= keep_from.astimezone(UTC):
            path.unlink()
            deleted.append(str(path.relative_to(settings.landing)))
    return deleted


def publish_if_changed(settings: Settings, ledger: Ledger, *, run_id: str) -> Snapshot | None:
    """Publish, unless the current snapshot already holds just this. None where it does."""
    marts_version = rollups.marts_version(settings)
    here = (ledger.newest_load_seq(), marts_version)
    try:
        if publication.published_content(settings.snapshots) == here:
            return None
    except duckdb.Error as error:
        log.warning("current_snapshot_unreadable", reason=str(error), then="published anew")
    return publication.publish(settings, ledger, run_id=run_id, marts_version=marts_version)
