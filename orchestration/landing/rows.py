"""Each format as rows of text, or of Parquet's types, that the checks can read.

Every reader of dropped files is made here. There is one for each format, and a slower one for where
it fails: that one sets aside what is not well formed, and reads the rest.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import duckdb

from orchestration.contract.streams import MAX_UNKNOWN_COLUMNS, Column, Kind, Stream
from orchestration.landing.checks import NESTED, TEXT_KINDS, as_text, is_nested
from orchestration.landing.files import LandedFile, UnreadableFile
from orchestration.landing.opened import (
    MAX_LINE_BYTES,
    OpenText,
    csv_header,
    name_of,
    opened,
    opened_text,
    scratch_file,
)
from orchestration.landing.record_by_record import take_csv_apart, take_ndjson_apart
from orchestration.storage.sql import literal, quoted

# What DuckDB reads at once: by itself it would take sixteen such lines, half a gigabyte.
_CSV_BUFFER_BYTES = 2 * MAX_LINE_BYTES
# How many records of an NDJSON file are asked for their keys before any is read.
_KEY_SAMPLE_ROWS = 10_000
# Of a rejected row, so much of a value and of the whole is kept.
_KEPT_VALUE_LENGTH = 1024
_KEPT_ROW_LENGTH = 16 * 1024


@dataclass(frozen=True)
class RowSource:
    """SQL that gives one row for each record of a file.

    `relation` has `row_number` (1-based among the records), `is_malformed`, what the expressions
    below read, and a `raw_<column>` for each column of `types`, whose DuckDB types those are.
    `original` is JSON or text as delivered, cut where it is long. To make it is dear, and few rows
    are asked for it. `entries` is a list of the {key, value} of the row's unknown columns; a value
    that is a list or an object is `NESTED`. `is_strange` is whether a row has columns that are
    among neither, so that the file has to be read in another way.
    """

    relation: str
    original: str
    types: Mapping[str, str]
    unknown_columns: Sequence[str] = ()
    entries: str = "[]"
    is_strange: str = "false"


# None where it does not suit the file.
Way = Callable[[], RowSource | None]


@contextmanager
def ways_to_read(
    connection: duckdb.DuckDBPyConnection, file: LandedFile, scratch: Path, *, unpacked_limit: int
) -> Iterator[Sequence[Way]]:
    """How the open file can be described as rows, cheapest first; little of it is read by that.

    All but the last fail on some record that is not well formed, or give rows that are strange; the
    last does neither, at several times the cost. Each raises `UnreadableFile` where there are no
    usable columns, `duckdb.Error` where there are no rows.
    """
    with ExitStack() as stack:
        if file.file_format == "parquet":
            reader = partial(
                _parquet_rows, connection, file.stream, stack.enter_context(opened(file.path))
            )
            yield [partial(reader, is_all_utf8=True), partial(reader, is_all_utf8=False)]
            return
        text = stack.enter_context(opened_text(file, scratch, unpacked_limit=unpacked_limit))
        apart = stack.enter_context(scratch_file(scratch))
        if file.file_format == "ndjson":
            described = partial(_ndjson_rows, connection, file.stream)
            yield [
                lambda: _uniform_rows(connection, file.stream, _whole_lines(text)),
                lambda: described(_whole_lines(text), rows_asked=_KEY_SAMPLE_ROWS),
                lambda: described(_whole_lines(text)),
                lambda: described(_lines_apart(text, apart)),
            ]
            return
        header = csv_header(text)
        whole: list[Way] = [lambda: _csv_rows(file.stream, header, _whole_csv(text, header))]
        yield [
            *(whole if text.line_end and not text.has_odd_quotes else []),
            lambda: _csv_rows(file.stream, header, _csv_apart(text, header, apart)),
        ]


def _parquet_rows(
    connection: duckdb.DuckDBPyConnection, stream: Stream, name: str, *, is_all_utf8: bool
) -> RowSource:
    reader = f"read_parquet({literal(name)}, hive_partitioning = false, utf8_validation = 'strict')"
    columns = _parquet_columns(connection, reader, name)
    present, unknown = split_columns(stream, [column.name for column in columns])
    by_name = {column.name: column for column in columns}
    if is_all_utf8:
        # Not where the file's own column has the name.
        is_taken = any(column.own_name.lower() == "file_row_number" for column in columns)
        numbered = "row_number() over ()" if is_taken else "file_row_number + 1"
        taken = ", ".join(f"{quoted(each.own_name)} as {each.source}" for each in columns)
        read = f"select {numbered} as row_number, {taken} from {reader}"
    else:
        read = _parquet_with_other_bytes(columns, reader)
    raws, types = [], {}
    for column in present:
        there = by_name[column.name]
        source, types[column.name] = there.source, there.type
        if there.is_uuid and column.kind is Kind.IDENTITY:
            source, types[column.name] = _uuid_of_bytes(source), "VARCHAR"
        if there.type == "JSON":
            json = _trimmed_json(source)
            source = _text_of_json(json, NESTED if column.kind in TEXT_KINDS else json)
            types[column.name] = "VARCHAR"
        raws.append(f"{source} as {quoted(f'raw_{column.name}')}")
    entries = ", ".join(
        f"{{key: {literal(name)}, value: {_extra_value(by_name[name])}}}" for name in unknown
    )
    fields = ", ".join(f"{literal(each.name)}, {_kept_value(each)}" for each in columns)
    return RowSource(
        f"select *, false as is_malformed, {', '.join(raws)} from ({read})",
        f"{_cut(f'cast(json_object({fields}) as varchar)', _KEPT_ROW_LENGTH)}",
        types,
        unknown,
        f"[{entries}]",
    )


def _parquet_with_other_bytes(columns: Sequence[_ParquetColumn], reader: str) -> str:
    """SQL: the rows, with `NESTED`, which no column may be, for a text that is no UTF-8."""
    values = []
    for column in columns:
        shorter, longer = (f"{each}.{quoted(column.own_name)}" for each in ("shorter", "longer"))
        value = shorter
        if column.type == "VARCHAR":
            value = (
                f"case when {shorter} is distinct from {longer} then {NESTED} else {shorter} end"
            )
        values.append(f"{value} as {column.source}")
    # One reading leaves out what is no UTF-8, the other puts something in its place.
    leaving_out, replacing = (reader.replace("'strict'", way) for way in ("'ignore'", "'replace'"))
    return (
        f"select row_number() over () as row_number, {', '.join(values)} "
        f"from {leaving_out} as shorter positional join {replacing} as longer"
    )


@dataclass(frozen=True)
class _ParquetColumn:
    """A column by its name in the file, and by that which DuckDB gives it: it takes two names that
    differ in case for one. `source` is what we call it, so that it is like no name of ours."""

    name: str
    own_name: str
    source: str
    type: str
    is_uuid: bool


def _parquet_columns(
    connection: duckdb.DuckDBPyConnection, reader: str, name: str
) -> list[_ParquetColumn]:
    described = connection.execute(f"describe select * from {reader}").fetchall()
    _, *elements = connection.execute(
        "select name, coalesce(num_children, 0), type = 'FIXED_LEN_BYTE_ARRAY' "
        "and cast(type_length as integer) = 16 and logical_type is null and converted_type is null "
        f"from parquet_schema({literal(name)})"
    ).fetchall()
    return [
        _ParquetColumn(own, described_as, f"source_{number}", kind, bool(is_uuid))
        for number, ((own, _, is_uuid), (described_as, kind, *_)) in enumerate(
            zip(_top_level(elements), described, strict=True)
        )
    ]


def _top_level(schema: Sequence[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    """The elements of a schema, listed depth first, that are columns of the table."""
    skipped = 0
    for element in schema:
        if skipped:
            skipped += element[1] - 1
            continue
        skipped = element[1]
        yield element


def _uuid_of_bytes(source: str) -> str:
    groups = "(.{8})(.{4})(.{4})(.{4})(.{12})"
    return rf"regexp_replace(lower(hex({source})), '{groups}', '\1-\2-\3-\4-\5')"


def _extra_value(column: _ParquetColumn) -> str:
    if is_nested(column.type):
        return f"case when {column.source} is not null then {NESTED} end"
    if column.type == "JSON":
        return _text_of_json(_trimmed_json(column.source))
    text = as_text(column.source, column.type)
    if column.type == "BLOB":
        return f"case when {column.source} is not null then coalesce({text}, {NESTED}) end"
    return text


def _kept_value(column: _ParquetColumn) -> str:
    """SQL: a value as it goes into the text of a rejected row."""
    if column.type in {"VARCHAR", "BLOB"}:
        return _cut(as_text(column.source, column.type), _KEPT_VALUE_LENGTH)
    if is_nested(column.type):
        json = f"to_json({column.source})"
        cut = f"to_json({_cut(f'cast({json} as varchar)', _KEPT_VALUE_LENGTH)})"
        is_short = f"strlen(cast({json} as varchar)) <= {_KEPT_VALUE_LENGTH}"
        kept = f"case when {is_short} then {json} else {cut} end"
        if column.type.startswith("MAP"):
            # The text of a whole map may take more memory than all else that is done with the row.
            most = _KEPT_VALUE_LENGTH // len('"":0,')
            is_long = f"cardinality({column.source}) > {most}"
            beginning = _cut(_beginning_of_map(column.source, most + 1), _KEPT_VALUE_LENGTH)
            return f"case when {is_long} then to_json({beginning}) else {kept} end"
        return kept
    return column.source


def _beginning_of_map(source: str, entries: int) -> str:
    """SQL: how the JSON of a map begins that has so many entries, or more."""
    keys, values = (f"{each}({source})[:{entries}]" for each in ("map_keys", "map_values"))
    return (
        f"'{{' || array_to_string(list_transform(list_zip({keys}, {values}), lambda entry: "
        "concat(to_json(cast(entry[1] as varchar)), ':', coalesce(to_json(entry[2]), 'null'))"
        "), ',')"
    )


def _cut(text: str, length: int) -> str:
    """SQL: the beginning of a text that is long."""
    return f"case when strlen({text}) > {length} then left({text}, {length}) || '…' else {text} end"


def _csv_rows(stream: Stream, header: Sequence[str], records: str) -> RowSource:
    """`records` has `row_number`, the `fields` of a record as a struct or list, and the `text` of
    one that is malformed."""
    present, unknown = split_columns(stream, header)
    place = {name: number for number, name in enumerate(header, start=1)}
    raws = ", ".join(
        f"fields[{place[column.name]}] as {quoted(f'raw_{column.name}')}" for column in present
    )
    entries = ", ".join(
        f"{{key: {literal(name)}, value: fields[{place[name]}]}}" for name in unknown
    )
    kept = ", ".join(
        f"{literal(name)}, {_cut(f'fields[{number}]', _KEPT_VALUE_LENGTH)}"
        for name, number in place.items()
    )
    original = f"case when is_malformed then text else cast(json_object({kept}) as varchar) end"
    return RowSource(
        f"select *, fields is null as is_malformed, {raws} from ({records})",
        _cut(original, _KEPT_ROW_LENGTH),
        {column.name: "VARCHAR" for column in present},
        unknown,
        f"[{entries}]",
    )


def _whole_csv(text: OpenText, header: Sequence[str]) -> str:
    assert text.line_end
    # Names of our own: DuckDB takes two that differ in case for one.
    names = [f"field_{number}" for number in range(len(header))]
    columns = ", ".join(f"{name}: 'VARCHAR'" for name in names)
    end = text.line_end.decode().replace("\r", "\\r").replace("\n", "\\n")
    return (
        f"select row_number() over () as row_number, row({', '.join(names)}) as fields, "
        f"cast(null as varchar) as text from read_csv({literal(text.name)}, auto_detect = false, "
        f"columns = {{{columns}}}, header = true, delim = ',', quote = '\"', escape = '\"', "
        f"new_line = '{end}', max_line_size = {MAX_LINE_BYTES}, buffer_size = {_CSV_BUFFER_BYTES}, "
        "compression = 'none', hive_partitioning = false)"
    )


def _csv_apart(text: OpenText, header: Sequence[str], into: BinaryIO) -> str:
    apart = take_csv_apart(text.binary, len(header), into)
    return (
        "select row_number() over () as row_number, * "
        f"from {_json_reader(into, apart.longest, {'fields': 'VARCHAR[]', 'text': 'VARCHAR'})}"
    )


def _json_reader(binary: BinaryIO, longest: int, columns: Mapping[str, str]) -> str:
    """Reads what was taken apart."""
    types = ", ".join(f"{name}: '{kind}'" for name, kind in columns.items())
    return (
        f"read_json({literal(name_of(binary.fileno()))}, format = 'newline_delimited', "
        f"columns = {{{types}}}, maximum_object_size = {max(longest + 1024, 2**24)}, "
        "compression = 'none', hive_partitioning = false)"
    )


def _whole_lines(text: OpenText) -> str:
    """SQL: the lines of an NDJSON file, each as `json`."""
    return (
        "select row_number() over () as row_number, json, cast(json as varchar) as text "
        f"from read_ndjson_objects({literal(text.name)}, maximum_object_size = {MAX_LINE_BYTES}, "
        "compression = 'none', hive_partitioning = false)"
    )


def _lines_apart(text: OpenText, into: BinaryIO) -> str:
    """SQL: the same, where `json` is NULL for a line that is none."""
    apart = take_ndjson_apart(text.binary, text.line_end, into)
    columns = {"text": "VARCHAR", "is_malformed": "BOOLEAN"}
    return (
        "select row_number() over () as row_number, "
        "case when is_malformed is null then try_cast(text as json) end as json, text "
        f"from {_json_reader(into, apart.longest, columns)}"
    )


def _ndjson_rows(
    connection: duckdb.DuckDBPyConnection,
    stream: Stream,
    lines: str,
    *,
    rows_asked: int | None = None,
) -> RowSource:
    """`rows_asked` records are asked for their keys, or all."""
    common, keys = _ndjson_keys(connection, lines, rows_asked)
    if rows_asked and any(name not in keys for name in stream.required_beside(keys)):
        # The column may still come further down; an absent one sets the whole file aside.
        common, keys = _ndjson_keys(connection, lines, None)
    if not keys:
        kinds = connection.execute(f"select json_type(json) from ({lines}) limit 1").fetchall()
        if kinds:
            raise UnreadableFile(
                f"{'is one JSON array' if kinds == [('ARRAY',)] else 'no line is a JSON object'}: "
                "write each row as one object on a line of its own"
            )
        keys = list(stream.required)
    present, unknown = split_columns(stream, keys)
    names = [column.name for column in present]
    shape = "{" + ", ".join(f'"{name}": "VARCHAR"' for name in names) + "}"
    raws = ", ".join(
        f"{_raw_of_json(column)} as {quoted(f'raw_{column.name}')}" for column in present
    )
    entries = "[]"
    if unknown:
        pointers = [f"/{name.replace('~', '~0').replace('/', '~1')}" for name in unknown]
        entries = (
            f"list_transform(list_zip({_list(unknown)}, json_extract(json, {_list(pointers)})), "
            f"lambda pair: {{key: pair[1], value: {_text_of_json('pair[2]')}}})"
        )
    return RowSource(
        f"select *, "
        "json is null or not starts_with(text, '{') or case when "
        "is_common then false else len(list_distinct(json_keys(json))) < len(json_keys(json)) end "
        "as is_malformed, "
        f"{raws} from (select *, json_keys(json) = {_list(common)} as is_common, "
        f"json_transform(json, {literal(shape)}) as fields from ({lines}))",
        _cut("text", _KEPT_ROW_LENGTH),
        dict.fromkeys(names, "VARCHAR"),
        unknown,
        entries,
        "case when is_common then false "
        f"else not coalesce(list_has_all({_list([*names, *unknown])}, json_keys(json)), true) end",
    )


def _uniform_rows(
    connection: duckdb.DuckDBPyConnection, stream: Stream, lines: str
) -> RowSource | None:
    """Where all records have the same keys, as most producers write them. Each is then taken apart
    once, and its keys need only be counted: one that lacks a key, or has one twice, is an error.
    """
    common, keys = _ndjson_keys(connection, lines, _KEY_SAMPLE_ROWS)
    if keys != common or any(name not in common for name in stream.required_beside(common)):
        return None
    present, unknown = split_columns(stream, common)
    kinds = {**dict.fromkeys(unknown, "JSON"), **{each.name: "VARCHAR" for each in present}}
    raws = ", ".join(
        f"{_raw_of_json(column)} as {quoted(f'raw_{column.name}')}" for column in present
    )
    entries = ", ".join(
        f"{{key: {literal(name)}, value: {_text_of_json(f'fields.{quoted(name)}')}}}"
        for name in unknown
    )
    return RowSource(
        f"select *, case when len(json_keys(json)) = {len(common)} then false "
        f"else error('a record has other keys than the first ones') end as is_malformed, {raws} "
        f"from (select *, json_transform_strict(json, {literal(json.dumps(kinds))}) as fields "
        f"from ({lines}))",
        _cut("text", _KEPT_ROW_LENGTH),
        {column.name: "VARCHAR" for column in present},
        unknown,
        f"[{entries}]",
    )


def _ndjson_keys(
    connection: duckdb.DuckDBPyConnection, lines: str, rows_asked: int | None
) -> tuple[list[str], list[str]]:
    """(the keys of the first record, in its order; the keys of all that are asked)."""
    limit = f"limit {rows_asked}" if rows_asked else ""
    first = connection.execute(
        f"select json_keys(json) from ({lines}) where json_type(json) = 'OBJECT' limit 1"
    ).fetchall()
    # What a record has that has a key twice is common to none.
    common = first[0][0] if first and len(set(first[0][0])) == len(first[0][0]) else []
    rows = connection.execute(
        f"select distinct unnest(keys) as key from (select json_keys(json) as keys from ({lines}) "
        f"{limit}) where keys <> {_list(common)} order by key"
    ).fetchall()
    return common, list(dict.fromkeys([*common, *(key for (key,) in rows)]))


def _raw_of_json(column: Column) -> str:
    """SQL: the text of a field; of a list or an object where text is expected, that it is one."""
    value = f"fields.{quoted(column.name)}"
    if column.kind not in TEXT_KINDS:
        return value
    return (
        f"case when starts_with({value}, '{{') or starts_with({value}, '[') "
        f"then case when json_type(json, {literal('/' + column.name)}) in ('OBJECT', 'ARRAY') "
        f"then {NESTED} else {value} end else {value} end"
    )


def _trimmed_json(value: str) -> str:
    """SQL: the text of a value of JSON without the white space that its writer may leave."""
    return f"trim(cast({value} as varchar), e' \\t\\r\\n')"


def _text_of_json(value: str, nested: str = NESTED) -> str:
    """SQL: a value of JSON as text; NULL for null, `nested` for a list or an object."""
    return (
        f"case left({value}, 1) when '\"' then json_extract_string({value}, '$') "
        f"when '{{' then {nested} when '[' then {nested} when 'n' then null "
        f"else cast({value} as varchar) end"
    )


def _list(texts: Sequence[str]) -> str:
    return f"cast([{', '.join(map(literal, texts))}] as varchar[])"


def split_columns(stream: Stream, found: Sequence[str]) -> tuple[list[Column], list[str]]:
    """(contract columns that are there, names of the others). Raises `UnreadableFile` where a
    required one is absent, one is there twice, or there are too many."""
    if len(found) > len(set(found)):
        twice = [name for name in dict.fromkeys(found) if list(found).count(name) > 1]
        raise UnreadableFile(
            f"names a column twice ({_shown_names(twice, stream)}): rename or leave out one of them"
        )
    absent = [name for name in stream.required_beside(found) if name not in found]
    if absent:
        raise UnreadableFile(_what_is_missing(stream, absent, found))
    known = {column.name for column in stream.columns}
    others = [name for name in found if name not in known]
    if len(others) > MAX_UNKNOWN_COLUMNS:
        raise UnreadableFile(
            f"has more than {MAX_UNKNOWN_COLUMNS:,} columns that {stream.name} does not have: "
            "leave them out, or put what they say into rows"
        )
    return [column for column in stream.columns if column.name in found], others


def _what_is_missing(stream: Stream, absent: Sequence[str], found: Sequence[str]) -> str:
    missing = f"misses the required column{'s' if len(absent) > 1 else ''} {', '.join(absent)}"
    if len(found) == 1 and (other := next((each for each in ";\t|" if each in found[0]), None)):
        name = {";": "semicolons", "\t": "tabs", "|": "bars"}[other]
        return f"{missing}: its columns are separated by {name}; write it with commas"
    lower = [name.strip().lower() for name in found]
    if all(name in lower for name in absent):
        return f"{missing}: it has them in other letters; write the names in lower case, as here"
    return f"{missing}; it has {_shown_names(found, stream)}"


def _shown_names(names: Sequence[str], stream: Stream) -> str:
    """The names that the stream has, and how many others: those may be the values of a row."""
    known = {column.name for column in stream.columns}
    shown = [name for name in names if name in known]
    others = len(names) - len(shown)
    if others:
        shown.append(f"{others} unknown column{'s' if others > 1 else ''}")
    return ", ".join(shown) or "none"
