"""The steps of the jobs, one function each, free of Dagster: `assets` says how they hang together.

Every step reads what the steps before it left on disk, so a run that was cut off anywhere is taken
up by the next one.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, timedelta
from pathlib import Path

import duckdb
import structlog

from orchestration.contract.shown import inert_line
from orchestration.contract.streams import REFERENCE_STREAMS, STREAMS_BY_NAME
from orchestration.lake import policy
from orchestration.lake.policy import Policies
from orchestration.lake.verified import find_faults, verified_paths
from orchestration.landing.files import LOADED_FOLDER, content_of
from orchestration.landing.land import land_waiting_files
from orchestration.landing.passed_over import find_passed_over
from orchestration.landing.unloading import put_back_files_with_duplicates, set_load_aside
from orchestration.publication import publish
from orchestration.publication.publish import Snapshot
from orchestration.retention.leftovers import expiry
from orchestration.settings import Settings
from orchestration.source.pull import Pull
from orchestration.source.pull import pull as pull_from_source
from orchestration.storage.database import connect
from orchestration.storage.durable import make_folder
from orchestration.storage.full_disk import reports_no_room
from orchestration.storage.ledger import Ledger, Load
from orchestration.warehouse import dbt, rollups, warehouse_file
from orchestration.warehouse.culprits import find_culprits
from orchestration.warehouse.reconciliation import RECONCILIATION, build_recount
from orchestration.warehouse.rollups import LakeRead, Scope

CONSTANT = f"tag:{dbt.CONSTANT}"

log = structlog.get_logger()


@dataclass(frozen=True)
class RollUp:
    """What a roll-up did: its scope, what it read of the lake, and the result of each dbt node
    (none for an empty scope); `set_aside` are loads that it could not be done with."""

    scope: Scope
    results: Sequence[dbt.NodeResult]
    lake_read: LakeRead
    set_aside: Sequence[Load] = ()

    @property
    def failed(self) -> list[dbt.NodeResult]:
        return [result for result in self.results if not result.is_ok]

    def and_then(self, results: Sequence[dbt.NodeResult], lake_read: LakeRead) -> RollUp:
        """With the results of one more part: of each node the latest, and its seconds in all."""
        merged = {node.unique_id: node for node in self.results}
        for node in results:
            before = merged.get(node.unique_id)
            seconds = node.seconds + (before.seconds if before else 0)
            merged[node.unique_id] = replace(node, seconds=seconds)
        return RollUp(self.scope, list(merged.values()), self.lake_read + lake_read)

    @property
    def failed_nodes(self) -> list[str]:
        """The models and tests that failed, by name; not those that were skipped for it."""
        failed = [node for node in self.failed if node.status != "skipped"]
        return [node.unique_id.split(".")[2] for node in failed]

    @property
    def failed_on_data(self) -> bool:
        """Whether a model or test failed, and neither disk nor memory did."""
        messages = [node.message or "" for node in self.failed]
        return bool(messages) and not any(
            "IO Error" in text or "Out of Memory" in text or reports_no_room(text)
            for text in messages
        )

    @property
    def failed_on_disk(self) -> bool:
        """Whether it was the disk that failed, and no test and no model: that may pass."""
        causes = [node for node in self.failed if node.status != "skipped"]
        return bool(causes) and all("IO Error" in (node.message or "") for node in causes)


def clear_scratch(settings: Settings) -> None:
    """Remove what an interrupted run spilled."""
    shutil.rmtree(settings.scratch, ignore_errors=True)
    settings.scratch.mkdir(parents=True, exist_ok=True)


def pull(settings: Settings, ledger: Ledger) -> Pull:
    """Write what is new in the source database to the landing folder; nothing without a source."""
    return pull_from_source(settings, ledger)


def land(
    settings: Settings, ledger: Ledger, *, report_damage: Callable[[str], None] | None = None
) -> list[Load]:
    """Load every file that waits in the landing folder, as `land_waiting_files` does."""
    make_folder(settings.landing)
    return land_waiting_files(settings, ledger, report_damage=report_damage)


def passed_over(settings: Settings) -> list[str]:
    """One sentence for each file and folder that no run can load."""
    found = find_passed_over(settings.landing)
    return [f"{inert_line(each.path)} is passed over: {each.why}" for each in found]


def policies(settings: Settings, ledger: Ledger) -> Policies:
    """Whose data is kept for how long, by what has landed."""
    with closing(connect(settings)) as connection:
        return policy.read_policies(connection, policy.policy_files(settings, ledger))


def invalid_policies(settings: Settings, ledger: Ledger) -> dict[int, str]:
    """What is wrong with the newest row of each customer that has no valid policy."""
    return policy.invalid_policies(policies(settings, ledger))


def roll_up(settings: Settings, ledger: Ledger, *, full_refresh: bool = False) -> RollUp:
    """Rebuild the dates that loads touched since the last roll-up, and test them.

    Whether it worked is in the results; the roll-up counts as done only if all of them are ok.
    Where a load is why they are not, it is set aside, and the others are rolled up without it.
    """
    since = rollups.rolled_up_to(settings)
    done = _roll_up_anew(settings, ledger, full_refresh=full_refresh)
    if not done.failed_on_data:
        return done
    candidates = ledger.loads_since(since)

    def fails_with(loads: Sequence[Load]) -> bool:
        others = [load for load in candidates if load not in loads]
        left_out = {file.path for load in others for file in load.lake_files}
        trial = _roll_up(settings, ledger, full_refresh=full_refresh, without=frozenset(left_out))
        return bool(trial.failed)

    log.error("roll_up_failed", nodes=done.failed_nodes, then="the load that causes it is searched")
    culprits = find_culprits(candidates, fails_with) if candidates else []
    if not culprits:
        return done
    why = f"{', '.join(done.failed_nodes)} failed with it, and not without it"
    failed = [set_load_aside(settings, ledger, load, why) for load in culprits]
    others = [load for load in candidates if load not in culprits]
    put_back = [put_back_files_with_duplicates(settings, ledger, others, load) for load in culprits]
    if any(put_back):
        failed += [load for load in land_waiting_files(settings, ledger) if load.failure]
    again = _roll_up_anew(settings, ledger, full_refresh=full_refresh)
    return replace(again, set_aside=failed)


def _roll_up_anew(settings: Settings, ledger: Ledger, *, full_refresh: bool) -> RollUp:
    """A warehouse that turns out to be damaged is set aside, and everything is rebuilt from the
    lake."""
    try:
        done = _roll_up(settings, ledger, full_refresh=full_refresh)
    except duckdb.Error as error:
        if not rollups.reports_damage(settings, str(error)):
            raise
        damage = str(error)
    else:
        messages = [node.message or "" for node in done.failed]
        damage = next((text for text in messages if rollups.reports_damage(settings, text)), "")
        if not damage:
            return done
    rollups.set_aside(settings, damage)
    return _roll_up(settings, ledger, full_refresh=False)


def _roll_up(
    settings: Settings,
    ledger: Ledger,
    *,
    full_refresh: bool,
    without: frozenset[str] = frozenset(),
) -> RollUp:
    scope = rollups.scope_of_run(settings, ledger, full_refresh=full_refresh)
    scope = replace(scope, without=without)
    log.info("roll_up", dates=scope.date_count, full=scope.is_full, reason=scope.reason)
    if scope.is_empty:
        # Nothing to build, but what was looked at need not be looked at again.
        rollups.mark_rolled_up(settings, scope, has_changed=False)
        return RollUp(scope, [], LakeRead())
    # All of it, before a part of it is built.
    verified_paths(settings.lake, ledger, rollups.files_of(ledger, scope))
    # A cluster has the memory for all of it; one machine takes what fits.
    parts = [scope] if settings.engine == "spark" else rollups.parts_of(scope, ledger)
    recounts_in_one = scope.is_full and len(parts) == 1
    # Views, seeds and constants: they follow from the models alone, which rebuild all if changed.
    stands = not scope.is_full and rollups.has_what_is_built_once(settings)
    done = RollUp(scope, [], LakeRead())
    for number, part in enumerate(parts, start=1):
        if len(parts) > 1:
            log.info("roll_up_part", number=f"{number}/{len(parts)}", dates=part.date_count)
        lake_read = rollups.hand_over(settings, ledger, part)
        is_all = number == 1 and not stands
        results = rollups.build(
            settings,
            part,
            select=["*"] if is_all else _marts_of(part),
            exclude=[
                *([] if recounts_in_one else [RECONCILIATION]),
                *([] if is_all else [CONSTANT]),
            ],
        )
        done = done.and_then(results, lake_read)
        if done.failed:
            return done
    if scope.is_full and not recounts_in_one:
        everything = replace(rollups.whole_lake(ledger), without=without)
        lake_read = rollups.hand_over(settings, ledger, everything, is_recount=True)
        results = build_recount(settings, everything)
        done = done.and_then(results, lake_read)
    if not done.failed and not without:
        rollups.mark_rolled_up(settings, scope, has_changed=True)
    return done


def _marts_of(part: Scope) -> list[str]:
    """What dbt builds of a part, with the tests of it: the marts of the streams that have dates in
    it, and those of names. The dates of a mart are those of its stream, so that the others would
    stay as they are."""
    streams = [stream for stream, days in part.touched.items() if days]
    names = [stream.name for stream in REFERENCE_STREAMS] if part.has_new_names else []
    return [
        *(f"config.meta.stream:{stream}" for stream in streams),
        *(["config.materialized:table"] if names else []),
        # Of a view its tests alone.
        *(f"stg_{stream}+1,resource_type:test" for stream in (*streams, *names)),
    ]


def clear_archive(settings: Settings, ledger: Ledger) -> list[str]:
    """Delete landed files whose load is verified in the lake, and which are old enough or hold
    what is past its retention.

    Verified: every lake file of the load is there with the bytes that the ledger recorded. Returns
    the files deleted, relative to the landing folder.
    """
    archive = settings.landing / LOADED_FOLDER
    keep_from = settings.clock() - timedelta(days=settings.archive_days)
    deleted: list[str] = []
    with expiry(settings, ledger) as find_expired:
        for path in sorted(archive.rglob("*")):
            if not path.is_file():
                continue
            try:
                content = content_of(path)
            except OSError as error:
                log.error("archived_file_not_readable", path=str(path), reason=str(error))
                continue
            stream = path.relative_to(archive).parts[0]
            deliveries = [
                load
                for load in ledger.deliveries_of(stream, content.sha256)
                if load.status == "loaded"
            ]
            if not deliveries:
                _put_back(settings, path)
                continue
            files = [
                file
                for load in deliveries
                for file in ledger.lake_files_of_load(load.load_seq or 0)
            ]
            broken = [fault.file.path for fault in find_faults(settings.lake, ledger, files)]
            loaded_at = ledger.loaded_at_the_latest(deliveries[-1].load_seq or 0)
            if broken:
                log.error("load_not_verified", source=str(path), lake_files=broken, then="kept")
            elif loaded_at <= keep_from.astimezone(UTC) or find_expired(path, stream, loaded_at):
                path.unlink()
                deleted.append(str(path.relative_to(settings.landing)))
    return deleted


def _put_back(settings: Settings, path: Path) -> None:
    """Let an archived file that the ledger does not know be landed again: it may be older than a
    restored ledger, and what is in it may be past its retention. Rows that are known are duplicates
    then."""
    name = path.relative_to(settings.landing / LOADED_FOLDER)
    waiting = settings.landing / name
    if name.parts[0] not in STREAMS_BY_NAME or waiting.exists():
        log.warning("archived_file_unknown", path=str(path), then="kept")
        return
    waiting.parent.mkdir(parents=True, exist_ok=True)
    path.rename(waiting)
    log.warning("archived_file_unknown", path=str(path), then="put back to be landed again")


def settle_deletions(settings: Settings, ledger: Ledger) -> bool:
    """Make the warehouse's file anew, if something was deleted since that was done last.

    The marts, the recount included, must be rebuilt. Returns whether it was done.
    """
    if not warehouse_file.is_behind(settings, ledger):
        return False
    warehouse_file.rewrite(settings, ledger)
    return True


def publish_if_changed(settings: Settings, ledger: Ledger, *, run_id: str) -> Snapshot | None:
    """Publish, unless the current snapshot already holds just this. None where it does.

    Older snapshots that hold what was deleted since are unlinked.
    """
    publish.finish_publication(settings.snapshots, keep=settings.snapshots_kept)
    version = rollups.marts_version(settings)
    if version == rollups.NO_MARTS:
        raise rollups.WarehouseUnusable(
            f"{settings.warehouse} holds no marts: it was set aside or removed since the roll-up; "
            "run `agentstats run hourly`, which rebuilds them. What was published is served on"
        )
    content = publish.content_of_marts(ledger, version)
    published = None
    if publish.published_content(publish.current_snapshot(settings.snapshots)) != content:
        published = publish.publish(settings, ledger, run_id=run_id, content=content)
    for name in publish.drop_snapshots_before(settings.snapshots, content.deletion_seq):
        log.info("snapshot_deleted", name=name, reason="it had rows deleted since")
    return published
