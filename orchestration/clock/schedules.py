"""The jobs and when they run, in UTC."""

import dagster as dg

from orchestration.clock.assets import (
    BACKTEST,
    DELIVERY_COUNTS,
    LANDING_SPECS,
    RECONCILED_SUMS,
    RECONCILIATION,
    RETENTION,
    WAREHOUSE_FILE,
)
from orchestration.clock.history import DAGSTER_HISTORY
from orchestration.contract.streams import STREAMS

# A run that is repeated because its worker died starts anew: it finds what the dead one had done,
# and what has arrived since.
_RETRY_TAGS = {"dagster/retry_strategy": "ALL_STEPS"}

# A run brings everything up to date, whatever ticks were missed: no partitions, no catching up.
hourly = dg.define_asset_job(
    "hourly",
    selection=dg.AssetSelection.all()
    - dg.AssetSelection.assets(
        RETENTION,
        RECONCILIATION,
        RECONCILED_SUMS,
        "landing_archive",
        WAREHOUSE_FILE,
        BACKTEST,
        DAGSTER_HISTORY,
    ),
    tags=_RETRY_TAGS,
    description="Load what was dropped, rebuild the dates it touched, test them, publish.",
)

nightly = dg.define_asset_job(
    "nightly",
    selection=dg.AssetSelection.all()
    - dg.AssetSelection.assets(
        *(spec.key for spec in LANDING_SPECS),
        *(["raw", stream.name] for stream in STREAMS),
        DELIVERY_COUNTS,
    ),
    tags=_RETRY_TAGS,
    description=(
        "Delete what is past its retention, merge small files, rebuild the dates touched, recount "
        "all that is there, clear the landing archive, backtest forecasts, publish, delete old "
        "runs of Dagster."
    ),
)

hourly_schedule = dg.ScheduleDefinition(
    name="hourly_at_minute_5",
    job=hourly,
    cron_schedule="5 * * * *",
    execution_timezone="UTC",
    description="Five minutes past each hour, UTC.",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)

nightly_schedule = dg.ScheduleDefinition(
    name="nightly_at_3",
    job=nightly,
    cron_schedule="0 3 * * *",
    execution_timezone="UTC",
    description="At 03:00 UTC.",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
