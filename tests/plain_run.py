"""A job's steps, one after the other, without Dagster around them.

Dagster keeps a record of every step, asset and check in databases of its own, which takes longer
than most steps of a small run. Landing, lake, ledger, warehouse and snapshots come out the same
without it: these are the functions of its own assets and checks, in the order of its own graph.
"""

from __future__ import annotations

import inspect
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from types import GeneratorType, SimpleNamespace
from typing import Any, cast

import dagster as dg

from orchestration.cli.in_process import JobOutcome
from orchestration.clock.retries import TAGS_OF_COMMAND_LINE
from orchestration.clock.writer import Writer
from orchestration.monitoring.problems import in_its_words
from orchestration.settings import Settings
from orchestration.storage.ledger import Ledger
from orchestration.warehouse import dbt

# It deletes what Dagster keeps, and there is nothing.
_OF_DAGSTER = "dagster_history"


@dataclass(frozen=True)
class StepContext:
    """What a step asks its context for: which assets and checks it is to report."""

    assets_def: dg.AssetsDefinition

    @property
    def selected_asset_keys(self) -> set[dg.AssetKey]:
        return set(self.assets_def.keys)

    @property
    def selected_asset_check_keys(self) -> set[dg.AssetCheckKey]:
        return set(self.assets_def.check_keys)


def run_plainly(settings: Settings, name: str, run_id: str, *, full_refresh: bool) -> JobOutcome:
    """Run the steps of a job up to the first that fails, as Dagster does by
    `orchestration.cli.in_process`."""
    dbt.prepare_manifest(settings)
    run = SimpleNamespace(run_id=run_id, job_name=name, tags=TAGS_OF_COMMAND_LINE)
    context = cast(dg.InitResourceContext, SimpleNamespace(run=run, instance=...))
    try:
        with Writer().yield_for_execution(context) as writer:
            for step, assets_def in _steps(name):
                _do(step, StepContext(assets_def), writer, full_refresh=full_refresh)
    except Exception as error:
        return JobOutcome(succeeded=False, problem=in_its_words(error))
    with closing(Ledger(settings.ledger_path)) as ledger:
        return JobOutcome(succeeded=True, problem=None, detail=ledger.run(run_id).detail)


@cache
def _steps(name: str) -> list[tuple[Any, dg.AssetsDefinition]]:
    """Each step of a job as the function that somebody wrote, with what it makes in that job."""
    from orchestration.definitions import defs

    job = defs.resolve_job_def(name)
    made = {data.node_handle.name: data.assets_def for data in job.asset_layer.data}
    return [
        # Without the wrapper that has Dagster try again: by hand, nothing is tried again.
        (inspect.unwrap(cast(Any, node.definition).compute_fn.decorated_fn), made[node.name])
        for node in job.nodes_in_topological_order
        if node.name != _OF_DAGSTER
    ]


def _do(step: Any, context: StepContext, writer: Writer, *, full_refresh: bool) -> None:
    from orchestration.clock.assets import RollUpConfig

    available = {
        "context": context,
        "config": RollUpConfig(full_refresh=full_refresh),
        "writer": writer,
    }
    try:
        done = step(**{each: available[each] for each in inspect.signature(step).parameters})
        if isinstance(done, GeneratorType):
            for _ in done:
                pass
    except Exception as error:
        writer.note_failure(error)
        raise
