"""The usage tables with ClickHouse embedded: `python -m … <landing file> <folder> [<exports>]`.

With a folder of exports, nothing is made: the tables that are there are written out as Parquet.
"""

import sys
from pathlib import Path

from chdb.session import Session

from benchmarks.peers.usage import DAILY, EVENT, MEASURES, QUARTER_HOURLY, bucket_sql

COLUMNS = [name for name in EVENT if name not in ("customer_id", "event_id", "received_at")]
CONTENT = ", ".join(COLUMNS)
NEWEST = ", ".join(
    f"tupleElement(newest, {place}) as {name}" for place, name in enumerate(COLUMNS, start=1)
)
SUMS = ", ".join(f"sum(quarter_hour.{measure}) as {measure}" for measure in MEASURES)


def main(landed: Path, target: Path) -> None:
    """One statement for the quarter hours, one for each table of days."""
    session = Session(str(target))
    # A null time sorts before every other; a tie is broken by the content.
    session.query(f"""
        create table {QUARTER_HOURLY} engine = MergeTree
        order by (customer_id, occurred_date, bucket_start) as
        select
            customer_id, agent_id, agent_type_id,
            if(trim(ifNull(model_used, '')) = '', 'unknown', trim(ifNull(model_used, ''))) as model,
            toInt64(count()) as message_count,
            sum(event.input_tokens) as input_tokens,
            sum(event.output_tokens) as output_tokens,
            input_tokens + output_tokens as total_tokens,
            ifNull(sum(response_time_ms), 0) as response_time_ms_sum,
            toInt64(count(response_time_ms)) as response_time_count,
            sumIf(event.output_tokens, response_time_ms > 0) as timed_output_tokens,
            arraySort(groupArray({bucket_sql("intDiv({}, {})")})) as response_time_buckets,
            toStartOfFifteenMinutes(occurred_at) as bucket_start,
            toDate(bucket_start) as occurred_date
        from (
            select customer_id, {NEWEST}
            from (
                select
                    customer_id,
                    argMax(tuple({CONTENT}), (received_at, {CONTENT})) as newest
                from file('{landed}', Parquet)
                group by customer_id, event_id
            )
        ) as event
        group by customer_id, agent_id, agent_type_id, model, bucket_start
        settings session_timezone = 'UTC'
    """)
    for name, groups in DAILY.items():
        keys = ", ".join(groups)
        session.query(f"""
            create table {name} engine = MergeTree order by ({keys}, occurred_date) as
            select {keys}, {SUMS}, occurred_date from {QUARTER_HOURLY} as quarter_hour
            group by {keys}, occurred_date
        """)
    session.close()


def export(target: Path, folder: Path) -> None:
    """Write the tables as Parquet."""
    session = Session(str(target))
    for name in (QUARTER_HOURLY, *DAILY):
        session.query(f"select * from {name} into outfile '{folder / name}.parquet' format Parquet")
    session.close()


if __name__ == "__main__":
    if len(sys.argv) > 3:
        export(Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        main(Path(sys.argv[1]), Path(sys.argv[2]))
