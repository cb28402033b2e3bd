"""Landing files as other programs write them: pandas, polars, pyarrow, and by imitation Spark, Go
and Java.

Each writer takes rows of plain Python and gives files by name. What one of them does to the values
(NaN for null, nanoseconds, an index that was not asked for) is what its users deliver.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid5

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

Row = Mapping[str, Any]
Files = dict[str, bytes]
Write = Callable[[Sequence[Row]], Files]

_TIMES = ("occurred_at", "received_at")
_IDS = ("audit_id", "feedback_id", "event_id")
_NAMESPACE = UUID("05b2d0a4-31f3-43ae-8850-2d82648c44b2")
CODECS = ("snappy", "gzip", "zstd", "lz4", "brotli", "none")


def pandas_files(rows: Sequence[Row]) -> Files:
    """A frame with an index, times of nanoseconds with a zone, and NaN for whatever is missing."""
    frame = pd.DataFrame([_with_text_counts(row) for row in rows])
    for name in _TIMES:
        frame[name] = pd.to_datetime(frame[name], utc=True, format="ISO8601")
    naive = frame.assign(**{name: frame[name].dt.tz_localize(None) for name in _TIMES})
    nullable = frame.convert_dtypes()
    categories = frame.assign(
        **{name: frame[name].astype("category") for name in frame.columns if name == "model_used"}
    ).set_index(next(name for name in _IDS if name in frame.columns))
    return {
        "pandas.parquet": _bytes(lambda file: frame.to_parquet(file)),
        "pandas_naive.parquet": _bytes(lambda file: naive[::-1].to_parquet(file)),
        "pandas_ns.parquet": _bytes(
            lambda file: frame.astype(dict.fromkeys(_TIMES, "datetime64[ns, UTC]")).to_parquet(file)
        ),
        "pandas_nullable.parquet": _bytes(
            lambda file: nullable.to_parquet(file, compression="gzip")
        ),
        "pandas_category.parquet": _bytes(lambda file: categories.to_parquet(file)),
        "pandas.csv": frame.to_csv().encode(),
        "pandas_no_index.csv.gz": _gzipped(
            frame.to_csv(index=False, lineterminator="\r\n").encode()
        ),
        "pandas.jsonl": frame.to_json(
            orient="records", lines=True, date_format="iso", date_unit="ns"
        ).encode(),
    }


def polars_files(rows: Sequence[Row]) -> Files:
    """Strings as views, times of microseconds and nanoseconds, and its own text formats."""
    frame = pl.DataFrame([_with_text_counts(row) for row in rows], infer_schema_length=None)
    frame = frame.with_columns(
        pl.col(name).str.to_datetime(time_zone="UTC", strict=False) for name in _TIMES
    )
    nanoseconds = frame.with_columns(
        pl.col(name).dt.cast_time_unit("ns").dt.convert_time_zone("America/New_York")
        for name in _TIMES
    )
    return {
        "polars.parquet": _bytes(lambda file: frame.write_parquet(file)),
        "polars_ns.parquet": _bytes(
            lambda file: nanoseconds.write_parquet(file, compression="lz4", row_group_size=7)
        ),
        "polars.ndjson": _bytes(lambda file: frame.write_ndjson(file)),
        "polars.csv": _bytes(lambda file: frame.write_csv(file)),
        "polars_rfc.csv": _bytes(
            lambda file: frame.write_csv(
                file, datetime_format="%Y-%m-%dT%H:%M:%S%.9f%:z", quote_style="always"
            )
        ),
    }


def pyarrow_files(rows: Sequence[Row]) -> Files:
    """Each codec and page version, and every type that a text, number or time may have."""
    plain = _table(rows)
    files = {}
    for number, codec in enumerate(CODECS):
        files[f"pyarrow_{codec}.parquet"] = _parquet(
            plain,
            compression=codec,
            data_page_version="2.0" if number % 2 else "1.0",
            version=("1.0", "2.4", "2.6")[number % 3],
            use_dictionary=number % 2 == 0,
            row_group_size=(None, 7)[number % 2],
        )
    files["pyarrow_large.parquet"] = _parquet(_retyped(plain, {pa.string(): pa.large_string()}))
    files["pyarrow_bytes.parquet"] = _parquet(_retyped(plain, {pa.string(): pa.binary()}))
    files["pyarrow_large_bytes.parquet"] = _parquet(
        _retyped(plain, {pa.string(): pa.large_binary()}), use_dictionary=False
    )
    files["pyarrow_decimal.parquet"] = _parquet(_retyped(plain, {pa.int64(): pa.decimal128(30, 4)}))
    files["pyarrow_double.parquet"] = _parquet(_retyped(plain, {pa.int64(): pa.float64()}))
    files["pyarrow_dictionary.parquet"] = _parquet(
        _retyped(plain, {pa.string(): pa.dictionary(pa.int32(), pa.string())})
    )
    for unit in ("s", "ms", "ns"):
        files[f"pyarrow_{unit}.parquet"] = _parquet(_timed(plain, pa.timestamp(unit)))
    for unit in ("ms", "us", "ns"):
        files[f"pyarrow_{unit}_zone.parquet"] = _parquet(
            _timed(plain, pa.timestamp(unit, tz="Asia/Kathmandu"))
        )
    files["pyarrow_no_arrow_schema.parquet"] = _parquet(
        _timed(plain, pa.timestamp("ns", tz="UTC")), store_schema=False
    )
    delta = {
        field.name: "DELTA_BINARY_PACKED" if pa.types.is_int64(field.type) else "PLAIN"
        for field in plain.schema
        if not pa.types.is_map(field.type)
    }
    files["pyarrow_delta.parquet"] = _parquet(
        plain,
        use_dictionary=False,
        column_encoding=delta if "pii_redactions" not in delta else None,
    )
    return files


def spark_files(rows: Sequence[Row]) -> Files:
    """As Spark names its parts and lays out its folders: times as INT96, absent keys in JSON, and
    the folder that is a column's name and value."""
    folder = "dt=2026-02-28/customer_id=999"
    part = "part-00000-0a1b2c3d-c000"
    return {
        f"{folder}/{part}.snappy.parquet": _parquet(
            _table(rows), flavor="spark", use_deprecated_int96_timestamps=True, version="1.0"
        ),
        f"{folder}/{part}.json.jsonl.gz": _gzipped(
            _lines(_without_nulls(rows), separators=(",", ":"))
        ),
        f"{folder}/_SUCCESS": b"",
        f"{folder}/.{part}.snappy.parquet.crc": b"crc\0",
    }


def go_files(rows: Sequence[Row]) -> Files:
    """`omitempty` leaves keys out, times have nanoseconds, `<` is escaped, keys are sorted."""
    lines = _lines(
        [
            {name: _nanoseconds(name, value) for name, value in row.items()}
            for row in _without_nulls(rows)
        ],
        sort_keys=True,
    )
    return {
        "go.ndjson": lines.replace(b"<", b"\\u003c"),
        "go_crlf.ndjson": lines.replace(b"\n", b"\r\n"),
    }


def java_files(rows: Sequence[Row]) -> Files:
    """Required columns, UUIDs of sixteen bytes, doubles like 1.5E3, times without seconds."""
    identity = next(name for name in _IDS if name in rows[0])
    uuids = [{**row, identity: uuid5(_NAMESPACE, str(row[identity]))} for row in rows]
    table = _table([{**row, identity: str(row[identity])} for row in uuids])
    as_bytes = pa.array([row[identity].bytes for row in uuids], pa.binary(16))
    table = table.set_column(table.schema.get_field_index(identity), identity, as_bytes)
    required = pa.schema(
        [
            pa.field(field.name, field.type, nullable=table[field.name].null_count > 0)
            for field in table.schema
        ]
    )
    texts = [
        {
            **row,
            identity: str(row[identity]) + "-text",
            "occurred_at": row["occurred_at"][:16] + "Z",
        }
        for row in uuids
    ]
    lines = _lines(texts).replace(b'"response_time_ms": 1500.5', b'"response_time_ms": 1.5005E3')
    return {"java.parquet": _parquet(table.cast(required)), "java.jsonl": lines}


def sorted_by_kind(rows: Sequence[Row]) -> Files:
    """Ten thousand rows that lack a column, before the first that has it."""
    identity = next(name for name in _IDS if name in rows[0])
    optional = [name for name, value in rows[0].items() if any(row[name] is None for row in rows)]
    short = {name: value for name, value in rows[0].items() if name not in optional}
    many = [{**short, identity: f"{rows[0][identity]}-early-{number}"} for number in range(10_050)]
    frame = pl.DataFrame([*many, *map(_with_text_counts, rows)], infer_schema_length=None)
    return {
        "kinds.ndjson": _lines([*many, *_without_nulls(rows)]),
        "kinds.parquet": _bytes(lambda file: frame.write_parquet(file)),
    }


WRITERS: Mapping[str, Write] = {
    "pandas": pandas_files,
    "polars": polars_files,
    "pyarrow": pyarrow_files,
    "spark": spark_files,
    "go": go_files,
    "java": java_files,
    "sorted": sorted_by_kind,
}


def read_with_pyarrow(path: Any) -> tuple[Sequence[str], Sequence[Sequence[object]]]:
    """The rows of a Parquet file by the reader of Arrow: what lies beyond microseconds is cut off,
    sixteen fixed bytes are a UUID, and a map is one of Python's."""
    table = pq.ParquetFile(path).read()
    return table.column_names, list(zip(*(_cells(column) for column in table.columns), strict=True))


def _cells(column: pa.ChunkedArray) -> list[object]:
    kind = column.type
    if pa.types.is_timestamp(kind):
        return [
            None if cell is None else cell if kind.tz is None else cell.astimezone(UTC)
            for cell in column.cast(pa.timestamp("us", tz=kind.tz), safe=False).to_pylist()
        ]
    cells = column.to_pylist()
    if pa.types.is_map(kind):
        return [None if cell is None else dict(cell) for cell in cells]
    if kind == pa.binary(16):
        return [None if cell is None else str(UUID(bytes=cell)) for cell in cells]
    return list(cells)


def _table(rows: Sequence[Row]) -> pa.Table:
    columns: dict[str, pa.Array] = {}
    for name in rows[0]:
        values = [row[name] for row in rows]
        if name in _TIMES:
            times = [None if value is None else datetime.fromisoformat(value) for value in values]
            columns[name] = pa.array(times, pa.timestamp("us", tz="UTC"))
        elif name == "pii_redactions":
            entries = [None if value is None else list(value.items()) for value in values]
            columns[name] = pa.array(entries, pa.map_(pa.string(), pa.int64()))
        else:
            columns[name] = pa.array(values)
    return pa.table(columns)


def _retyped(table: pa.Table, types: Mapping[pa.DataType, pa.DataType]) -> pa.Table:
    for index, field in enumerate(table.schema):
        if field.type in types:
            column = table[field.name].cast(types[field.type])
            table = table.set_column(index, field.name, column)
    return table


def _timed(table: pa.Table, kind: pa.DataType) -> pa.Table:
    for index, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type):
            column = table[field.name].cast(pa.timestamp("us", tz=kind.tz or "UTC"))
            if kind.tz is None:
                column = column.cast(pa.timestamp("us"))
            table = table.set_column(index, field.name, column.cast(kind, safe=False))
    return table


def _parquet(table: pa.Table, **options: Any) -> bytes:
    return _bytes(lambda file: pq.write_table(table, file, **options))


def _bytes(write: Callable[[Any], object]) -> bytes:
    buffer = io.BytesIO()
    write(buffer)
    return buffer.getvalue()


def _gzipped(content: bytes) -> bytes:
    import gzip

    return gzip.compress(content)


def _lines(rows: Sequence[Row], **options: Any) -> bytes:
    return "".join(json.dumps(row, **options) + "\n" for row in rows).encode()


def _without_nulls(rows: Sequence[Row]) -> list[Row]:
    return [{name: value for name, value in row.items() if value is not None} for row in rows]


def _with_text_counts(row: Row) -> Row:
    """Frames would make one column of each entity type; people keep such an object as text."""
    return {
        name: json.dumps(value) if isinstance(value, dict) else value for name, value in row.items()
    }


def _nanoseconds(name: str, value: Any) -> Any:
    if name in _TIMES:
        moment = datetime.fromisoformat(value)
        return moment.strftime("%Y-%m-%dT%H:%M:%S.%f") + "789Z"
    return value
