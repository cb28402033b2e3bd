"""Which dates a run rebuilds, and handing them to dbt."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime

import duckdb
import structlog

from orchestration.contract.streams import (
    AGENT_USAGE_EVENTS,
    AUDIT_EVENTS,
    EVENT_STREAMS,
    REFERENCE_STREAMS,
)
from orchestration.errors import AgentstatsError
from orchestration.lake.verified import verified_paths
from orchestration.lake.writing import COUNTS_FOLDER
from orchestration.money import handed_over as prices
from orchestration.money.handed_over import NOT_REPRICED, Repriced
from orchestration.money.price_book import read_price_book
from orchestration.settings import Settings
from orchestration.storage.database import connect, pattern_of
from orchestration.storage.identity_key import read_identity_key
from orchestration.storage.ledger import LakeFile, Ledger
from orchestration.warehouse import dbt, published
from orchestration.warehouse.spark import connection, exchange
from orchestration.warehouse.spark.connection import cluster_of

# What of the lake is read by date, each with dates of its own.
_DATED = (*(stream.name for stream in EVENT_STREAMS), COUNTS_FOLDER)
# A scan takes its model from the response.
_JOINED = (AGENT_USAGE_EVENTS.name, AUDIT_EVENTS.name)
_UNDATED = tuple(stream.name for stream in REFERENCE_STREAMS)

# What is grouped must fit into memory, the lists of response times in it: so many events take about
# a gigabyte.
ROWS_AT_ONCE = 4_000_000

# The version of marts that there are none of.
NO_MARTS = "none"

log = structlog.get_logger()

_SCHEMA = """
create schema if not exists raw;
create table if not exists raw.run_context (toxicity_threshold double);
create table if not exists raw.identity_key (secret varchar);
create table if not exists raw.attributes (name varchar);
create table if not exists raw.touched_dates (stream varchar, occurred_date date);
create table if not exists raw.repriced_dates (occurred_date date);
create table if not exists raw.lake_files (stream varchar, path varchar);
create table if not exists raw.lake_losses (
    stream varchar, customer_id bigint, measure varchar, lost decimal(38, 0), occurred_date date
);
create table if not exists raw.rolled_up (
    touch_seq bigint, toxicity_threshold double, project_fingerprint varchar, touch_id varchar
);
create table if not exists raw.marts_version (marts_version varchar);
create table if not exists raw.recount (recounted_at timestamp);
create table if not exists raw.rolled_up_on (cluster varchar);
create table if not exists raw.forecast_backtest (
    metric varchar, days_ahead integer, series_count bigint, forecast_count bigint,
    covered_count bigint, low_bound double, high_bound double, median_error_percent double,
    median_error_of_mean_percent double, measured_at timestamp
);
"""
_SCHEMA += published.SCHEMA + prices.SCHEMA


class WarehouseUnusable(AgentstatsError):
    """The warehouse is locked by another program; the message says what to do."""


@dataclass(frozen=True)
class Scope:
    """What a run has to rebuild: UTC dates by stream, and of counts, up to change `touch_seq`.

    `repriced` are those of the usage events' dates that have new prices. `is_full` rebuilds every
    table from nothing, `reason` says why. Lake files of the paths in `without` are left out: what
    is built then is a trial.
    """

    touch_seq: int
    touched: Mapping[str, Sequence[date]]
    has_new_names: bool
    is_full: bool
    reason: str
    repriced: Repriced = NOT_REPRICED
    without: frozenset[str] = frozenset()
    touch_id: str | None = None

    @property
    def is_empty(self) -> bool:
        return not (self.is_full or self.has_new_names or any(self.touched.values()))

    @property
    def date_count(self) -> int:
        return len({day for days in self.touched.values() for day in days})


@dataclass(frozen=True)
class LakeRead:
    """How much of the lake a roll-up reads: whole files, their rows and their size in bytes."""

    files: int = 0
    rows: int = 0
    bytes: int = 0

    def __add__(self, other: LakeRead) -> LakeRead:
        return LakeRead(self.files + other.files, self.rows + other.rows, self.bytes + other.bytes)


@contextmanager
def open_warehouse(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    """The warehouse, for this process alone; set aside and made anew where it cannot be opened.

    Nothing is lost with it: the lake and the ledger rebuild it.
    """
    connection = _connect(settings)
    try:
        connection.execute(_SCHEMA)
        yield connection
    finally:
        connection.close()


def _connect(settings: Settings) -> duckdb.DuckDBPyConnection:
    path = settings.warehouse
    try:
        return connect(settings, path)
    except duckdb.Error as error:
        # Not just "lock": a damaged file is one with a bad "block".
        if "Could not set lock" in str(error):
            raise WarehouseUnusable(
                f"{path} is open in another program, which must close it first "
                f"(analysts read snapshots/agentstats.duckdb instead): {error}"
            ) from error
        set_aside(settings, str(error))
        return connect(settings, path)


def reports_damage(settings: Settings, message: str) -> bool:
    """Whether an error says that the warehouse's file is not what was written to it: DuckDB opens a
    file whose end is missing, say, and fails where something comes to read it."""
    is_cut_off = "Could not read enough bytes" in message and str(settings.warehouse) in message
    return is_cut_off or "Corrupt database file" in message


def set_aside(settings: Settings, reason: str) -> None:
    """Move the warehouse's file out of the way, so that it is made anew from the lake."""
    path = settings.warehouse
    log.error("warehouse_set_aside", path=str(path), reason=reason, then="rebuilt from lake")
    for part in (path, path.with_name(path.name + ".wal")):
        if part.exists():
            target = part.with_name(f"{part.name}.broken")
            if target.is_dir():
                # A rename replaces a file by a file only.
                shutil.rmtree(target)
            elif part.is_dir():
                target.unlink(missing_ok=True)
            part.replace(target)


def scope_of_run(settings: Settings, ledger: Ledger, *, full_refresh: bool = False) -> Scope:
    """Compare the ledger with what the warehouse has rolled up."""
    with open_warehouse(settings) as warehouse:
        rows = warehouse.execute(
            "select touch_seq, toxicity_threshold, project_fingerprint, touch_id from raw.rolled_up"
        ).fetchall()
        clusters = warehouse.execute("select cluster from raw.rolled_up_on").fetchall()
        attributes = warehouse.execute("select name from raw.attributes order by name").fetchall()
        identity_keys = warehouse.execute("select secret from raw.identity_key").fetchall()
    newest = ledger.newest_touch_seq()
    reason = ""
    if full_refresh:
        reason = "asked for"
    elif not rows:
        reason = "nothing was rolled up yet"
    elif ledger.touch_id(rows[0][0]) != rows[0][3]:
        reason = "the ledger is another one, or older, than that of the marts"
    elif rows[0][1] != settings.toxicity_threshold:
        reason = f"the toxicity threshold changed from {rows[0][1]}"
    elif rows[0][2] != dbt.project_fingerprint():
        reason = "the models changed"
    elif identity_keys != [(read_identity_key(settings.identity_key_path),)]:
        reason = "ids of end users and sessions are hashed with another key"
    elif [name for (name,) in attributes] != sorted(settings.attribute_names):
        reason = "AGENTSTATS_ATTRIBUTES names other attributes"
    elif settings.engine == "spark" and clusters != [(cluster_of(settings),)]:
        reason = f"{cluster_of(settings)} does not hold what was rolled up last"
    if reason:
        return replace(whole_lake(ledger), has_new_names=True, is_full=True, reason=reason)
    since = rows[0][0]
    changed = ledger.touched_since(since)
    dated = {stream: days for stream, days in changed.items() if stream not in _UNDATED}
    touched = _together(ledger, dated)
    usage = AGENT_USAGE_EVENTS.name
    price_book = read_price_book(settings, ledger)
    with open_warehouse(settings) as warehouse:
        has_new_prices = prices.is_new(warehouse, price_book)
        repriced = prices.repriced_dates(warehouse, price_book, touched.get(usage, []))
    if settings.engine == "spark":
        repriced = repriced.read_from_lake()
    if repriced.dates:
        log.info("prices_changed", dates=len(repriced.dates), dates_read=len(repriced.in_lake))
        touched = {**touched, usage: sorted({*touched.get(usage, []), *repriced.dates})}
    return Scope(
        newest,
        touched,
        has_new_names=has_new_prices or any(stream in changed for stream in _UNDATED),
        is_full=False,
        repriced=repriced,
        reason=f"changes {since + 1} to {newest}" if newest > since else "nothing new",
        touch_id=ledger.touch_id(newest),
    )


def _together(ledger: Ledger, touched: Mapping[str, Sequence[date]]) -> dict[str, Sequence[date]]:
    """Dates by stream, where those of streams that a model joins are the same, as far as the lake
    has rows of both."""
    days = {day for stream in _JOINED for day in touched.get(stream, [])}
    joined = {
        stream: sorted({*touched.get(stream, []), *days.intersection(ledger.dates_in_lake(stream))})
        for stream in _JOINED
    }
    return {**touched, **{stream: dates for stream, dates in joined.items() if dates}}


def whole_lake(ledger: Ledger) -> Scope:
    """Every date of every stream, and of the counts, to read but not to rebuild."""
    touched = {stream: ledger.dates_in_lake(stream) for stream in _DATED}
    newest = ledger.newest_touch_seq()
    return Scope(
        newest,
        touched,
        has_new_names=False,
        is_full=False,
        reason="all dates",
        touch_id=ledger.touch_id(newest),
    )


def parts_of(scope: Scope, ledger: Ledger, *, rows_at_once: int = ROWS_AT_ONCE) -> list[Scope]:
    """The scope in parts to be built one after the other: whole dates, with about so many rows of
    the lake in each, or more where a date alone has more. Only the first part is full."""
    rows: dict[date, int] = {}
    for stream, days in scope.touched.items():
        for day in days:
            rows.setdefault(day, 0)
        for file in ledger.lake_files_of(stream, days):
            if file.occurred_date:
                rows[file.occurred_date] += file.rows
    parts: list[set[date]] = [set()]
    taken = 0
    for day, count in sorted(rows.items()):
        if parts[-1] and taken + count > rows_at_once:
            parts.append(set())
            taken = 0
        parts[-1].add(day)
        taken += count
    return [
        replace(
            scope,
            touched={
                stream: [day for day in days if day in part]
                for stream, days in scope.touched.items()
            },
            has_new_names=scope.has_new_names and number == 0,
            is_full=scope.is_full and number == 0,
        )
        for number, part in enumerate(parts)
    ]


def files_of(ledger: Ledger, scope: Scope) -> list[LakeFile]:
    """The lake files that dbt reads for the scope."""
    return [
        file
        for stream in (*_DATED, *_UNDATED)
        for file in ledger.lake_files_of(stream, _dates_to_read(scope, stream))
        if file.path not in scope.without
    ]


def _dates_to_read(scope: Scope, stream: str) -> list[date] | None:
    """The dates of which a stream's files are read; None for files of no date."""
    if stream in _UNDATED:
        return None
    days = scope.touched.get(stream, [])
    if stream == AGENT_USAGE_EVENTS.name:
        return [day for day in days if day not in scope.repriced.in_marts]
    return list(days)


def hand_over(
    settings: Settings, ledger: Ledger, scope: Scope, *, is_recount: bool = False
) -> LakeRead:
    """Write the scope into the warehouse, where dbt finds it: a table needs no second parse.

    What is to be rebuilt differs from what is published from now on: by these dates, or, where
    everything is rebuilt or recounted, as a whole.
    Returns what dbt will read: these files, and no others. Raises `LakeDamaged` where one of them
    is not what the ledger recorded; nothing is handed over then.
    """
    touched = [
        {"stream": stream, "occurred_date": day.isoformat()}
        for stream, days in scope.touched.items()
        for day in days
    ]
    read = files_of(ledger, scope)
    price_book = read_price_book(settings, ledger)
    usage = [
        pattern_of(settings.lake / file.path)
        for file in read
        if file.folder == AGENT_USAGE_EVENTS.name
    ]
    rebuilt = _dates_to_read(scope, AGENT_USAGE_EVENTS.name)
    # Spark does not read by these names, it compares them.
    named = str if settings.engine == "spark" else pattern_of
    files = [{"stream": file.folder, "path": named(settings.lake / file.path)} for file in read]
    # Whatever dbt reads is looked at here, once for all models.
    verified_paths(settings.lake, ledger, read)
    with open_warehouse(settings) as warehouse:
        warehouse.execute("begin")
        warehouse.execute("delete from raw.run_context")
        warehouse.execute("insert into raw.run_context values (?)", [settings.toxicity_threshold])
        warehouse.execute("delete from raw.identity_key")
        warehouse.execute(
            "insert into raw.identity_key values (?)",
            [read_identity_key(settings.identity_key_path)],
        )
        _fill(
            warehouse,
            "raw.attributes",
            {"name": "varchar"},
            [{"name": name} for name in settings.attribute_names],
        )
        _fill(
            warehouse, "raw.touched_dates", {"stream": "varchar", "occurred_date": "date"}, touched
        )
        _fill(
            warehouse,
            "raw.repriced_dates",
            {"occurred_date": "date"},
            [
                {"occurred_date": day.isoformat()}
                for day in scope.touched.get(AGENT_USAGE_EVENTS.name, [])
                if day in scope.repriced.in_marts
            ],
        )
        prices.note_repricing(warehouse, scope.repriced)
        _fill(warehouse, "raw.lake_files", {"stream": "varchar", "path": "varchar"}, files)
        _fill(
            warehouse,
            "raw.lake_losses",
            {
                "stream": "varchar",
                "customer_id": "bigint",
                "measure": "varchar",
                "lost": "decimal(38, 0)",
                "occurred_date": "date",
            },
            [
                {
                    "stream": loss.stream,
                    "customer_id": str(loss.customer_id),
                    "measure": loss.measure,
                    "lost": str(loss.lost),
                    "occurred_date": loss.occurred_date.isoformat(),
                }
                for loss in ledger.losses()
            ],
        )
        names = prices.names_in_use(warehouse, usage, None if scope.is_full else rebuilt)
        prices.hand_over(warehouse, price_book, names)
        if scope.is_full:
            # Until all of it is built again, nothing is.
            warehouse.execute("delete from raw.rolled_up")
        if scope.is_full or is_recount:
            published.discard(warehouse)
        else:
            published.note_rebuilding(warehouse, scope.touched)
        warehouse.execute("commit")
        if settings.engine == "spark":
            exchange.hand_over(settings, warehouse)
    return LakeRead(len(read), sum(file.rows for file in read), sum(file.bytes for file in read))


def _fill(
    warehouse: duckdb.DuckDBPyConnection,
    table: str,
    types: Mapping[str, str],
    rows: Sequence[Mapping[str, str]],
) -> None:
    """Replace the table's rows, in one statement however many there are."""
    shape = json.dumps([dict(types)])
    warehouse.execute(f"delete from {table}")
    warehouse.execute(
        f"insert into {table} select unnest(from_json(?, ?), recursive := true)",
        [json.dumps(list(rows)), shape],
    )


def rolled_up_to(settings: Settings) -> int:
    """The number of the newest change of the lake that the marts hold; 0 where there are none."""
    with open_warehouse(settings) as warehouse:
        rows = warehouse.execute("select touch_seq from raw.rolled_up").fetchall()
    return int(rows[0][0]) if rows else 0


def has_rolled_up(settings: Settings) -> bool:
    """Whether there are marts: some roll-up of this warehouse came to its end."""
    with open_warehouse(settings) as warehouse:
        return bool(warehouse.execute("select 1 from raw.rolled_up").fetchall())


def has_what_is_built_once(settings: Settings) -> bool:
    """Whether all views and constants of an earlier build stand. A warehouse that was written anew
    has no views, and a recount or a run that was cut off makes some of them; those on Spark are
    its cluster's, which may be another one now."""
    if settings.engine == "spark":
        return False
    with open_warehouse(settings) as warehouse:
        standing = warehouse.execute(
            "select schema_name, view_name from duckdb_views() "
            "union all select schema_name, table_name from duckdb_tables()"
        ).fetchall()
    return set(dbt.built_once(settings)) <= set(standing)


def build(
    settings: Settings, scope: Scope, *, select: Sequence[str], exclude: Sequence[str] = ()
) -> list[dbt.NodeResult]:
    """Build and test what was handed over. On Spark, what is built comes back to the warehouse.

    Raises `DbtFailed`, or `SparkUnavailable`.
    """
    if settings.engine == "duckdb":
        # What Spark knew is no longer kept up to date, nor would retention reach it.
        if settings.spark_tables.exists():
            with open_warehouse(settings) as warehouse:
                warehouse.execute("delete from raw.rolled_up_on")
            exchange.drop_tables(settings)
        return dbt.build(settings, select=select, exclude=exclude, full_refresh=scope.is_full)
    connection.check(settings)
    if scope.is_full:
        dbt.run_operation(settings, "drop_schemas_on_spark")
        exchange.drop_tables(settings)
    elif exchange.was_cut_off(settings):
        dbt.run_operation(settings, "drop_tables_built_whole")
        exchange.remove_unfinished(settings, dbt.tables_built_whole(settings))
    exchange.begin(settings)
    results = dbt.build(settings, select=select, exclude=exclude, full_refresh=scope.is_full)
    if all(result.is_ok for result in results):
        with open_warehouse(settings) as warehouse:
            exchange.take_back(settings, warehouse)
        exchange.end(settings)
    else:
        # Where that is why, one sentence says it better than a failure of each model.
        connection.check(settings)
    return results


def marts_version(settings: Settings) -> str:
    """Which build of the marts the warehouse holds, for comparing with what is published."""
    with open_warehouse(settings) as warehouse:
        rows = warehouse.execute("select marts_version from raw.marts_version").fetchall()
    return str(rows[0][0]) if rows else NO_MARTS


def renew_marts_version(warehouse: duckdb.DuckDBPyConnection) -> None:
    """Note that the marts are no longer those of before."""
    warehouse.execute("delete from raw.marts_version")
    warehouse.execute("insert into raw.marts_version values (?)", [uuid.uuid4().hex])


def recounted_at(settings: Settings) -> datetime | None:
    """When the rows of `reconciliation` were counted last; None before the first recount."""
    with open_warehouse(settings) as warehouse:
        rows = warehouse.execute("select recounted_at from raw.recount").fetchall()
    return rows[0][0].replace(tzinfo=UTC) if rows else None


def price_book(settings: Settings) -> str | None:
    """The id of the price book that the marts were made by; None where there are none."""
    with open_warehouse(settings) as warehouse:
        return prices.price_book_in_marts(warehouse)


def mark_recounted(settings: Settings, warehouse: duckdb.DuckDBPyConnection) -> None:
    """Note that all rows of `reconciliation` were counted now."""
    now = settings.clock().astimezone(UTC).replace(tzinfo=None)
    warehouse.execute("delete from raw.recount")
    warehouse.execute("insert into raw.recount values (?)", [now])


def mark_rolled_up(settings: Settings, scope: Scope, *, has_changed: bool) -> None:
    """Note that the marts hold every change up to the scope's; only once all tests passed."""
    with open_warehouse(settings) as warehouse:
        warehouse.execute("begin")
        warehouse.execute("delete from raw.rolled_up")
        warehouse.execute(
            "insert into raw.rolled_up values (?, ?, ?, ?)",
            [
                scope.touch_seq,
                settings.toxicity_threshold,
                dbt.project_fingerprint(),
                scope.touch_id,
            ],
        )
        prices.settle(warehouse)
        if has_changed:
            renew_marts_version(warehouse)
            if scope.is_full:
                mark_recounted(settings, warehouse)
            warehouse.execute("delete from raw.rolled_up_on")
            if settings.engine == "spark":
                warehouse.execute("insert into raw.rolled_up_on values (?)", [cluster_of(settings)])
        warehouse.execute("commit")
        # An empty write-ahead log: nothing to replay when the file is opened next.
        warehouse.execute("checkpoint")
