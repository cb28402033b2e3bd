"""What Dagster loads: the table of contents of the pipeline."""

import dagster as dg

from orchestration.clock.assets import build_assets
from orchestration.clock.freshness_checks import freshness_checks
from orchestration.clock.history import dagster_history
from orchestration.clock.schedules import hourly, hourly_schedule, nightly, nightly_schedule
from orchestration.clock.sensors import data_stops, files_arrive, runs_fail
from orchestration.clock.writer import Writer
from orchestration.settings import read_settings
from orchestration.warehouse.dbt import manifest_path

defs = dg.Definitions(
    assets=[*build_assets(manifest_path(read_settings())), dagster_history],
    asset_checks=[freshness_checks],
    jobs=[hourly, nightly],
    schedules=[hourly_schedule, nightly_schedule],
    sensors=[files_arrive, runs_fail, data_stops],
    resources={"writer": Writer()},
    # One process for a run: the writer lock is taken from its first step to its last.
    executor=dg.in_process_executor,
)
