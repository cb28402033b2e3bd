"""From which date on a customer's figures are whole: what publication adds to the customers mart.

It depends on the day, which a model does not know, and on events that retention has deleted, which
only the ledger still knows of.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta

import duckdb

from orchestration.lake.policy import Policy, cutoffs, latest
from orchestration.storage.ledger import EventTimes, Ledger

# The columns of the customers mart that its model leaves empty.
_TYPES = {
    "customer_id": "bigint",
    "covered_from": "date",
    "data_from": "date",
    "retention_from": "date",
    "first_event_at": "timestamp",
    "newest_event_at": "timestamp",
}


def customers_with_coverage(
    connection: duckdb.DuckDBPyConnection, customers: str, ledger: Ledger, now: datetime
) -> str:
    """A query of the rows of the table `customers`, with what is known at `now` filled in."""
    policies = [
        Policy(customer_id, tier, None, days)
        for customer_id, tier, days in connection.execute(
            f"select customer_id, tier, retention_days from {customers}"
        ).fetchall()
    ]
    # As landing refuses, as the nightly run deletes, and as the API shows.
    kept_from = latest(cutoffs(policies, now), ledger.kept_from())
    times = {each.customer_id: each for each in ledger.event_times()}
    rows = [
        {"customer_id": policy.customer_id, **_coverage(policy.customer_id, kept_from, times)}
        for policy in policies
    ]
    connection.execute(
        "create or replace temp table coverage as "
        "select unnest(from_json(?, ?), recursive := true)",
        [json.dumps(rows), json.dumps([_TYPES])],
    )
    filled = ", ".join(f"coverage.{name} as {name}" for name in _TYPES if name != "customer_id")
    return (
        f"select customers.* replace ({filled}) from {customers} as customers "
        "left join coverage on customers.customer_id = coverage.customer_id"
    )


def _coverage(
    customer_id: int, kept_from: Mapping[int, datetime], times: Mapping[int, EventTimes]
) -> dict[str, str | None]:
    retention_from = kept_from[customer_id].date() if customer_id in kept_from else None
    if customer_id not in times:
        return {"retention_from": _text(retention_from)}
    first, newest = times[customer_id].first_event_at, times[customer_id].newest_event_at
    # The date of the first event began before it, so it may not be whole.
    data_from = first.date() + timedelta(days=1)
    return {
        "covered_from": _text(max(data_from, retention_from or data_from)),
        "data_from": _text(data_from),
        "retention_from": _text(retention_from),
        "first_event_at": _instant(first),
        "newest_event_at": _instant(newest),
    }


def _text(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


def _instant(instant: datetime) -> str:
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat(sep=" ")
