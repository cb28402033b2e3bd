"""Inputs of the same kinds as the files beside this, made by a test that needs them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb

from installation import Installation, rating, scan, usage_event

PERSON = "alice@example.com"
"""Somebody's data, in columns that are unknown."""
ERASED = 41
"""The customer whose data that is."""
TIED = (23, 24, 25, 26, 27, 28)
"""Customers with two rows of equal or no `updated_at` and different tiers."""
AT = "2026-05-01T08:00:00Z"


def drop_made(installation: Installation) -> None:
    """Drop all of them, each of customers of its own."""
    drop = installation.drop
    _times_out_of_range(installation)
    # A row from the future, and the one that corrects it.
    drop("customers", "future.ndjson", [
        {"customer_id": 22, "tier": "enterprise", "updated_at": "9999-12-31T00:00:00Z"},
        {"customer_id": 22, "tier": "enterprise", "updated_at": "2027-05-01T00:00:00Z"},
    ])  # fmt: skip
    drop("customers", "future_corrected.ndjson", [
        {"customer_id": 22, "tier": "starter", "updated_at": AT},
    ])  # fmt: skip
    _ties(installation)
    _redactions_beyond_every_sum(installation)
    # As a streaming client writes one answer: each line has what has come so far.
    answer = usage_event(1, customer_id=32, total_tokens=None, received_at=None)
    drop("agent_usage_events", "streaming.jsonl", [
        {**answer, "output_tokens": tokens} for tokens in (1, 427, 3)
    ])  # fmt: skip
    drop("agent_usage_events", "named.ndjson", [
        {**usage_event(1, customer_id=ERASED), PERSON: 1, "note": f"by {PERSON}"},
    ])  # fmt: skip
    drop("agent_usage_events", "named.csv", [
        {**usage_event(2, customer_id=ERASED), PERSON: "note"},
    ])  # fmt: skip
    # Of a row that is rejected, what was delivered is kept as it came, names and all.
    drop("audit_events", "named.ndjson", [
        {**scan(1, customer_id=ERASED, toxicity_score=9), "note": PERSON},
    ])  # fmt: skip
    drop("feedback_events", "named.jsonl.gz", [{**rating(1, customer_id=ERASED), "note": PERSON}])


def _times_out_of_range(installation: Installation) -> None:
    installation.drop("customers", "last_offset.ndjson", [
        {"customer_id": 21, "tier": "free", "updated_at": "9999-12-31T23:59:59-23:59"},
        {"customer_id": 21, "tier": "pro", "updated_at": "9999-12-31T23:59:59-18:00"},
        {"customer_id": 21, "tier": "starter", "updated_at": AT},
    ])  # fmt: skip
    good = _as_select(usage_event(2, customer_id=31))
    old = _as_select(usage_event(1, customer_id=31))
    _parquet(
        installation.home / "landing/agent_usage_events/before_christ.parquet",
        f"select * replace (timestamp '4000-06-01 (BC)' as occurred_at) from ({old}) union all "
        f"select * replace (timestamp '2026-05-01 08:00:00' as occurred_at) from ({good})",
    )


def _ties(installation: Installation) -> None:
    """Two versions in one file or in two, with a time or without, in either order."""
    for customer, tiers, times, files in (
        (23, ("free", "enterprise"), AT, 1),
        (24, ("enterprise", "free"), AT, 1),
        (25, ("free", "enterprise"), None, 2),
        (26, ("enterprise", "free"), None, 2),
        (27, ("free", "pro"), AT, 2),
        (28, ("pro", "free"), None, 1),
    ):
        rows = [{"customer_id": customer, "tier": tier, "updated_at": times} for tier in tiers]
        if files == 1:
            installation.drop("customers", f"tie-{customer}.ndjson", rows)
        else:
            for number, row in enumerate(rows):
                installation.drop("customers", f"tie-{customer}-{number}.ndjson", [row])
        # Past the shortest retention, within all the others.
        installation.drop("agent_usage_events", f"tie-{customer}.ndjson", [
            usage_event(1, customer_id=customer, occurred_at="2026-04-20T08:00:00Z"),
        ])  # fmt: skip


def _redactions_beyond_every_sum(installation: Installation) -> None:
    """Each count is a count, but not their sum."""
    entities = "map_from_entries(list_transform(range(1000), lambda n: ('E' || n, 1000000000000)))"
    columns = "33 as customer_id, 1 as agent_id, 5 as agent_type_id"
    time = "timestamp '2026-05-01 08:00:00' as occurred_at"
    _parquet(
        installation.home / "landing/audit_events/beyond_every_sum.parquet",
        f"select 'a' || i as audit_id, {columns}, {entities} as pii_redactions, {time} "
        "from range(94) as numbers (i) "
        f"union all select 'good', {columns}, map {{'E': 1000000000000}}, {time}",
    )


def _as_select(row: dict[str, Any]) -> str:
    """One row of SQL with the row's values in types of their own."""
    fields = []
    for name, value in row.items():
        text = str(value) if isinstance(value, int) else "'" + str(value).replace("'", "''") + "'"
        fields.append(f"{text} as {json.dumps(name)}")
    return "select " + ", ".join(fields)


def _parquet(path: Path, query: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as connection:
        connection.execute(f"copy ({query}) to '{path}' (format parquet, compression zstd)")
