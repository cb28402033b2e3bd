"""Made-up usage of many customers, as Parquet files for the landing folder: always the same."""

from datetime import date, timedelta
from multiprocessing import get_context
from pathlib import Path

import duckdb

BUSY_DAY = date(2026, 3, 9)
NOW = "2026-03-10T01:05:00Z"

# Customer n has about 1/n of the traffic, and an agent for each so many of its events.
EVENTS = """
with drawn as (
    select
        number,
        hash(number * 3 + 1 + $seed) / 18446744073709551615.0 as of_customer,
        hash(number * 3 + 2 + $seed) as of_agent,
        hash(number * 3 + 3 + $seed) as of_rest
    from (select unnest(generate_series(1, $events)) as number)
),
placed as (
    select *, 1 + cast(floor(pow($customers, of_customer)) as bigint) % $customers as customer_id
    from drawn
)
select
    printf('%016x%016x', of_agent, of_rest) as event_id,
    customer_id,
    customer_id * 1000 + of_agent % greatest(2, 200 // customer_id) as agent_id,
    customer_id * 10 + of_agent % 5 as agent_type_id,
    'model-' || (of_agent % 3) as model_used,
    50 + of_rest % 2000 as input_tokens,
    20 + (of_rest >> 12) % 900 as output_tokens,
    null::bigint as total_tokens,
    200 + (of_rest >> 24) % 9000 as response_time_ms,
    $day::timestamp + to_microseconds(cast(of_agent % 86400000000 as bigint)) as occurred_at,
    $day::timestamp + to_microseconds(cast(of_agent % 86400000000 as bigint) + 2000000)
        as received_at
from placed
"""


def write_events(
    path: Path,
    *,
    events: int,
    customers: int = 2000,
    duplicates: float = 0.01,
    day: date = BUSY_DAY,
    seed: int = 0,
    options: str = "format parquet",
) -> None:
    """Events of one date in random order, and some of them a second time.

    In a process of its own: the peak of a program that is measured is never below its parent's.
    """
    arguments = (path, events, customers, duplicates, day, seed, options)
    process = get_context("spawn").Process(target=_write_events, args=arguments)
    process.start()
    process.join()
    if process.exitcode != 0:
        raise RuntimeError(f"{path} could not be written")


def _write_events(
    path: Path, events: int, customers: int, duplicates: float, day: date, seed: int, options: str
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'; set enable_progress_bar = false")
        connection.execute(
            f"create table events as {EVENTS}",
            {"events": events, "customers": customers, "day": day, "seed": seed},
        )
        connection.execute(
            f"copy (select * from events union all select * from"
            f" (select * from events limit {round(events * duplicates)})"
            f" order by hash(event_id, {seed})) to '{path}' ({options})"
        )


def write_customers(path: Path, *, customers: int = 2000) -> None:
    """A row of each customer; all are kept for seven years."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as connection:
        connection.execute(
            "copy (select range as customer_id, 'Customer ' || range as customer_name,"
            " 'enterprise' as tier, 2557 as retention_days, timestamp '2026-01-01' as updated_at"
            f" from range(1, {customers + 1})) to '{path}' (format parquet)"
        )


def days_before(day: date, count: int) -> list[date]:
    """The dates before a day, oldest first."""
    return [day - timedelta(days=back) for back in range(count, 0, -1)]
