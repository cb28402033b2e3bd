"""What an operator asks before the first pull: is it there, does it fit, what will be read."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

from orchestration.contract.streams import STREAMS, Stream
from orchestration.settings import Settings
from orchestration.source import catalogue
from orchestration.source.catalogue import Relation
from orchestration.source.connection import Source, SourceProblem, open_source
from orchestration.source.cursor import Cursor, cursor_from
from orchestration.storage.ledger import Ledger


@dataclass(frozen=True)
class ColumnReport:
    """A column of the contract, or of the source only (`column` is None)."""

    column: str | None
    source_column: str | None
    type: str | None
    note: str


@dataclass(frozen=True)
class StreamReport:
    """What would be read for a stream; `rows_estimated` is the server's own estimate."""

    stream: str
    table: str | None
    kind: str | None
    rows_estimated: int | None
    next_pull: str
    columns: Sequence[ColumnReport]
    mismatches: Sequence[str]


@dataclass(frozen=True)
class TableReport:
    """A table or view that the role can read."""

    table: str
    kind: str
    rows_estimated: int | None


@dataclass(frozen=True)
class SourceReport:
    """`source` names server, database and role, without any secret."""

    source: str
    streams: Sequence[StreamReport]
    tables: Sequence[TableReport]

    @property
    def is_fit(self) -> bool:
        return not any(each.mismatches for each in self.streams)


def check(settings: Settings) -> SourceReport:
    """Hold the source against the settings; reads no data. Raises `SourceProblem`."""
    with closing(Ledger(settings.ledger_path)) as ledger:
        cursors = {
            stream.name: cursor_from(ledger.source_cursor(stream.name)) for stream in STREAMS
        }
    with open_source(settings) as source:
        with source.transaction():
            source.moment()
            tables = _tables(source)
        streams = [_check(settings, source, stream, cursors[stream.name]) for stream in STREAMS]
        return SourceReport(settings.source_url().shown, streams, tables)


def _check(
    settings: Settings, source: Source, stream: Stream, cursor: Cursor | None
) -> StreamReport:
    name = catalogue.table_of(settings, stream)
    if name is None:
        why = "not read, as set"
        if stream.is_optional and stream.name not in settings.postgres_tables:
            why = "not read: AGENTSTATS_POSTGRES_TABLES names no table for it"
        return StreamReport(stream.name, None, None, None, why, [], [])
    try:
        with source.transaction():
            found = catalogue.find(source, name)
            if found is None:
                missing = f"there is no table or view {name}: see AGENTSTATS_POSTGRES_TABLES"
                return StreamReport(stream.name, name, None, None, "nothing", [], [missing])
            relation = catalogue.read_relation(source, found[0])
            mismatches = catalogue.mismatches(settings, stream, relation)
            columns = _columns(settings, stream, relation)
            rows = source.plan_rows(f"select * from {relation.quoted_name}")
    except SourceProblem as problem:
        return StreamReport(stream.name, name, None, None, "nothing", [], [str(problem)])
    next_pull = (
        "nothing"
        if mismatches
        else _next_pull(catalogue.plan(settings, stream, relation).method, cursor)
    )
    return StreamReport(
        stream.name,
        relation.quoted_name,
        catalogue.TABLE_KINDS[relation.kind],
        rows,
        next_pull,
        columns,
        mismatches,
    )


def _next_pull(method: str, cursor: Cursor | None) -> str:
    if method == catalogue.WHOLE:
        return "all of it, each time; no load where nothing has changed"
    how = "xmin, one scan of the table" if method == catalogue.BY_STAMP else f"its {method}"
    if cursor is None or cursor.method != method:
        return f"all of it, in chunks; then what is new, by {how}"
    if cursor.horizon is None and cursor.scan:
        percent = 100 * cursor.scan.next_page // max(cursor.scan.pages, 1)
        return f"the rest of it, from {percent} %; then what is new, by {how}"
    return f"what is new, by {how}, from transaction {cursor.horizon} on"


def _columns(settings: Settings, stream: Stream, relation: Relation) -> list[ColumnReport]:
    mapping = settings.postgres_columns.get(stream.name, {})
    reports = []
    used = {settings.postgres_xid_columns.get(stream.name)}
    for column in stream.columns:
        name = mapping.get(column.name, column.name)
        used.add(name)
        there = relation.columns.get(name)
        if there is None:
            note = "missing" if column.required else "not there, and not required"
            reports.append(ColumnReport(column.name, None, None, note))
        else:
            reports.append(ColumnReport(column.name, name, there.shown_type, ""))
    reports += [
        ColumnReport(None, each.name, each.shown_type, "not read")
        for each in relation.columns.values()
        if each.name not in used
    ]
    return reports


def _tables(source: Source) -> list[TableReport]:
    kinds = ", ".join(f"'{kind}'" for kind in catalogue.TABLE_KINDS)
    found = source.rows(
        f"""
        select
            format('%I.%I', nspname, relname),
            relkind::text,
            case when reltuples >= 0 and relkind <> 'v' then reltuples::bigint end
        from pg_class inner join pg_namespace on pg_namespace.oid = relnamespace
        where
            relkind in ({kinds}) and not relispartition
            and nspname <> 'information_schema' and nspname !~ '^pg_'
            and has_schema_privilege(pg_namespace.oid, 'usage')
            and has_table_privilege(pg_class.oid, 'select')
        order by 1
        """
    )
    return [TableReport(name, catalogue.TABLE_KINDS[kind], rows) for name, kind, rows in found]
