"""The source's tables as they are, compared with what the contract and the settings expect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestration.contract.streams import Column, Stream
from orchestration.settings import Settings
from orchestration.source.columns import ENUM, accepted_types, fits
from orchestration.source.connection import Source, SourceProblem
from orchestration.storage.sql import literal, quoted

TABLE_KINDS = {
    "r": "table",
    "p": "partitioned table",
    "v": "view",
    "m": "materialized view",
    "f": "foreign table",
}
_STAMPED_KINDS = {"r", "p"}

# How a stream is read: all of it each time, or the rows whose transaction is later than the last
# pull's horizon, by PostgreSQL's own stamp or by a column that carries the transaction.
WHOLE = "whole"
BY_STAMP = "xmin"
_BY_COLUMN = "column"
_XID_TYPES = {"xid8", "int8", "xid"}


@dataclass(frozen=True)
class SourceColumn:
    """A column of a source table; `type_name` is PostgreSQL's own, of a domain that under it."""

    name: str
    type_name: str
    shown_type: str
    may_be_null: bool


@dataclass(frozen=True)
class Relation:
    """A table or view that a stream is read from.

    `quoted_name` is fit for SQL. `identity` changes when it is another table, or a view of other
    rows. `files` are its parts (partitions, or itself) with the files that they are in, `pages`
    the pages of the largest part; views have neither.
    """

    quoted_name: str
    kind: str
    identity: str
    columns: Mapping[str, SourceColumn]
    files: Mapping[str, int | None]
    pages: int
    rows_per_page: float

    @property
    def is_stamped(self) -> bool:
        """Whether its rows lie in pages of its own, with the stamp of their transaction."""
        return self.kind in _STAMPED_KINDS


@dataclass(frozen=True)
class Plan:
    """How a stream is read from its relation: each contract column from which of the source's."""

    stream: Stream
    relation: Relation
    method: str
    columns: Sequence[tuple[Column, SourceColumn]]
    xid_column: SourceColumn | None


def table_of(settings: Settings, stream: Stream) -> str | None:
    """The name that the settings give the stream's table; None where it is not read at all.

    A table that is called as an optional stream is may be something else of the platform's.
    """
    return settings.postgres_tables.get(stream.name, None if stream.is_optional else stream.name)


def find(source: Source, name: str) -> tuple[str, str] | None:
    """(quoted name, kind) of a table or view by the name that a setting gives it, or None."""
    found = source.rows(
        "select format('%I.%I', nspname, relname), relkind::text from pg_class "
        "inner join pg_namespace on pg_namespace.oid = relnamespace "
        f"where pg_class.oid = to_regclass({literal(name)})"
    )
    if not found or found[0][1] not in TABLE_KINDS:
        return None
    return found[0]


def read_relation(source: Source, quoted_name: str) -> Relation:
    """The table or view as the open transaction sees it. Raises `SourceProblem`."""
    oid = f"{literal(quoted_name)}::regclass"
    kind, identity = source.rows(
        "select relkind::text, concat_ws('/', oid, case when relkind in ('v', 'm') "
        f"then md5(pg_get_viewdef(oid)) end) from pg_class where oid = {oid}"
    )[0]
    columns = source.rows(
        f"""
        select
            attname::text,
            case when base.typtype = 'e' then {literal(ENUM)} else base.typname::text end,
            format_type(atttypid, atttypmod),
            not (attnotnull or own.typnotnull)
        from pg_attribute
        inner join pg_type as own on own.oid = atttypid
        inner join pg_type as base on base.oid = coalesce(nullif(own.typbasetype, 0), own.oid)
        where attrelid = {oid} and attnum > 0 and not attisdropped
        order by attnum
        """
    )
    parts: list[tuple[Any, ...]] = []
    if kind in _STAMPED_KINDS:
        parts = source.rows(
            f"""
            with recursive part(oid) as (
                select {oid}::oid
                union
                select inhrelid from pg_inherits inner join part on inhparent = part.oid
            )
            select
                oid::text,
                pg_relation_filenode(oid)::bigint,
                coalesce(pg_relation_size(oid), 0) / current_setting('block_size')::bigint,
                case when relpages > 0 then greatest(reltuples, 0) / relpages else 0 end::float8
            from pg_class
            where oid in (select oid from part) and relkind <> 'p'
            """
        )
    return Relation(
        quoted_name=quoted_name,
        kind=kind,
        identity=identity,
        columns={
            name: SourceColumn(name, type_name, shown, may_be_null)
            for name, type_name, shown, may_be_null in columns
        },
        # A part without a file is a foreign table.
        files={part: filenode for part, filenode, _, _ in parts},
        pages=max((pages for _, _, pages, _ in parts), default=0),
        rows_per_page=sum(density for *_, density in parts),
    )


def mismatches(settings: Settings, stream: Stream, relation: Relation) -> list[str]:
    """Everything about the relation that keeps the stream from being read, each with its remedy."""
    mapping = settings.postgres_columns.get(stream.name, {})
    found = []
    for column in stream.columns:
        name = mapping.get(column.name, column.name)
        there = relation.columns.get(name)
        if there is None and (column.required or column.name in mapping):
            found.append(
                f"column {name} is missing: name the right one in AGENTSTATS_POSTGRES_COLUMNS as "
                f'{{"{stream.name}": {{"{column.name}": "…"}}}}'
            )
        elif there is not None and not fits(column, there.type_name):
            found.append(
                f"column {name} is {there.shown_type}, which cannot hold {column.name} "
                f"({column.kind.value}): have it as {', '.join(accepted_types(column))}, or read "
                "a view that casts it"
            )
    xid_name = settings.postgres_xid_columns.get(stream.name)
    if xid_name is not None:
        found += _xid_mismatches(relation, xid_name)
    elif not stream.is_reference and any(filenode is None for filenode in relation.files.values()):
        found.append(
            "a partition of it is a foreign table, whose rows carry no transaction of this "
            "server: read a view of it, or set AGENTSTATS_POSTGRES_XID_COLUMNS"
        )
    return found


def _xid_mismatches(relation: Relation, name: str) -> list[str]:
    column = relation.columns.get(name)
    if column is None:
        return [f"column {name} of AGENTSTATS_POSTGRES_XID_COLUMNS is missing"]
    if column.type_name not in _XID_TYPES:
        return [f"column {name} is {column.shown_type}; a transaction is xid8, or bigint"]
    if column.may_be_null and relation.is_stamped:
        return [f"column {name} may be null, and such rows would never be read: make it not null"]
    return []


def plan(settings: Settings, stream: Stream, relation: Relation) -> Plan:
    """How the stream is read. Raises `SourceProblem` where the relation does not fit."""
    found = mismatches(settings, stream, relation)
    if found:
        raise SourceProblem(f"{stream.name}: {relation.quoted_name}: {'; '.join(found)}")
    mapping = settings.postgres_columns.get(stream.name, {})
    named = [(column, mapping.get(column.name, column.name)) for column in stream.columns]
    xid_name = settings.postgres_xid_columns.get(stream.name)
    if stream.is_reference:
        method = WHOLE
    elif xid_name is not None:
        method = f"{_BY_COLUMN} {xid_name}"
    else:
        method = BY_STAMP if relation.is_stamped else WHOLE
    return Plan(
        stream=stream,
        relation=relation,
        method=method,
        columns=[
            (column, relation.columns[name]) for column, name in named if name in relation.columns
        ],
        xid_column=relation.columns[xid_name] if xid_name and method != WHOLE else None,
    )


def later_than(plan: Plan, horizon: int, xid: int, new_parts: Sequence[str]) -> str:
    """SQL: whether a row is of transaction `horizon` or later, or in a part not read before.

    `xid` is the horizon as 32 bits; `age` counts backwards from the server's newest transaction.
    """
    column = plan.xid_column
    if column is None or column.type_name == "xid":
        stamp = "xmin" if column is None else quoted(column.name)
        condition = f"age({stamp}) between 0 and age('{xid}'::xid)"
    elif column.type_name == "xid8":
        condition = f"{quoted(column.name)} >= '{horizon}'::xid8"
    else:
        condition = f"{quoted(column.name)} >= {horizon}"
    if new_parts:
        condition = f"({condition} or tableoid in ({', '.join(new_parts)}))"
    return condition
