"""How long each customer's data is kept: by the customers, tiers and legal holds in the lake, and
the built-in tiers of the seed.

The days come from the macros that the marts of customers and tiers use, so that landing, deletion
and the API cannot disagree.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

import duckdb

from api.installation import dbt_project
from orchestration.contract.streams import CUSTOMERS, LEGAL_HOLDS, MAX_RETENTION_DAYS, TIERS
from orchestration.lake.newest import newest_rows, rendered
from orchestration.lake.verified import verified_paths
from orchestration.settings import Settings
from orchestration.storage.database import pattern_of
from orchestration.storage.ledger import Ledger
from orchestration.storage.sql import literal

_BUILT_IN_TIERS = dbt_project() / "seeds" / "retention_policies.csv"


@dataclass(frozen=True)
class PolicyFiles:
    """The lake files that policies are read from."""

    customers: Sequence[str]
    tiers: Sequence[str]
    legal_holds: Sequence[str]


@dataclass(frozen=True)
class Policy:
    """What a customer's newest row says, and the `days` that are kept by it.

    `days` is None where there is no valid policy.
    """

    customer_id: int
    tier: str
    days_given: int | None
    days: int | None


@dataclass(frozen=True)
class Tier:
    """How many days a tier keeps: of all its customers, or of each within its own bounds."""

    tier: str
    retention_days: int | None
    default_retention_days: int | None
    max_retention_days: int | None


@dataclass(frozen=True)
class Policies:
    """The policy of each customer that has a row, by customer; the tiers that hold, by name; and of
    customers under a legal hold the UTC date that it begins with."""

    of_customers: Sequence[Policy]
    tiers: Mapping[str, Tier]
    hold_from: Mapping[int, date]


def policy_files(settings: Settings, ledger: Ledger) -> PolicyFiles:
    """The lake files that policies are read from. Raises `LakeDamaged`."""
    customers, tiers, legal_holds = (
        verified_paths(settings.lake, ledger, ledger.lake_files_of(stream.name))
        for stream in (CUSTOMERS, TIERS, LEGAL_HOLDS)
    )
    return PolicyFiles(customers, tiers, legal_holds)


def read_policies(connection: duckdb.DuckDBPyConnection, files: PolicyFiles) -> Policies:
    """The policies by what is in the files."""
    newest_rows(connection, "newest_tier", TIERS, files.tiers)
    newest_rows(connection, "newest_customer", CUSTOMERS, files.customers)
    newest_rows(connection, "newest_legal_hold", LEGAL_HOLDS, files.legal_holds)
    built_in = f"read_csv({literal(pattern_of(_BUILT_IN_TIERS))}, hive_partitioning = false)"
    holding = rendered(f"{{{{ tiers_that_hold({built_in!r}, 'newest_tier') }}}}")
    connection.execute(f"create or replace temp table tier_that_holds as {holding}")
    tiers = connection.execute(
        "select tier, retention_days, default_retention_days, max_retention_days "
        "from tier_that_holds order by is_built_in desc, max_retention_days nulls first, "
        "retention_days, tier"
    ).fetchall()
    days = rendered("{{ retention_days('policy', 'customer') }}")
    customers = connection.execute(
        f"""
        select customer.customer_id, customer.tier, customer.retention_days, {days}
        from newest_customer as customer
        left join tier_that_holds as policy on customer.tier = policy.tier
        order by customer.customer_id
        """
    ).fetchall()
    hold_from = connection.execute(
        "select customer_id, hold_from from newest_legal_hold where released is not true "
        "order by customer_id"
    ).fetchall()
    return Policies(
        [Policy(*row) for row in customers],
        {row[0]: Tier(*row) for row in tiers},
        dict(hold_from),
    )


def invalid_policies(policies: Policies) -> dict[int, str]:
    """Why nothing is deleted of a customer, of each whose newest row has no valid policy."""
    return {
        policy.customer_id: _what_is_wrong(policy, policies.tiers)
        for policy in policies.of_customers
        if policy.days is None
    }


def _what_is_wrong(policy: Policy, tiers: Mapping[str, Tier]) -> str:
    tier = tiers.get(policy.tier)
    if tier is None:
        return f"tier {policy.tier!r} is unknown; tiers are {', '.join(tiers)}"
    if tier.retention_days is not None:
        return _out_of_range(f"tier {tier.tier!r} has retention_days", tier.retention_days)
    if tier.max_retention_days is not None and policy.days_given is not None:
        most = min(tier.max_retention_days, MAX_RETENTION_DAYS)
        return _out_of_range("retention_days", policy.days_given, "is not", most)
    if tier.default_retention_days is not None:
        most = min(tier.max_retention_days or MAX_RETENTION_DAYS, MAX_RETENTION_DAYS)
        what = f"tier {tier.tier!r} has default_retention_days"
        return _out_of_range(what, tier.default_retention_days, most=most)
    return f"tier {tier.tier!r} says neither how many days it keeps nor how many by default"


def _out_of_range(
    what: str, days: int, verb: str = "which is not", most: int = MAX_RETENTION_DAYS
) -> str:
    comma = "," if verb.startswith("which") else ""
    return f"{what} {days}{comma} {verb} within 1 to {most}"


def cutoffs(policies: Sequence[Policy], now: datetime) -> dict[int, datetime]:
    """The first instant that is kept, by customer; none for a customer without a valid policy.

    It is the midnight of UTC that is the policy's days before the UTC date of `now`.
    """
    return {
        policy.customer_id: midnight(now) - timedelta(days=policy.days)
        for policy in policies
        if policy.days is not None
    }


def kept_from(
    policies: Policies,
    now: datetime,
    *,
    deleted: Mapping[int, datetime],
    erased: Mapping[int, datetime],
) -> dict[int, datetime]:
    """The first instant that is kept of each customer of whom something goes.

    It is that of the policy, or a later one that the customer's data was `deleted` up to; an
    earlier one where a legal hold begins before; and never one before what was `erased`.
    """
    without_holds = latest(cutoffs(policies.of_customers, now), deleted)
    hold_from = {
        customer_id: datetime.combine(day, time.min, tzinfo=UTC)
        for customer_id, day in policies.hold_from.items()
    }
    with_holds = {
        customer_id: min(instant, hold_from.get(customer_id, instant))
        for customer_id, instant in without_holds.items()
    }
    return latest(with_holds, erased)


def strictest_cutoff(policies: Policies, now: datetime) -> datetime:
    """The cutoff of what is of an unknown customer: that of the shortest policy."""
    days = [tier.retention_days for tier in policies.tiers.values()]
    days += [policy.days for policy in policies.of_customers]
    valid = [each for each in days if each is not None and 1 <= each <= MAX_RETENTION_DAYS]
    return midnight(now) - timedelta(days=min(valid, default=MAX_RETENTION_DAYS))


def midnight(instant: datetime) -> datetime:
    """The start of the UTC date of `instant`."""
    return datetime.combine(instant.astimezone(UTC).date(), time.min, tzinfo=UTC)


def fill_cutoffs(
    connection: duckdb.DuckDBPyConnection, table: str, kept_from: Mapping[int, datetime]
) -> None:
    """Make the table (customer_id, kept_from) anew; DuckDB's instants have no zone and are UTC."""
    connection.execute(f"create or replace table {table} (customer_id bigint, kept_from timestamp)")
    rows = [
        {"customer_id": customer_id, "kept_from": _naive(instant).isoformat(sep=" ")}
        for customer_id, instant in kept_from.items()
    ]
    connection.execute(
        f"insert into {table} select unnest(from_json(?, ?), recursive := true)",
        [json.dumps(rows), json.dumps([{"customer_id": "bigint", "kept_from": "timestamp"}])],
    )


def latest(*kept_from: Mapping[int, datetime]) -> dict[int, datetime]:
    """For each customer of any of them the latest instant."""
    return {
        customer_id: max(each[customer_id] for each in kept_from if customer_id in each)
        for customer_id in sorted(set().union(*kept_from))
    }


def _naive(instant: datetime) -> datetime:
    return instant.astimezone(UTC).replace(tzinfo=None)
