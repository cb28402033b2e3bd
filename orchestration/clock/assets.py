"""The data's path as assets: landing → lake → staging → marts → snapshot."""

# No postponed annotations here: Dagster checks the type of `context`.
import json
from collections.abc import Iterator, Sequence, Set
from functools import cached_property
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, dbt_assets
from dagster_dbt.asset_utils import get_asset_check_key_for_test

from orchestration import pipeline
from orchestration.clock.retries import retried_where_it_helps
from orchestration.clock.writer import Writer
from orchestration.contract.streams import CUSTOMERS, EVENT_STREAMS, STREAMS, TIERS
from orchestration.lake.compaction import compact
from orchestration.lake.deletion_plan import TooMuch
from orchestration.lake.verified import LakeDamaged
from orchestration.lake.writing import COUNTS_FOLDER
from orchestration.monitoring import alerts
from orchestration.monitoring.problems import (
    files_set_aside,
    named,
    policies_invalid,
    streams_rejected,
)
from orchestration.retention.nightly import delete_expired
from orchestration.warehouse import reconciliation, warehouse_file
from orchestration.warehouse.backtests import backtest
from orchestration.warehouse.dbt import NodeResult

SNAPSHOT = dg.AssetKey("snapshot")
RETENTION = dg.AssetKey("retention")
WAREHOUSE_FILE = dg.AssetKey("warehouse_file")
BACKTEST = dg.AssetKey("forecast_backtest")
RECONCILIATION = dg.AssetKey(["marts", "reconciliation"])
NOTHING_SET_ASIDE = "nothing_set_aside"
RECONCILED_SUMS = dg.AssetKey(["marts", "reconciled_sums"])
# A file of these may make policies invalid, or mend them.
_OF_POLICIES = (CUSTOMERS.name, TIERS.name)
DELIVERY_COUNTS = dg.AssetKey(["raw", COUNTS_FOLDER])

LANDING_SPECS = [
    dg.AssetSpec(
        ["landing", stream.name],
        description=f"Files dropped under landing/{stream.name}/, by whoever produces them.",
        group_name="landing",
    )
    for stream in STREAMS
]


class RollUpConfig(dg.Config):
    """What may be asked of a roll-up by hand."""

    full_refresh: bool = False


class Translator(DagsterDbtTranslator):
    """Group models by the layer that their folder names."""

    def get_group_name(self, dbt_resource_props: Any) -> str | None:
        if dbt_resource_props["resource_type"] == "source":
            return "lake"
        if dbt_resource_props["resource_type"] == "seed":
            return "seeds"
        return str(dbt_resource_props["fqn"][1])

    def get_asset_check_spec(
        self, asset_spec: dg.AssetSpec, manifest: Any, unique_id: str, project: Any
    ) -> dg.AssetCheckSpec | None:
        """A check does not hold back what comes after: the roll-up fails where a test does."""
        spec = super().get_asset_check_spec(asset_spec, manifest, unique_id, project)
        return spec._replace(blocking=False) if spec else None

    def get_asset_spec(
        self, manifest: Any, unique_id: str, project: Any | None = None
    ) -> dg.AssetSpec:
        """Where a run deletes, it does so before it stages: models see what is left."""
        spec = super().get_asset_spec(manifest, unique_id, project)
        if spec.key.path[0] == "staging":
            return spec.merge_attributes(deps=[RETENTION])
        return spec


class DbtEvents:
    """Turns the results of dbt's nodes into Dagster's events, by the manifest."""

    def __init__(self, manifest_path: Path, translator: DagsterDbtTranslator) -> None:
        self._path = manifest_path
        self._translator = translator

    @cached_property
    def _manifest(self) -> dict[str, Any]:
        manifest: dict[str, Any] = json.loads(self._path.read_text())
        return manifest

    def of_standing(
        self, context: dg.AssetExecutionContext, built: Set[str]
    ) -> Iterator[dg.MaterializeResult[None]]:
        """One event for each model and seed that was found up to date."""
        made = {
            self._translator.get_asset_key(self._manifest["nodes"][node])
            for node in built
            if node.split(".")[0] in {"model", "seed"}
        }
        for key in TopologicalSorter(context.assets_def.asset_deps).static_order():
            if key in context.selected_asset_keys and key not in made:
                yield dg.MaterializeResult(asset_key=key, metadata={"rebuilt": False})

    def of(
        self, context: dg.AssetExecutionContext, results: Sequence[NodeResult]
    ) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
        """One event for each model and seed that was built, and each test that was run."""
        checks = context.selected_asset_check_keys
        for result in results:
            kind = result.unique_id.split(".")[0]
            if kind == "test":
                key = get_asset_check_key_for_test(
                    self._manifest, self._translator, result.unique_id, None
                )
                if key is not None and key in checks:
                    yield dg.AssetCheckResult(
                        asset_key=key.asset_key,
                        check_name=key.name,
                        passed=result.is_ok,
                        metadata={
                            "failures": result.failures or 0,
                            "message": result.message or "",
                        },
                    )
            elif kind in {"model", "seed"} and result.is_ok:
                asset_key = self._translator.get_asset_key(
                    self._manifest["nodes"][result.unique_id]
                )
                if asset_key in context.selected_asset_keys:
                    yield dg.MaterializeResult(
                        asset_key=asset_key, metadata={"seconds": round(result.seconds, 3)}
                    )


def recount(writer: Writer) -> reconciliation.Reconciliation:
    """Compare deliveries, lake and marts. Raises `dagster.Failure` where they differ."""
    proof = reconciliation.reconcile(writer.settings, writer.ledger)
    writer.note(
        events_recounted=proof.events,
        rows_delivered=proof.delivered,
        total_mismatches=proof.total_mismatches,
        conflicting_duplicates=proof.conflicting_duplicates,
        received_in_future=proof.received_in_future,
        withdrawn=proof.withdrawn,
        ids_on_two_dates=proof.ids_on_two_dates,
        differences=len(proof.differences)
        + len(proof.sum_differences)
        + len(proof.file_differences),
        events_lost=proof.lost,
    )
    if not proof.adds_up:
        raise dg.Failure(
            description=f"{len(proof.differences)} groups, {len(proof.sum_differences)} sums and "
            f"{len(proof.file_differences)} files do not add up; `agentstats reconcile` lists them",
            allow_retries=False,
        )
    return proof


def build_assets(manifest: Path) -> list[Any]:
    """Every asset. `manifest` is what dbt makes of its project; `prepare_manifest` makes it."""
    if not manifest.exists():
        raise FileNotFoundError(
            f"{manifest} is not there: `agentstats dagster`, or any `agentstats run`, prepares it"
        )
    translator = Translator()
    events = DbtEvents(manifest, translator)

    @dg.multi_asset(
        name="land",
        specs=[
            dg.AssetSpec(
                ["raw", stream.name],
                deps=[["landing", stream.name]],
                group_name="lake",
                description=f"Checked rows of {stream.name}, as Parquet in the lake.",
            )
            for stream in STREAMS
        ]
        + [
            dg.AssetSpec(
                DELIVERY_COUNTS,
                deps=[["landing", stream.name] for stream in EVENT_STREAMS],
                group_name="lake",
                description="What came of each delivered row, by customer and quarter hour.",
            )
        ],
    )
    @retried_where_it_helps
    def land(
        context: dg.AssetExecutionContext, writer: Writer
    ) -> Iterator[dg.MaterializeResult[None]]:
        """Check what was dropped and write it to the lake, one ledger entry for each file.

        Before that, what is new in the source database is dropped too. A source that cannot be
        read holds nothing up: the files are landed, rolled up and published, then the run fails. So
        it does where a file waits because the lake is damaged at its dates.
        """
        source = pipeline.pull(writer.settings, writer.ledger)
        if source.pulled:
            writer.note(rows_pulled=source.rows)
        for problem in source.problems:
            writer.note_problem(problem)
        loads = pipeline.land(writer.settings, writer.ledger, report_damage=writer.note_problem)
        writer.note(
            files_loaded=sum(load.status == "loaded" for load in loads),
            files_failed=sum(load.status == "failed" for load in loads),
            rows_read=sum(load.rows_read for load in loads),
            rows_accepted=sum(load.accepted for load in loads),
            rows_duplicate=sum(load.duplicates for load in loads),
            rows_rejected=sum(load.rejected for load in loads),
        )
        writer.note_set_aside(
            [
                *files_set_aside(loads),
                *pipeline.passed_over(writer.settings),
                *streams_rejected(writer.settings, loads),
            ]
        )
        if any(load.stream in _OF_POLICIES and load.accepted for load in loads):
            invalid = pipeline.invalid_policies(writer.settings, writer.ledger)
            writer.note_set_aside(policies_invalid(invalid))
        for stream in STREAMS:
            of_stream = [load for load in loads if load.stream == stream.name]
            yield dg.MaterializeResult(
                asset_key=["raw", stream.name],
                metadata={
                    "files": len(of_stream),
                    "failed_files": [
                        f"{load.source_file}: {load.failure}" for load in of_stream if load.failure
                    ],
                    "rows_read": sum(load.rows_read for load in of_stream),
                    "accepted": sum(load.accepted for load in of_stream),
                    "duplicates": sum(load.duplicates for load in of_stream),
                    "rejected": sum(load.rejected for load in of_stream),
                },
            )
        yield dg.MaterializeResult(
            asset_key=DELIVERY_COUNTS,
            metadata={"rows": sum(load.rows_read for load in loads)},
        )

    @dg.asset(
        key=RETENTION,
        group_name="retention",
        deps=[*(["raw", stream.name] for stream in STREAMS), DELIVERY_COUNTS],
    )
    @retried_where_it_helps
    def retention(writer: Writer) -> dg.MaterializeResult[None]:
        """Delete what is past its customer's retention from the lake, then merge small files."""
        settings, ledger = writer.settings, writer.ledger
        try:
            deleted = delete_expired(
                settings,
                ledger,
                run_id=writer.run_id,
                report=lambda done: writer.note(retention_step=f"{done.step}/{done.steps}"),
            )
        except (TooMuch, LakeDamaged) as problem:
            # Another try would find the same.
            raise dg.Failure(description=str(problem), allow_retries=False) from problem
        writer.note_set_aside(policies_invalid(deleted.plan.invalid_policies))
        compaction = compact(settings, ledger)
        metadata: dict[str, Any] = {
            "rows_deleted": deleted.rows,
            "failed_files_deleted": len(deleted.failed_files),
            "exports_deleted": len(deleted.exports),
            "quarantined_files_cleaned": len(deleted.quarantined),
            "customers_without_policy": list(deleted.plan.customers_without_policy),
            "files_merged": compaction.files_before,
        }
        writer.note(**metadata)
        return dg.MaterializeResult(metadata=metadata)

    @dbt_assets(
        manifest=manifest,
        exclude="tag:reconciliation",
        name="roll_up",
        dagster_dbt_translator=translator,
    )
    @retried_where_it_helps
    def roll_up(context: dg.AssetExecutionContext, config: RollUpConfig, writer: Writer) -> Any:
        """Rebuild the dates that were touched, and test them."""
        done = pipeline.roll_up(writer.settings, writer.ledger, full_refresh=config.full_refresh)
        writer.note(
            dates_rebuilt={stream: len(days) for stream, days in done.scope.touched.items()},
            lake_read=vars(done.lake_read),
            full_refresh=done.scope.is_full,
            roll_up_reason=done.scope.reason,
            marts_changed=not done.scope.is_empty,
        )
        writer.note_set_aside(files_set_aside(done.set_aside))
        built = {result.unique_id for result in done.results}
        # What stands as it is, so that what comes after is not skipped.
        yield from events.of_standing(context, built)
        yield from events.of(context, done.results)
        if done.failed:
            raise dg.Failure(
                description="dbt: "
                + "; ".join(f"{node.unique_id}: {node.message}" for node in done.failed),
                allow_retries=done.failed_on_disk,
            )

    @dbt_assets(
        manifest=manifest,
        select="tag:reconciliation",
        name="reconcile",
        dagster_dbt_translator=translator,
    )
    @retried_where_it_helps
    def reconcile(context: dg.AssetExecutionContext, writer: Writer) -> Any:
        """Recount every event in the lake; a difference fails the run before it publishes."""
        proof = recount(writer)
        for key in context.selected_asset_keys:
            yield dg.MaterializeResult(asset_key=key, metadata={"events": proof.events})
        for check in context.selected_asset_check_keys:
            yield dg.AssetCheckResult(asset_key=check.asset_key, check_name=check.name, passed=True)

    @dg.asset(key="landing_archive", group_name="landing", deps=[RECONCILIATION])
    @retried_where_it_helps
    def landing_archive(writer: Writer) -> dg.MaterializeResult[None]:
        """Delete landed files once their load is verified, and those past their retention."""
        deleted = pipeline.clear_archive(writer.settings, writer.ledger)
        writer.note(archived_files_deleted=len(deleted))
        return dg.MaterializeResult(metadata={"deleted": len(deleted)})

    @dg.asset(key=WAREHOUSE_FILE, group_name="retention", deps=[RECONCILIATION])
    @retried_where_it_helps
    def warehouse(writer: Writer) -> dg.MaterializeResult[None]:
        """Write the warehouse's file anew after a deletion: DuckDB keeps deleted bytes in it."""
        rewritten = pipeline.settle_deletions(writer.settings, writer.ledger)
        writer.note(warehouse_rewritten=rewritten)
        return dg.MaterializeResult(metadata={"rewritten": rewritten})

    marts = [key for key in roll_up.keys if key.path[0] == "marts"]

    @dg.asset(key=BACKTEST, group_name="forecasts", deps=[*marts, WAREHOUSE_FILE])
    @retried_where_it_helps
    def forecast_backtest(writer: Writer) -> dg.MaterializeResult[None]:
        """Forecast the past and compare it with what came: how wide intervals have to be."""
        forecasts = backtest(writer.settings, writer.ledger)
        writer.note(forecasts_compared=forecasts)
        return dg.MaterializeResult(metadata={"forecasts": forecasts})

    @dg.asset(
        key=SNAPSHOT,
        group_name="snapshots",
        deps=[*marts, RECONCILIATION, WAREHOUSE_FILE, BACKTEST],
        check_specs=[
            dg.AssetCheckSpec(
                NOTHING_SET_ASIDE,
                asset=SNAPSHOT,
                description="No file was set aside, no policy is invalid, few rows were rejected.",
            )
        ],
    )
    @retried_where_it_helps
    def snapshot(
        context: dg.AssetExecutionContext, writer: Writer
    ) -> Iterator[dg.MaterializeResult[None]]:
        """Publish the marts: a new immutable file, then one move of the pointer."""
        if warehouse_file.is_behind(writer.settings, writer.ledger):
            # A nightly run was cut off after it deleted.
            recount(writer)
            pipeline.settle_deletions(writer.settings, writer.ledger)
        published = pipeline.publish_if_changed(
            writer.settings, writer.ledger, run_id=writer.run_id
        )
        writer.note(
            snapshot_id=published.snapshot_id if published else None,
            snapshot_sorted=published.is_sorted if published else None,
        )
        if writer.problems:
            raise dg.Failure(
                description=f"all that was there is published, but {'; '.join(writer.problems)}",
                allow_retries=False,
            )
        writer.succeeded()
        if writer.set_aside:
            alerts.post(
                writer.settings,
                alerts.Alert(
                    event="set_aside",
                    job=writer.job,
                    run_id=writer.run_id,
                    time=writer.settings.clock(),
                    problem=f"{writer.job} published without some of it: {named(writer.set_aside)}",
                    next=alerts.LOOK_AND_MEND,
                ),
            )
        yield dg.MaterializeResult(
            metadata={
                "published": published is not None,
                **({"snapshot_id": published.snapshot_id} if published else {}),
            },
            check_results=[
                dg.AssetCheckResult(
                    check_name=NOTHING_SET_ASIDE,
                    passed=not writer.set_aside,
                    metadata={"set_aside": writer.set_aside},
                )
            ],
        )

    return [
        *LANDING_SPECS,
        land,
        retention,
        roll_up,
        reconcile,
        landing_archive,
        forecast_backtest,
        warehouse,
        snapshot,
    ]
