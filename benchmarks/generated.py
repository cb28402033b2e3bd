"""Made-up usage of many customers, as Parquet files for the landing folder: always the same."""

from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path

import duckdb

BUSY_DAY = date(2026, 3, 9)
NEW_HOUR = datetime(2026, 3, 10)
NOW = "2026-03-10T01:05:00Z"
ROWS_A_FILE = 2_000_000

# Customer n has about 1/n of the traffic, and an agent for each so many of its events. One in a
# hundred events has no model, one in a hundred a blank one, one in fifty no response time.
EVENTS = """
with numbered as (
    -- No two seeds have a number in common, or they would have an event in common.
    select 4 * (unnest(generate_series(1, $events)) + $seed * 1000000000000) as number
),
drawn as (
    select
        number,
        hash(number) / 18446744073709551615.0 as of_customer,
        hash(number + 1) as of_agent,
        hash(number + 2) as of_rest,
        hash(number + 3) as of_lateness
    from numbered
),
placed as (
    select
        *,
        1 + cast(floor(pow($customers, of_customer)) as bigint) % $customers as customer_id,
        $since::timestamp + to_microseconds(cast(of_agent % ($seconds * 1000000::bigint) as bigint))
        - to_microseconds(cast(
            case when of_lateness % 10000 < 10000 * $late then of_lateness % 259200000000 else 0 end
            as bigint
        )) as occurred_at
    from drawn
)
select
    printf('%016x%016x', of_agent, of_rest) as event_id,
    customer_id,
    customer_id * 1000 + (of_agent % greatest(2, 200 // customer_id))::bigint as agent_id,
    customer_id * 10 + (of_agent % 5)::bigint as agent_type_id,
    case (of_rest >> 6) % 100
        when 0 then null when 1 then '  ' else 'model-' || (of_agent % 3)
    end as model_used,
    (50 + of_rest % 2000)::bigint as input_tokens,
    (20 + (of_rest >> 12) % 900)::bigint as output_tokens,
    null::bigint as total_tokens,
    case when (of_rest >> 40) % 50 > 0 then (200 + (of_rest >> 24) % 9000)::bigint end
        as response_time_ms,
    occurred_at,
    occurred_at + interval 2 seconds as received_at
from placed
"""

# One in ten of those that come twice is changed the second time, a minute later.
DELIVERED_TWICE = """
select * replace (
    case when hash(event_id) % 10 = 0 then output_tokens + 1 else output_tokens end
        as output_tokens,
    case when hash(event_id) % 10 = 0 then received_at + interval 1 minute else received_at end
        as received_at
)
from events limit $twice
"""


@dataclass(frozen=True)
class Traffic:
    """Events of one file: how many, whose, and when.

    They are spread evenly over `seconds` from `since`. The share `late` of them is up to three days
    older, and the share `duplicates` is in the file a second time.
    """

    events: int
    customers: int = 2000
    duplicates: float = 0.01
    since: date | datetime = BUSY_DAY
    seconds: int = 86_400
    late: float = 0
    seed: int = 0


def write_events(path: Path, traffic: Traffic, *, options: str = "format parquet") -> None:
    """Write such a file, in random order.

    In a process of its own: the peak of a program that is measured is never below its parent's.
    """
    process = get_context("spawn").Process(target=_write_events, args=(path, traffic, options))
    process.start()
    process.join()
    if process.exitcode != 0:
        raise RuntimeError(f"{path} could not be written")


def _write_events(path: Path, traffic: Traffic, options: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    drawn = asdict(traffic)
    duplicates = drawn.pop("duplicates")
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'; set enable_progress_bar = false")
        connection.execute(f"create table events as {EVENTS}", drawn)
        connection.execute(
            f"create table delivered_twice as {DELIVERED_TWICE}",
            {"twice": round(traffic.events * duplicates)},
        )
        connection.execute(
            "copy (select * from (select * from events union all select * from delivered_twice)"
            f" order by hash(event_id, {traffic.seed})) to '{path}' ({options})"
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


def write_history(landing: Path, *, days: int, events_a_day: int, customers: int = 2000) -> None:
    """The days up to the busy day, in files of so many whole days that each has some rows."""
    stream = landing / "agent_usage_events"
    days_a_file = max(1, ROWS_A_FILE // events_a_day)
    for first in range(0, days, days_a_file):
        count = min(days_a_file, days - first)
        since = BUSY_DAY - timedelta(days=days - 1 - first)
        traffic = Traffic(
            events_a_day * count,
            customers=customers,
            since=since,
            seconds=86_400 * count,
            seed=100 + first,
        )
        write_events(stream / f"{since}.parquet", traffic)


def write_new_hour(path: Path, events: int, *, seed: int) -> None:
    """Events of the hour after the busy day; one in two hundred is up to three days older."""
    traffic = Traffic(events, since=NEW_HOUR, seconds=3600, late=0.005, seed=seed)
    write_events(path, traffic)
