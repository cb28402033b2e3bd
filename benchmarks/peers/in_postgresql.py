"""The usage tables in PostgreSQL: `python -m … <landing file> <address> [<exports>]`.

With a folder of exports, nothing is made: the tables that are there are written out as CSV.
"""

import sys
from pathlib import Path

import polars
import psycopg

from benchmarks.peers.usage import DAILY, EVENT, MEASURES, QUARTER_HOURLY, bucket_sql

ROWS_AT_ONCE = 200_000
EVENTS = """
create unlogged table events (
    customer_id bigint, event_id text, agent_id bigint, agent_type_id bigint, model_used text,
    input_tokens bigint, output_tokens bigint, response_time_ms bigint, occurred_at timestamp,
    received_at timestamp
)
"""
# Nearly every event came once: only the others are sorted.
QUARTER_HOURS = f"""
create table {QUARTER_HOURLY} as
with repeated as materialized (
    select customer_id, event_id from events group by customer_id, event_id having count(*) > 1
),
delivered_once as (
    select * from events where not exists (
        select 1 from repeated
        where repeated.customer_id = events.customer_id and repeated.event_id = events.event_id
    )
),
newest as (
    select distinct on (customer_id, event_id) events.*
    from events join repeated using (customer_id, event_id)
    order by customer_id, event_id, received_at desc nulls last, events::text desc
)
select
    customer_id, agent_id, agent_type_id,
    coalesce(nullif(trim(model_used), ''), 'unknown') as model,
    count(*) as message_count,
    cast(sum(input_tokens) as bigint) as input_tokens,
    cast(sum(output_tokens) as bigint) as output_tokens,
    cast(sum(input_tokens + output_tokens) as bigint) as total_tokens,
    cast(coalesce(sum(response_time_ms), 0) as bigint) as response_time_ms_sum,
    count(response_time_ms) as response_time_count,
    cast(coalesce(sum(output_tokens) filter (where response_time_ms > 0), 0) as bigint)
        as timed_output_tokens,
    coalesce(
        array_agg({{bucket}} order by response_time_ms) filter (where response_time_ms is not null),
        array[]::bigint[]
    ) as response_time_buckets,
    date_bin('15 minutes', occurred_at, timestamp '2000-01-01') as bucket_start,
    cast(occurred_at as date) as occurred_date
from (select * from delivered_once union all select * from newest) as unique_events
group by customer_id, agent_id, agent_type_id, model, bucket_start, occurred_date
"""
SUMS = ", ".join(f"cast(sum({measure}) as bigint) as {measure}" for measure in MEASURES)


def main(landed: Path, address: str) -> None:
    """COPY the events in, then SQL."""
    with psycopg.connect(address, autocommit=True) as session:
        for name in ("events", QUARTER_HOURLY, *DAILY):
            session.execute(f"drop table if exists {name}")
        session.execute(EVENTS)
        events = polars.read_parquet(landed, columns=list(EVENT)).select(EVENT)
        with session.cursor().copy("copy events from stdin (format csv)") as copy:
            for part in events.iter_slices(ROWS_AT_ONCE):
                copy.write(part.write_csv(include_header=False))
        session.execute("analyze events")
        session.execute(QUARTER_HOURS.format(bucket=bucket_sql("{} / {}")))
        session.execute(f"analyze {QUARTER_HOURLY}")
        for name, groups in DAILY.items():
            keys = ", ".join(groups)
            session.execute(
                f"create table {name} as select {keys}, {SUMS}, occurred_date"
                f" from {QUARTER_HOURLY} group by {keys}, occurred_date"
            )


def export(address: str, folder: Path) -> None:
    """Write the tables as CSV."""
    with psycopg.connect(address) as session:
        for name in (QUARTER_HOURLY, *DAILY):
            columns = "*"
            if name == QUARTER_HOURLY:
                [[columns]] = session.execute(
                    "select string_agg(case column_name when 'response_time_buckets'"
                    " then 'array_to_json(response_time_buckets) as response_time_buckets'"
                    " else column_name end, ', ' order by ordinal_position)"
                    " from information_schema.columns where table_name = %s",
                    [name],
                )
            query = f"copy (select {columns} from {name}) to stdout (format csv, header)"
            with (
                (folder / f"{name}.csv").open("wb") as file,
                session.cursor().copy(query) as copied,
            ):
                for part in copied:
                    file.write(part)


if __name__ == "__main__":
    if len(sys.argv) > 3:
        export(sys.argv[2], Path(sys.argv[3]))
    else:
        main(Path(sys.argv[1]), sys.argv[2])
