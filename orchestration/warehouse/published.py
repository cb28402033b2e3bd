"""What the warehouse records of its publication: which file, and which dates it rebuilt since.

It is on disk before a date is rebuilt, and again after a file is pointed to. So whatever was cut
off between, the dates are all there, or the file that is current is not the one recorded.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import duckdb

SCHEMA = """
create table if not exists raw.published (snapshot varchar, digest varchar, made_by varchar);
create table if not exists raw.rebuilt_dates (
    stream varchar, occurred_date date, is_published boolean
);
"""


@dataclass(frozen=True)
class Published:
    """The file that was published last from this warehouse.

    `digest` is that of its bytes, `made_by` is the version of models and program. `rebuilt` are
    the dates that were rebuilt since, by stream; `replaced` those and the ones that were replaced
    in the file since it was sorted as a whole.
    """

    snapshot: str
    digest: str
    made_by: str
    rebuilt: Mapping[str, Sequence[date]]
    replaced: Mapping[str, Sequence[date]]


def note_rebuilding(
    warehouse: duckdb.DuckDBPyConnection, touched: Mapping[str, Sequence[date]]
) -> None:
    """Record, inside of the caller's transaction, that these dates may differ from now on."""
    rows = [
        {"stream": stream, "occurred_date": day.isoformat()}
        for stream, days in touched.items()
        for day in days
    ]
    warehouse.execute(
        "insert into raw.rebuilt_dates select *, false from ("
        "select unnest(from_json(?, ?), recursive := true) "
        "except select stream, occurred_date from raw.rebuilt_dates where not is_published)",
        [json.dumps(rows), '[{"stream": "varchar", "occurred_date": "date"}]'],
    )


def discard(warehouse: duckdb.DuckDBPyConnection) -> None:
    """Let the next publication write every mart anew."""
    warehouse.execute("delete from raw.published")


def read(warehouse: duckdb.DuckDBPyConnection) -> Published | None:
    """What is recorded; None where the next publication must write every mart anew."""
    rows = warehouse.execute("select snapshot, digest, made_by from raw.published").fetchall()
    if not rows:
        return None
    rebuilt: dict[str, list[date]] = {}
    replaced: dict[str, list[date]] = {}
    for stream, day, is_rebuilt in warehouse.execute(
        "select stream, occurred_date, bool_or(not is_published) from raw.rebuilt_dates "
        "group by stream, occurred_date order by stream, occurred_date"
    ).fetchall():
        replaced.setdefault(stream, []).append(day)
        if is_rebuilt:
            rebuilt.setdefault(stream, []).append(day)
    snapshot, digest, made_by = rows[0]
    return Published(snapshot, digest, made_by, rebuilt, replaced)


def note(
    warehouse: duckdb.DuckDBPyConnection,
    *,
    snapshot: str,
    digest: str,
    made_by: str,
    is_sorted: bool,
) -> None:
    """Record a file that holds every mart as it is now; `is_sorted` where it was written anew."""
    warehouse.execute("begin")
    if is_sorted:
        warehouse.execute("delete from raw.rebuilt_dates")
    else:
        warehouse.execute(
            "create or replace temp table replaced as "
            "select distinct stream, occurred_date, true from raw.rebuilt_dates"
        )
        warehouse.execute("delete from raw.rebuilt_dates")
        warehouse.execute("insert into raw.rebuilt_dates from replaced")
    warehouse.execute("delete from raw.published")
    warehouse.execute("insert into raw.published values (?, ?, ?)", [snapshot, digest, made_by])
    warehouse.execute("commit")
    # An empty write-ahead log: nothing to replay when the file is opened next.
    warehouse.execute("checkpoint")
