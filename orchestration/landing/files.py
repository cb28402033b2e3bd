"""What was dropped, and how each format becomes rows of text that the checks can read."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from orchestration.landing.checks import literal, quoted
from orchestration.landing.streams import STREAMS_BY_NAME, Stream

LOADED_FOLDER = "_loaded"
FAILED_FOLDER = "_failed"

# How many rows of an NDJSON file are asked for the columns it has.
KEY_SAMPLE_ROWS = 10_000
MAX_LINE_BYTES = 32 * 1024 * 1024
# What DuckDB reads at once: by itself it would take sixteen such lines, half a gigabyte.
_CSV_BUFFER_BYTES = 2 * MAX_LINE_BYTES
_CHUNK_BYTES = 1024 * 1024
_GLANCE_BYTES = 64 * 1024
# A name longer than this is shown by its beginning.
_SHOWN_NAME_LENGTH = 64
_SHOWN_NAMES = 20

_IS_OBJECT = "json is not null and json_type(json) = 'OBJECT'"
_AS_JSON = "cast(to_json(fields) as varchar)"

_TEXT_SUFFIXES = {".ndjson": "ndjson", ".jsonl": "ndjson", ".csv": "csv"}


class UnreadableFile(Exception):
    """The file as a whole cannot be loaded; the message says why, for the reason beside it."""


@dataclass(frozen=True)
class LandedFile:
    """One file as dropped into `landing/<stream>/`, of a format that can be read."""

    path: Path
    stream: Stream
    file_format: str  # parquet, ndjson or csv
    is_gzipped: bool

    @property
    def compression(self) -> str:
        return "gzip" if self.is_gzipped else "none"


@dataclass(frozen=True)
class Content:
    """Which bytes a file held when it was read; `sha256` in hexadecimal, times in nanoseconds."""

    sha256: str
    size_bytes: int
    modified_ns: int


@dataclass(frozen=True)
class RowSource:
    """SQL that gives one row for each record of a file.

    `relation` has `row_number` (1-based among the records), `is_malformed`, what `original` reads,
    and a `raw_<column>` for each column of `types`, whose DuckDB types those are. `original` is an
    expression: JSON or text as delivered. To make it is dear, and few rows are asked for it; where
    even to read it is, it is NULL, and `originals` are rows of (row_number, original, is_malformed)
    to take it from, and whether a record is malformed.
    """

    relation: str
    original: str
    types: dict[str, str]
    unknown_columns: tuple[str, ...]
    originals: str | None = None


def is_finished(path: Path) -> bool:
    """Whether the producer is done with the file, by the contract's naming rule."""
    return not path.name.startswith((".", "_")) and not path.name.endswith(".tmp")


def waiting_files(landing: Path, stream: Stream) -> list[Path]:
    """Finished files of a stream, by path; folders named like unfinished files are left alone."""
    folder = landing / stream.name
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file()
        and all(is_finished(Path(part)) for part in path.relative_to(folder).parts)
    )


def unknown_entries(landing: Path) -> list[Path]:
    """What lies in the landing folder but belongs to no stream, for a warning."""
    if not landing.is_dir():
        return []
    known = set(STREAMS_BY_NAME) | {LOADED_FOLDER, FAILED_FOLDER}
    return sorted(
        path for path in landing.iterdir() if path.name not in known and is_finished(path)
    )


def recognise(path: Path, stream: Stream) -> LandedFile:
    """Tell the format by the name. Raises `UnreadableFile` for a name that tells none."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    is_gzipped = bool(suffixes) and suffixes[-1] == ".gz"
    suffix = (suffixes[-2] if len(suffixes) > 1 else "") if is_gzipped else (suffixes or [""])[-1]
    if suffix == ".parquet" and not is_gzipped:
        return LandedFile(path, stream, "parquet", is_gzipped=False)
    if suffix in _TEXT_SUFFIXES:
        return LandedFile(path, stream, _TEXT_SUFFIXES[suffix], is_gzipped)
    raise UnreadableFile(
        f"{path.name}: the name must end in .parquet, .ndjson, .jsonl or .csv "
        "(the text formats also with .gz)"
    )


def content_of(path: Path) -> Content:
    """Hash the file's bytes."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
        size = file.tell()
    return Content(digest.hexdigest(), size, path.stat().st_mtime_ns)


def check_text(file: LandedFile, *, unpacked_limit: int) -> None:
    """Look in a text file for what DuckDB does not say.

    It takes no notice of the checksum at the end of a gzipped file, and so reads flipped bits as
    other values; and it leaves out a line that is longer than its buffer. Raises `UnreadableFile`
    for a gzipped file of more than `unpacked_limit` bytes and for a line that is too long, and
    what `gzip` raises where the file is damaged.
    """
    if not file.is_gzipped and _lines_are_short(file.path):
        return
    unpacked = lines = length = 0
    with gzip.open(file.path, "rb") if file.is_gzipped else file.path.open("rb") as binary:
        while chunk := binary.read(_CHUNK_BYTES):
            unpacked += len(chunk)
            if file.is_gzipped and unpacked > unpacked_limit:
                raise UnreadableFile(
                    f"unpacks to more than {unpacked_limit / 10**9:g} GB; deliver it in parts, "
                    "or raise AGENTSTATS_MAX_UNPACKED_GB"
                )
            first = chunk.find(b"\n")
            length += len(chunk) if first < 0 else first
            if length > MAX_LINE_BYTES:
                raise UnreadableFile(
                    f"line {lines + 1} is longer than {MAX_LINE_BYTES // 1024**2} MiB"
                )
            if first >= 0:
                lines += chunk.count(b"\n")
                length = len(chunk) - chunk.rfind(b"\n") - 1


def _lines_are_short(path: Path) -> bool:
    """Whether lines end so often that none is too long, which a few glances tell; False otherwise.

    Two ends in glances one after the other are less than `MAX_LINE_BYTES` apart.
    """
    size = path.stat().st_size
    with path.open("rb", buffering=0) as binary:
        for start in range(0, size, MAX_LINE_BYTES // 2):
            binary.seek(start)
            if b"\n" not in binary.read(_GLANCE_BYTES):
                return False
    return True


def ways_to_open(
    file: LandedFile, connection: duckdb.DuckDBPyConnection
) -> list[Callable[[], RowSource]]:
    """How the file can be described as rows, cheapest first; nothing but its head is read by that.

    All but the last fail on some record that is not well formed, which the next way may read; the
    last sets such records aside instead, at several times the cost. Each raises `UnreadableFile`
    where there are no usable columns, `duckdb.Error` where there are no rows.
    """
    if file.file_format == "parquet":
        return [lambda: _parquet_rows(connection, file)]
    if file.file_format == "csv":
        return [
            lambda: _csv_rows(connection, file, one_by_one=False),
            lambda: _csv_rows(connection, file, one_by_one=True),
        ]
    return [
        lambda: _ndjson_columns(connection, file),
        lambda: _ndjson_rows(connection, file, one_by_one=False),
        lambda: _ndjson_rows(connection, file, one_by_one=True),
    ]


def without_content(error: BaseException, path: Path) -> str:
    """What went wrong with a file, without the values that messages quote.

    Reasons are kept for longer than a row may be, in the ledger, beside the file and in logs.
    """
    line = (str(error).strip() or type(error).__name__).split("\n")[0]
    return re.sub(r"[\"'`].*[\"'`]", "…", line.replace(str(path), path.name))


def _told(names: Sequence[str], stream: Stream) -> str:
    """The names that the stream has, and how many others: those may be the values of a row."""
    known = {column.name for column in stream.columns}
    told = [name for name in names if name in known]
    others = len(names) - len(told)
    if others:
        told.append(f"{others} unknown column{'s' if others > 1 else ''}")
    return ", ".join(told) or "none"


def _split_columns(stream: Stream, found: list[str]) -> tuple[list[str], tuple[str, ...]]:
    """(contract columns that are there, other columns). Raises where a required one is absent."""
    absent = [name for name in stream.required if name not in found]
    if absent:
        raise UnreadableFile(
            f"missing required column {', '.join(absent)}; it has {_told(found, stream)}"
        )
    known = {column.name for column in stream.columns}
    present = [column.name for column in stream.columns if column.name in found]
    others = [name for name in found if name not in known]
    shown = tuple(name[:_SHOWN_NAME_LENGTH] for name in others[:_SHOWN_NAMES])
    if len(others) > len(shown):
        shown += (f"and {len(others) - len(shown)} more",)
    return present, shown


def _parquet_rows(connection: duckdb.DuckDBPyConnection, file: LandedFile) -> RowSource:
    reader = f"read_parquet({literal(str(file.path))}, file_row_number = true)"
    described = connection.execute(f"describe select * from {reader}").fetchall()
    types = {name: kind for name, kind, *_ in described if name != "file_row_number"}
    present, unknown = _split_columns(file.stream, list(types))
    fields = ", ".join(f"{literal(name)}: {quoted(name)}" for name in types)
    raws = ", ".join(f"{quoted(name)} as {quoted(f'raw_{name}')}" for name in present)
    return RowSource(
        f"select file_row_number + 1 as row_number, {{{fields}}} as fields, "
        f"false as is_malformed, {raws} from {reader}",
        _AS_JSON,
        {name: types[name] for name in present},
        unknown,
    )


def _csv_rows(
    connection: duckdb.DuckDBPyConnection, file: LandedFile, *, one_by_one: bool
) -> RowSource:
    header = _csv_header(file)
    if len(set(header)) < len(header):
        twice = [name for name in dict.fromkeys(header) if header.count(name) > 1]
        raise UnreadableFile(f"the header names a column twice: {_told(twice, file.stream)}")
    present, unknown = _split_columns(file.stream, header)
    fields = ", ".join(f"{literal(name)}: {quoted(name)}" for name in header)
    raws = ", ".join(f"{quoted(name)} as {quoted(f'raw_{name}')}" for name in present)
    if one_by_one:
        reader = _csv_reader(file, header, has_header=True, quote='"', sets_aside=True)
        well_formed, malformed = _split_malformed(connection, reader, header_lines=1)
    else:
        reader = _csv_reader(file, header, has_header=True, quote='"', sets_aside=False)
        well_formed, malformed = f"select row_number() over () as row_number, * from {reader}", ""
    relation = (
        f"select row_number, {{{fields}}} as fields, null as text, "
        f"false as is_malformed, {raws} from ({well_formed})"
    )
    if malformed:
        nulls = ", ".join(f"null as {quoted(f'raw_{name}')}" for name in present)
        relation += (
            f" union all select row_number, null, original, true, {nulls} from ({malformed})"
        )
    original = f"case when is_malformed then text else {_AS_JSON} end"
    return RowSource(relation, original, dict.fromkeys(present, "VARCHAR"), unknown)


def _csv_header(file: LandedFile) -> list[str]:
    with gzip.open(file.path, "rb") if file.is_gzipped else file.path.open("rb") as binary:
        # A header longer than this is no header.
        first = binary.readline(1024 * 1024)
    header = next(csv.reader(io.StringIO(first.decode("utf-8-sig"))), [])
    if not header:
        raise UnreadableFile("is empty: a CSV file starts with a header line")
    return [name.strip() for name in header]


def _csv_reader(
    file: LandedFile, names: list[str], *, has_header: bool, quote: str, sets_aside: bool
) -> str:
    columns = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in names)
    delimiter = "," if has_header else "\x01"
    return (
        f"read_csv({literal(str(file.path))}, auto_detect = false, columns = {{{columns}}}, "
        f"header = {str(has_header).lower()}, delim = {literal(delimiter)}, "
        f"quote = {literal(quote)}, escape = {literal(quote)}, "
        f"store_rejects = {str(sets_aside).lower()}, "
        f"max_line_size = {MAX_LINE_BYTES}, buffer_size = {_CSV_BUFFER_BYTES}, "
        f"compression = {literal(file.compression)})"
    )


def _split_malformed(
    connection: duckdb.DuckDBPyConnection, reader: str, *, header_lines: int
) -> tuple[str, str]:
    """(relation of well-formed rows, relation of malformed records), both with `row_number`.

    DuckDB keeps the records that it could not split in `reject_errors`, by line, and only once
    the scan is over. So the file is read into a table first; then both are numbered as they stood
    in the file: its line, less the header, is the place of a malformed record among all.
    """
    connection.execute(
        f"create or replace temp table delivered as "
        f"select row_number() over () as place, * from {reader}"
    )
    connection.execute(
        f"create or replace temp table malformed as "
        f"select row_number() over (order by line) as place, line - {header_lines} as row_number, "
        f"original from "
        f"(select line, any_value(csv_line) as original from reject_errors group by line)"
    )
    well_formed = (
        "select delivered.place + coalesce(shift.malformed_before, 0) as row_number, delivered.* "
        "from delivered asof left join ("
        "select row_number - place as last_good_place, max(place) as malformed_before "
        "from malformed group by last_good_place"
        ") as shift on delivered.place > shift.last_good_place"
    )
    return well_formed, "select row_number, original from malformed"


def _ndjson_columns(connection: duckdb.DuckDBPyConnection, file: LandedFile) -> RowSource:
    """Let the reader of JSON take the columns out: it parses each record once, and keeps no text.

    It takes the record `null` for an object without fields, which `originals` tell apart.
    """
    records = _ndjson_records(file)
    present, unknown = _ndjson_present(connection, file, records)
    columns = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in present)
    raws = ", ".join(f"{quoted(name)} as {quoted(f'raw_{name}')}" for name in present)
    return RowSource(
        f"select row_number() over () as row_number, false as is_malformed, {raws} "
        f"from read_json({literal(str(file.path))}, format = 'newline_delimited', "
        f"columns = {{{columns}}}, {_ndjson_options(file)})",
        "cast(null as varchar)",
        dict.fromkeys(present, "VARCHAR"),
        unknown,
        f"select row_number, original, not ({_IS_OBJECT}) as is_malformed from ({records})",
    )


def _ndjson_rows(
    connection: duckdb.DuckDBPyConnection, file: LandedFile, *, one_by_one: bool
) -> RowSource:
    if one_by_one:
        reader = _csv_reader(file, ["line"], has_header=False, quote="", sets_aside=True)
        lines, malformed = _split_malformed(connection, reader, header_lines=0)
        records = (
            f"select row_number, line as original, try_cast(line as json) as json "
            f"from ({lines}) where trim(line) <> '' "
            f"union all select row_number, original, null from ({malformed})"
        )
    else:
        records = _ndjson_records(file)
    present, unknown = _ndjson_present(connection, file, records)
    shape = "{" + ", ".join(f'"{name}": "VARCHAR"' for name in present) + "}"
    raws = ", ".join(f"fields.{quoted(name)} as {quoted(f'raw_{name}')}" for name in present)
    return RowSource(
        f"select row_number, original, not ({_IS_OBJECT}) as is_malformed, {raws} from ("
        f"select *, json_transform(case when {_IS_OBJECT} then json end, {literal(shape)}) "
        f"as fields from ({records}))",
        "original",
        dict.fromkeys(present, "VARCHAR"),
        unknown,
    )


def _ndjson_records(file: LandedFile) -> str:
    return (
        f"select row_number() over () as row_number, json::varchar as original, json "
        f"from read_ndjson_objects({literal(str(file.path))}, {_ndjson_options(file)})"
    )


def _ndjson_options(file: LandedFile) -> str:
    return f"compression = {literal(file.compression)}, maximum_object_size = {MAX_LINE_BYTES}"


def _ndjson_present(
    connection: duckdb.DuckDBPyConnection, file: LandedFile, records: str
) -> tuple[list[str], tuple[str, ...]]:
    """(contract columns that are there, other columns). Raises where a required one is absent."""
    found = _ndjson_keys(connection, f"select json from ({records}) limit {KEY_SAMPLE_ROWS}")
    if any(name not in found for name in file.stream.required):
        # The column may still come further down; an absent one sets the whole file aside.
        found = _ndjson_keys(connection, records)
    if not found:
        row_count = connection.execute(f"select count(*) from ({records})").fetchall()[0][0]
        if row_count > 0:
            raise UnreadableFile("no line of it is a JSON object")
        found = list(file.stream.required)
    return _split_columns(file.stream, found)


def _ndjson_keys(connection: duckdb.DuckDBPyConnection, records: str) -> list[str]:
    rows = connection.execute(
        f"select distinct unnest(json_keys(json)) as key from ({records}) "
        "where json_type(json) = 'OBJECT' order by key"
    ).fetchall()
    return [key for (key,) in rows]
