"""Delivery counts of what was landed by a version that kept none.

Landing counts the rows of each file by customer and quarter hour, in `verdict`. Of older loads the
lake knows the events that were accepted; what was a duplicate or rejected then, nobody knows by
customer any more.
"""

from __future__ import annotations

from contextlib import closing
from datetime import date

import duckdb
import structlog

from orchestration.database import connect
from orchestration.lake.verified import verified_paths
from orchestration.landing import lake
from orchestration.landing.streams import EVENT_STREAMS, Kind, Stream
from orchestration.landing.sums import MEASURES, written_sums
from orchestration.ledger import LakeFile, Ledger
from orchestration.settings import Settings

EARLIER = "before-counting"

log = structlog.get_logger()


def count_earlier_loads(settings: Settings, ledger: Ledger) -> None:
    """Once for each ledger: count what the lake holds already as accepted."""
    if ledger.first_counted_load() is not None:
        return
    earlier: list[LakeFile] = []
    with closing(connect(settings)) as connection:
        for stream in EVENT_STREAMS:
            for day in ledger.dates_in_lake(stream.name):
                paths = verified_paths(
                    settings.lake, ledger, ledger.lake_files_of(stream.name, [day])
                )
                _count(connection, stream, day, paths)
                earlier += lake.write_counts(connection, stream.name, EARLIER, settings.lake)
    ledger.start_counting(earlier)
    if earlier:
        log.info("earlier_loads_counted", files=len(earlier), of="accepted events only")


def _count(
    connection: duckdb.DuckDBPyConnection, stream: Stream, day: date, paths: list[str]
) -> None:
    """Fill `counted` as `verdict` does, from the lake files of one date."""
    is_mismatch = "false"
    if any(column.kind is Kind.UNTRUSTED_TOTAL for column in stream.columns):
        is_mismatch = "bool_or(is_total_mismatch)"
    added_up = ", ".join(
        f"cast(sum(written_{name}) as decimal(38, 0)) as written_{name}" for name in MEASURES
    )
    connection.execute(
        f"""
        create or replace temp table counted as
        with events as (
            select
                customer_id,
                {written_sums(stream.name)},
                min(occurred_at) as occurred_at,
                {is_mismatch} as is_total_mismatch
            from read_parquet($paths, hive_partitioning = false)
            group by {", ".join(stream.identity)}
        )
        select
            customer_id,
            cast(null as varchar) as reason,
            true as is_dated,
            count(*) as delivered,
            count(*) as accepted,
            cast(0 as bigint) as duplicates,
            cast(0 as bigint) as rejected,
            count(*) filter (is_total_mismatch) as total_mismatches,
            cast(0 as bigint) as conflicting_duplicates,
            cast(0 as bigint) as received_in_future,
            {added_up},
            max(occurred_at) as occurred_at,
            cast($day as date) as occurred_date
        from events
        group by customer_id, time_bucket(interval 15 minutes, occurred_at)
        """,
        {"paths": paths, "day": day},
    )
