"""The retention of the nightly job, as far as the lake: the marts follow from the dates touched."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

import structlog

from orchestration.lake.deletion import Progress, delete_from_lake
from orchestration.lake.deletion_plan import Plan, Rule, make_plan, refuse_too_much, retention_rule
from orchestration.landing.leftovers import clear_unknown
from orchestration.retention.leftovers import remove_exports, remove_failed_files
from orchestration.retention.quarantine import clean_quarantine
from orchestration.settings import Settings
from orchestration.storage.database import connect
from orchestration.storage.ledger import Ledger

log = structlog.get_logger()


@dataclass(frozen=True)
class Deleted:
    """What a run of retention did. `rows` of the lake; files by their paths."""

    plan: Plan
    rows: int
    failed_files: list[str]
    exports: list[str]
    quarantined: list[str]


def plan_retention(settings: Settings, ledger: Ledger) -> Plan:
    """What the next nightly run would delete."""
    return make_plan(settings, ledger, current_rule(settings, ledger))


def delete_expired(
    settings: Settings,
    ledger: Ledger,
    *,
    run_id: str,
    report: Callable[[Progress], None] = lambda progress: None,
) -> Deleted:
    """Delete what is past its retention from the lake and from copies beside it.

    Raises `TooMuch` before anything is deleted, `LakeDamaged` later.
    """
    rule = current_rule(settings, ledger)
    clear_unknown(settings, ledger)
    plan = make_plan(settings, ledger, rule)
    for customer_id in plan.customers_without_policy:
        log.warning(
            "customer_without_policy",
            customer_id=customer_id,
            then="nothing of it is deleted until a row of landing/customers/ has its tier",
        )
    for customer_id, problem in plan.invalid_policies.items():
        log.warning(
            "policy_invalid",
            customer_id=customer_id,
            problem=problem,
            then="nothing of it is deleted until a valid row is dropped",
        )
    for customer_id, hold_from in plan.hold_from.items():
        log.info("legal_hold", customer_id=customer_id, rows_stay_from=hold_from.isoformat())
    refuse_too_much(plan, settings)
    rows = delete_from_lake(settings, ledger, plan, run_id=run_id, report=report)
    return Deleted(
        plan,
        rows,
        remove_failed_files(settings, rule.kept_from_without_customer),
        remove_exports(settings, rule.kept_from),
        clean_quarantine(settings, ledger, rule, run_id=run_id),
    )


def current_rule(settings: Settings, ledger: Ledger) -> Rule:
    """What is kept by now."""
    settings.scratch.mkdir(parents=True, exist_ok=True)
    with closing(connect(settings)) as connection:
        return retention_rule(connection, settings, ledger)
