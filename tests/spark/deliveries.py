"""Landing files of any number of events, written by SQL from the numbers 0, 1, 2 …

An event's content follows from its number, so that the same number again is the same event again.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import duckdb

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAYS = 30
CUSTOMERS = range(1, 61)

_STREAMS = {
    "agent_usage_events": """
        'response-' || number as event_id,
        customer_id,
        1 + number % 11 as agent_id,
        1 + number % 5 as agent_type_id,
        case when number % 97 > 0 then 'model-' || number % 4 end as model_used,
        hash(number) % 4000 as input_tokens,
        (hash(number + 1) + $version) % 900 as output_tokens,
        case when number % 13 > 0 then hash(number + 2) % 60000 end as response_time_ms,
    """,
    "audit_events": """
        'scan-' || number as audit_id,
        customer_id,
        1 + number % 11 as agent_id,
        1 + number % 5 as agent_type_id,
        case when number % 10 > 0 then 'response-' || number // 2 end as event_id,
        -- Powers of ten that engines write down differently, for those that come in versions.
        (hash(number + 3) % 1000) / 1000.0 * power(0.1, number % 7)::double as toxicity_score,
        case number % 3 when 0 then (number + $version) % 2 = 0 end as is_toxic,
        case when number % 4 > 0 then map {
            'PERSON': hash(number + 4) % 4, 'EMAIL_ADDRESS': (hash(number + 5) + $version) % 3
        } end as pii_redactions,
    """,
    "feedback_events": """
        'rating-' || number as feedback_id,
        customer_id,
        1 + number % 5 as agent_type_id,
        case when number % 6 > 0 then 1 + number % 11 end as agent_id,
        1 + (hash(number + 6) + $version) % 5 as rating,
        case when number % 8 > 0 then hash(number + 7) % 12 end as running_instances,
    """,
}
_SHARES = {"agent_usage_events": 0.8, "audit_events": 0.15, "feedback_events": 0.05}


def write_events(
    landing: Path,
    name: str,
    first: int,
    last: int,
    *,
    customers: range = CUSTOMERS,
    days: range = range(DAYS),
    only: range = range(DAYS * 10),
    version: int = 0,
    received: str = "occurred_at + interval 1 second",
    withdraws: bool = False,
) -> None:
    """Write the events from `first` to before `last`, over all streams, in a file of each.

    They are spread over `days`, which are days before now; those of the days `only` are written.
    Another `version` is another content of
    the same events; `received` is SQL over occurred_at for when they came. Where `withdraws`, every
    third row withdraws its event.
    """
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'; set enable_progress_bar = false")
        deleted = "number % 3 = 0 as deleted," if withdraws else ""
        for seed, (stream, share) in enumerate(_SHARES.items()):
            folder = landing / stream
            folder.mkdir(parents=True, exist_ok=True)
            connection.execute(
                f"""
                create or replace temp table events as
                select {_STREAMS[stream]} {deleted} occurred_at, {received} as received_at
                from (
                    select
                        number,
                        $customer + number % $customers as customer_id,
                        timestamp '2026-03-01 11:59:59' - to_microseconds(cast(
                            $day * 86400000000 + hash(number * 7 + $seed) % ($days * 86400000000)
                            as bigint
                        )) as occurred_at
                    from range($first, $last) as numbers (number)
                ) as placed
                where date_diff('day', occurred_at, timestamp '2026-03-01 11:59:59')
                    between $only_from and $only_to
                """,
                {
                    "first": int(first * share),
                    "last": int(last * share),
                    "customer": customers.start,
                    "customers": len(customers),
                    "day": days.start,
                    "days": len(days),
                    "seed": seed,
                    "only_from": only.start,
                    "only_to": only.stop - 1,
                    "version": version,
                },
            )
            connection.execute(f"copy events to '{folder}/{name}.parquet' (format parquet)")


def write_customers(landing: Path, name: str, tiers: str, updated_at: str) -> None:
    """Write a row of every customer, and of two more; `tiers` is SQL over customer_id."""
    (landing / "customers").mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as connection:
        connection.execute(
            f"""
            copy (
                select customer_id, 'Customer ' || customer_id as customer_name, {tiers} as tier,
                    null::bigint as retention_days, timestamp '{updated_at}' as updated_at
                from range({CUSTOMERS.start}, {CUSTOMERS.stop + 2}) as customers (customer_id)
            ) to '{landing}/customers/{name}.parquet' (format parquet)
            """
        )
