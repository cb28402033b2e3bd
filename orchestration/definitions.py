"""What Dagster loads: the table of contents of the pipeline."""

import dagster as dg

from orchestration.assets import build_assets
from orchestration.schedules import hourly, hourly_schedule, nightly, nightly_schedule
from orchestration.writer import Writer

defs = dg.Definitions(
    assets=build_assets(),
    jobs=[hourly, nightly],
    schedules=[hourly_schedule, nightly_schedule],
    resources={"writer": Writer()},
    # One process for a run: the writer's place is held from its first step to its last.
    executor=dg.in_process_executor,
)
