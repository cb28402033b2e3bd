"""The freshness of the data as asset checks: red in Dagster when data stops."""

# No postponed annotations here: Dagster checks the type of `context`.
from collections.abc import Iterator

import dagster as dg

from orchestration.clock.retries import retried_where_it_helps
from orchestration.clock.writer import Writer
from orchestration.contract.streams import AGENT_USAGE_EVENTS
from orchestration.monitoring.freshness import (
    NEW_DATA_ARRIVES,
    PUBLISHED_DATA_IS_RECENT,
    Freshness,
    check_freshness,
)

_ASSETS = {
    NEW_DATA_ARRIVES: dg.AssetKey(["raw", AGENT_USAGE_EVENTS.name]),
    PUBLISHED_DATA_IS_RECENT: dg.AssetKey("snapshot"),
}


@dg.multi_asset_check(
    name="freshness",
    # The nightly job publishes, but loads nothing.
    can_subset=True,
    specs=[
        dg.AssetCheckSpec(
            NEW_DATA_ARRIVES,
            asset=_ASSETS[NEW_DATA_ARRIVES],
            description="An event was accepted within the last AGENTSTATS_FRESHNESS_HOURS.",
        ),
        dg.AssetCheckSpec(
            PUBLISHED_DATA_IS_RECENT,
            asset=_ASSETS[PUBLISHED_DATA_IS_RECENT],
            description="An event of the last AGENTSTATS_FRESHNESS_HOURS is published.",
        ),
    ],
)
@retried_where_it_helps
def freshness_checks(
    context: dg.AssetCheckExecutionContext, writer: Writer
) -> Iterator[dg.AssetCheckResult]:
    """Look at the data now; the sensor `data_stops` does it between the runs too."""
    for each in check_freshness(writer.settings):
        key = dg.AssetCheckKey(_ASSETS[each.check], each.check)
        if key in context.selected_asset_check_keys:
            yield dg.AssetCheckResult(
                check_name=key.name,
                asset_key=key.asset_key,
                passed=each.is_fresh,
                metadata=_metadata(each),
            )


def evaluation_of(each: Freshness) -> dg.AssetCheckEvaluation:
    """The same as an event without a run: red although no run starts, or the queue is stuck."""
    return dg.AssetCheckEvaluation(
        asset_key=_ASSETS[each.check],
        check_name=each.check,
        passed=each.is_fresh,
        metadata=_metadata(each),
        severity=dg.AssetCheckSeverity.ERROR,
    )


def _metadata(each: Freshness) -> dict[str, str | float]:
    return {
        "newest": f"{each.newest:%Y-%m-%d %H:%M} UTC" if each.newest else "none",
        "allowed_hours": each.allowed_hours,
        **({"age_hours": each.age_hours} if each.age_hours is not None else {}),
        **({"problem": each.problem} if each.problem else {}),
    }
