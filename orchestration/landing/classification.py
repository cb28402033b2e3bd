"""What becomes of each row of a file: accepted, a duplicate, or rejected with a reason.

The rows of the file at hand live in tables of one connection:

- `checked`: every row, typed, with its `reason` (NULL for a good row);
- `dropped`: the rowids of good rows that say nothing new and are not written to the lake;
- `kept_versions`: the rowids of good rows that are written beside another of the same identity, in
  the lake or in the file;
- `counted`: for events, what came of the rows of each customer, quarter hour and reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

import duckdb

from orchestration.contract.streams import (
    ANOMALIES,
    DELETED,
    MAX_RETENTION_DAYS,
    Kind,
    Stream,
)
from orchestration.contract.sums import MEASURES, written_sums
from orchestration.lake.names import rows_of
from orchestration.landing import extra
from orchestration.landing.checks import (
    FUTURE_TOLERANCE,
    absent_value,
    reason_of_rejection,
    stored_values,
    typed_value,
    unknown_time_zone,
)
from orchestration.landing.files import LandedFile
from orchestration.landing.rows import RowSource
from orchestration.storage.sql import literal, quoted

# Whether a row counts at the time that it occurred. A rejected row may lack a time, or have one
# that is wrong, yet to come, or past its retention: such a row counts when it was delivered.
_IS_DATED = f"""
    reason is null or coalesce(
        occurred_at <= now_instant + {FUTURE_TOLERANCE}
        and occurred_at >= coalesce(kept_from, now_instant - interval {MAX_RETENTION_DAYS} day),
        false
    )
"""


# Whether the time of receipt is one that no clock can have shown yet.
_IS_AHEAD = f"coalesce(received_at > now_instant + {FUTURE_TOLERANCE}, false)"


@dataclass(frozen=True)
class RowCounts:
    """Counts of rows of one file; rows_read = accepted + duplicates + rejected.

    `conflicting_duplicates` are duplicates whose content differs from what was known, counted
    once for each different content; `total_mismatches` are good rows, accepted or duplicate, whose
    total_tokens is not the sum of its parts, and `received_in_future` those whose time of receipt
    was taken as unknown. `withdrawn` are those of the accepted rows that withdraw an event.
    `extra_left_out` are values of unknown columns that were not kept, and
    `unknown_time_zones` good rows that name a time zone which there is not, taken as null.
    """

    rows_read: int
    accepted: int
    duplicates: int
    rejected_by_reason: dict[str, int]
    conflicting_duplicates: int
    total_mismatches: int
    received_in_future: int
    extra_left_out: int
    unknown_time_zones: int = 0
    withdrawn: int = 0

    @property
    def rejected(self) -> int:
        return sum(self.rejected_by_reason.values())


def check_rows(
    connection: duckdb.DuckDBPyConnection,
    file: LandedFile,
    rows: RowSource,
    now: datetime,
    *,
    keeps_extra: bool = True,
) -> None:
    """Fill `checked`. Of the first instant that is kept of a customer there must be a table
    (customer_id, kept_from): `retention` for events, `erased` for reference rows.

    Raises `duckdb.Error` where the file cannot be read to its end.
    """
    stream = file.stream
    values = []
    for column in stream.columns:
        value = absent_value(column)
        if column.name in rows.types:
            raw = quoted(f"raw_{column.name}")
            value = typed_value(column, raw, rows.types[column.name])
        values.append(f"{value} as {quoted(column.name)}")
    stored = stored_values(stream, rows.types)
    if not stream.is_reference:
        stored["received_at"] = f"case when not {_IS_AHEAD} then received_at end"
    lake_values = [
        f"{stored.get(name, quoted(name))} as {quoted(name)}" for name, _ in stream.lake_columns
    ]
    if not stream.is_of_customers:
        values.append("cast(null as bigint) as customer_id")
        lake_values.append("customer_id")
    retention = "erased" if stream.is_reference else "retention"
    if not stream.is_reference:
        lake_values.append("cast(occurred_at as date) as occurred_date")
        lake_values.append(f"{_IS_DATED} as is_dated")
    is_ahead = "false" if stream.is_reference else _IS_AHEAD
    has_extra = keeps_extra and rows.unknown_columns
    has_content = "reason is null"
    if DELETED in rows.types and stream.of_withdrawals:
        has_content += f" and {DELETED} is not true"
    extra_value = f"case when {has_content} then {extra.kept(rows.entries)} end"
    connection.execute(
        f"""
        create or replace temp table checked as
        with delivered as ({rows.relation}),
        typed as (
            select *, {", ".join(values)} from delivered
        ),
        dated as (
            select
                typed.*,
                {retention}.kept_from,
                timestamp {literal(_sql_instant(now))} as now_instant
            from typed left join {retention} on typed.customer_id = {retention}.customer_id
        ),
        classified as (
            select *, {reason_of_rejection(stream, rows.types)} as reason from dated
        )
        select
            row_number,
            reason,
            -- The text of an expired row is past its retention, and so not kept either.
            case when reason <> 'expired' then {rows.original} end as original,
            {rows.is_strange} as is_strange,
            {is_ahead} as is_received_in_future,
            {unknown_time_zone(stream, rows.types)} as is_of_unknown_time_zone,
            {extra_value if has_extra else "cast(null as map(varchar, varchar))"} as extra,
            {extra.given(rows.entries) if has_extra else "0"} as extra_given,
            {", ".join(lake_values)}
        from classified
        """
    )


def has_strange_rows(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether some row of `checked` has columns that it was not asked for."""
    return bool(connection.execute("select 1 from checked where is_strange limit 1").fetchall())


def dates_of(connection: duckdb.DuckDBPyConnection) -> list[date]:
    """UTC dates of the good events in `checked`, ascending."""
    rows = connection.execute(
        "select distinct occurred_date from checked where reason is null order by 1"
    ).fetchall()
    return [day for (day,) in rows]


def classify(
    connection: duckdb.DuckDBPyConnection, stream: Stream, known_paths: list[str], now: datetime
) -> RowCounts:
    """Compare the good rows with each other and with the lake; fill `dropped`, `kept_versions` and
    `counted`, and count.

    `known_paths` are the lake files that may hold the same identities: those of the same event
    dates. A good row is written when no row of its identity, in the file or in the lake, has the
    same content and is as new; so exact duplicates leave no trace, and what differs is all kept,
    for staging to choose from whatever order it came in. What withdraws an event is accepted beside
    it, once: a withdrawal has an identity of its own. `now` is when the file was delivered.
    """
    _compare_contents(connection, stream, known_paths)
    if stream.is_reference:
        return _classify_reference_rows(connection)
    _count(connection, stream, now)
    by_reason = connection.execute(
        "select reason, sum(rejected)::bigint from counted where reason is not null "
        "group by reason order by reason"
    ).fetchall()
    measures = ("delivered", "accepted", "duplicates", "withdrawn", *ANOMALIES)
    read, accepted, duplicates, withdrawn, *anomalies = connection.execute(
        f"select {', '.join(f'coalesce(sum({name}), 0)::bigint' for name in measures)} from counted"
    ).fetchall()[0]
    return RowCounts(
        rows_read=read,
        accepted=accepted,
        duplicates=duplicates,
        rejected_by_reason=dict(by_reason),
        extra_left_out=_extra_left_out(connection),
        withdrawn=withdrawn,
        **dict(zip(ANOMALIES, anomalies, strict=True)),
    )


def _classify_reference_rows(connection: duckdb.DuckDBPyConnection) -> RowCounts:
    """Each version of a name is a row of its own, so what is written is what is accepted."""
    by_reason = dict(
        connection.execute(
            "select reason, count(*) from checked group by reason order by reason"
        ).fetchall()
    )
    good = by_reason.pop(None, 0)
    duplicates = _scalar(connection, "select count(*) from dropped")
    return RowCounts(
        rows_read=good + sum(by_reason.values()),
        accepted=good - duplicates,
        duplicates=duplicates,
        rejected_by_reason=by_reason,
        extra_left_out=_extra_left_out(connection),
        unknown_time_zones=_scalar(
            connection,
            "select count(*) from checked where reason is null and is_of_unknown_time_zone",
        ),
        **dict.fromkeys(ANOMALIES, 0),
    )


def _extra_left_out(connection: duckdb.DuckDBPyConnection) -> int:
    """Values of unknown columns of good rows that are not kept."""
    return _scalar(
        connection,
        "select coalesce(sum(extra_given - coalesce(cardinality(extra), 0)), 0)::bigint "
        "from checked where reason is null",
    )


def _count(connection: duckdb.DuckDBPyConnection, stream: Stream, now: datetime) -> None:
    """Fill `counted`: one row per customer, quarter hour and reason, with the newest time in it.

    Of the rows of one identity that the lake did not have, the first is accepted.
    """
    mismatches = "cast(0 as bigint)"
    if any(column.kind is Kind.UNTRUSTED_TOTAL for column in stream.columns):
        mismatches = "count(*) filter (reason is null and is_total_mismatch)"
    written = ", ".join(
        f"cast(case when reason is null then every.written_{name} "
        f"- coalesce(again.written_{name}, 0) else 0 end as decimal(38, 0)) as written_{name}"
        for name in MEASURES
    )
    connection.execute(
        f"""
        create or replace temp table counted as
        with rows as (
            select
                *,
                case
                    when is_dated then occurred_at
                    else timestamp {literal(_sql_instant(now))}
                end as counted_at
            from checked
        ),
        every as (
            select
                customer_id,
                reason,
                is_dated,
                time_bucket(interval 15 minutes, counted_at) as quarter_hour,
                count(*) as delivered,
                {mismatches} as total_mismatches,
                count(*) filter (reason is null and is_received_in_future) as received_in_future,
                count(*) filter (reason is null and {DELETED}) as withdrawn,
                {written_sums(stream.name)},
                max(counted_at) as occurred_at
            from rows
            group by customer_id, reason, is_dated, quarter_hour
        ),
        -- Good rows, which count when they occurred. They are few, as a rule: to look up each row
        -- of the file among them is dear.
        again as (
            select
                checked.customer_id,
                time_bucket(interval 15 minutes, occurred_at) as quarter_hour,
                count(*) filter (firsts.row is null or firsts.contents_known > 0) as duplicates,
                count(*) filter (
                    is_withdrawal and (firsts.row is null or firsts.contents_known > 0)
                ) as withdrawn_before,
                sum(
                    coalesce(firsts.contents - greatest(firsts.contents_known, 1), 0)
                )::bigint as conflicting_duplicates,
                {written_sums(stream.name, "versions.row in (select row from dropped)")}
            from versions
            join checked on versions.row = checked.rowid
            left join firsts on versions.row = firsts.row
            group by checked.customer_id, quarter_hour
        )
        select
            every.customer_id,
            reason,
            is_dated,
            delivered,
            case when reason is null then delivered - coalesce(duplicates, 0) else 0 end
                as accepted,
            case when reason is null then coalesce(duplicates, 0) else 0 end as duplicates,
            case when reason is null then 0 else delivered end as rejected,
            total_mismatches,
            case when reason is null then coalesce(conflicting_duplicates, 0) else 0 end
                as conflicting_duplicates,
            received_in_future,
            case when reason is null then withdrawn - coalesce(withdrawn_before, 0) else 0 end
                as withdrawn,
            {written},
            occurred_at,
            cast(occurred_at as date) as occurred_date
        from every
        left join again
            on every.customer_id = again.customer_id and every.quarter_hour = again.quarter_hour
        """
    )


def content_hash(stream: Stream) -> str:
    """SQL: the hash of what a row says, apart from who it is and when it was recorded. All that
    withdraw an event say the same."""
    names = [
        name
        for name, _ in stream.lake_columns
        if name not in (*stream.identity, stream.version_column, DELETED)
    ]
    fields = ", ".join(f"{literal(name)}: {quoted(name)}" for name in names)
    content = f"md5(cast(to_json({{{fields}}}) as varchar))"
    if not stream.of_withdrawals:
        return content
    return f"case when {DELETED} then 'withdrawal' else {content} end"


def _compare_contents(
    connection: duckdb.DuckDBPyConnection, stream: Stream, known_paths: list[str]
) -> None:
    """Fill `dropped` and `kept_versions`; `versions`, the rows whose identity is there more than
    once; and `firsts`, the first of the rows of each such identity, with its number of contents,
    and of known ones. There withdrawals of an event are apart from its versions.
    """
    connection.execute("create or replace temp table dropped (row bigint)")
    keys = ", ".join(stream.identity)
    day = "" if stream.is_reference else ", occurred_date"
    version = stream.version_column
    columns = ", ".join(quoted(name) for name, _ in stream.lake_columns)
    # By a hash first, which is one number instead of a text; then by what it stands for.
    identity_hash = f"hash({keys}{day})"
    connection.execute(
        f"create or replace temp table contested as select {keys}{day} from checked "
        f"where reason is null and {identity_hash} in ("
        f"select {identity_hash} from checked where reason is null group by all having count(*) > 1"
        f") group by {keys}{day} having count(*) > 1"
    )
    connection.execute(
        f"create or replace temp table known as select {columns}{day} from checked where false"
    )
    if known_paths:
        dated = columns if stream.is_reference else f"{columns}, cast(occurred_at as date)"
        same = _is_same("lake", "checked", stream)
        aliased = dated if stream.is_reference else f"{dated} as occurred_date"
        connection.execute(
            "insert into known select lake.* "
            f"from (select {aliased} from {rows_of(stream)}) as lake "
            f"where exists (select 1 from checked where reason is null and {same})",
            {"paths": known_paths},
        )
        connection.execute(
            f"insert into contested select distinct {keys}{day} from known "
            f"except select {keys}{day} from contested"
        )
    # NULL sorts before every time.
    newness = f"coalesce({version}, timestamp '0001-01-01')"
    is_withdrawal = f"coalesce({DELETED}, false)" if stream.of_withdrawals else "false"
    connection.execute(
        f"""
        create or replace temp table versions as
        select
            checked.rowid as row, row_number, {keys}{day},
            {newness} as newness, {content_hash(stream)} as content,
            {is_withdrawal} as is_withdrawal
        from checked semi join contested on {_is_same("contested", "checked", stream)}
        where reason is null
        union all
        select null, null, {keys}{day}, {newness}, {content_hash(stream)}, {is_withdrawal}
        from known
        """
    )
    connection.execute(
        f"""
        insert into dropped
        select row from (
            select row, row_number() over (
                partition by {keys}{day}, content
                -- What the lake has stays; of equals in the file, the first does.
                order by newness desc, row_number nulls first
            ) as place
            from versions
        ) where row is not null and place > 1
        """
    )
    connection.execute(
        f"""
        create or replace temp table kept_versions as
        select row from (
            select row, count(*) over (partition by {keys}{day}) as rows_of_it
            from versions
            where row is null or row not in (select row from dropped)
        ) as kept
        where row is not null and rows_of_it > 1
        """
    )
    connection.execute(
        f"""
        create or replace temp table firsts as
        select
            arg_min(row, row_number) as row,
            count(distinct content) as contents,
            count(distinct content) filter (row is null) as contents_known
        from versions group by {keys}{day}, is_withdrawal
        """
    )


def _is_same(one: str, other: str, stream: Stream) -> str:
    """SQL: whether the rows of two tables have the same identity, of events also the same date.

    Some columns of an identity may be null, and null is then like null.
    """
    columns = [*stream.identity, *([] if stream.is_reference else ["occurred_date"])]
    always_there = {*stream.required, "occurred_date"}
    return " and ".join(
        f"{one}.{name} {'=' if name in always_there else 'is not distinct from'} {other}.{name}"
        for name in columns
    )


def _scalar(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    return int(connection.execute(query).fetchall()[0][0])


def _sql_instant(instant: datetime) -> str:
    return instant.replace(tzinfo=None).isoformat(sep=" ")
