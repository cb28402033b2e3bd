"""How long each customer's data is kept: the customers in the lake, the tiers of the seed.

The days come from the macro that the customers mart uses, so that landing, deletion and the API
cannot disagree.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

import duckdb
from jinja2 import Template

from orchestration.contract.streams import CUSTOMERS, MAX_RETENTION_DAYS
from orchestration.lake.names import rows_of
from orchestration.lake.verified import verified_paths
from orchestration.settings import CHECKOUT, Settings
from orchestration.storage.database import pattern_of
from orchestration.storage.ledger import Ledger
from orchestration.storage.sql import literal

_MACROS = CHECKOUT / "dbt_project" / "macros"
_TIERS = CHECKOUT / "dbt_project" / "seeds" / "retention_policies.csv"


@dataclass(frozen=True)
class Policy:
    """What a customer's newest row says, and the `days` that are kept by it.

    `days` is None where there is no valid policy.
    """

    customer_id: int
    tier: str
    days_given: int | None
    days: int | None


def customer_files(settings: Settings, ledger: Ledger) -> list[str]:
    """The lake files that policies are read from. Raises `LakeDamaged`."""
    return verified_paths(settings.lake, ledger, ledger.lake_files_of(CUSTOMERS.name))


def read_policies(connection: duckdb.DuckDBPyConnection, paths: Sequence[str]) -> list[Policy]:
    """The policy of each customer that the `customer_files` have a row of, by customer."""
    if not paths:
        return []
    days = _rendered("{{ retention_days('policy', 'customer') }}")
    newest_first = _rendered(f"{{{{ newest_first('{CUSTOMERS.name}') }}}}")
    tiers = f"read_csv({literal(pattern_of(_TIERS))}, hive_partitioning = false)"
    rows = connection.execute(
        f"""
        select customer.customer_id, customer.tier, customer.retention_days, {days}
        from (
            select * from {rows_of(CUSTOMERS)}
            qualify row_number() over (
                partition by customer_id
                order by {newest_first}
            ) = 1
        ) as customer
        left join {tiers} as policy on customer.tier = policy.tier
        order by customer.customer_id
        """,
        {"paths": list(paths)},
    ).fetchall()
    return [Policy(*row) for row in rows]


def invalid_policies(policies: Sequence[Policy]) -> dict[int, str]:
    """Why nothing is deleted of a customer, of each whose newest row has no valid policy."""
    tiers = [tier["tier"] for tier in _tiers()]
    return {
        policy.customer_id: f"tier {policy.tier!r} is unknown; tiers are {', '.join(tiers)}"
        if policy.tier not in tiers
        else f"retention_days {policy.days_given} is not within 1 to {MAX_RETENTION_DAYS}"
        for policy in policies
        if policy.days is None
    }


def cutoffs(policies: Sequence[Policy], now: datetime) -> dict[int, datetime]:
    """The first instant that is kept, by customer; none for a customer without a valid policy.

    It is the midnight of UTC that is the policy's days before the UTC date of `now`.
    """
    return {
        policy.customer_id: midnight(now) - timedelta(days=policy.days)
        for policy in policies
        if policy.days is not None
    }


def strictest_cutoff(policies: Sequence[Policy], now: datetime) -> datetime:
    """The cutoff of what is of an unknown customer: that of the shortest policy."""
    of_tiers = [int(tier["retention_days"]) for tier in _tiers() if tier["retention_days"]]
    of_customers = [policy.days for policy in policies if policy.days is not None]
    return midnight(now) - timedelta(days=min(of_tiers + of_customers))


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


def _tiers() -> list[dict[str, str]]:
    with _TIERS.open(newline="") as file:
        return list(csv.DictReader(file))


def _rendered(call: str) -> str:
    """What a macro of the dbt project says, where there is no dbt."""
    files = ("retention.sql", "content_hash.sql", "which_version.sql")
    macros = "".join((_MACROS / name).read_text() for name in files)
    return Template(macros + call).render(dbt=_OfDuckDB()).strip()


class _OfDuckDB:
    """What macros ask dbt about the engine."""

    @staticmethod
    def type_string() -> str:
        return "varchar"
