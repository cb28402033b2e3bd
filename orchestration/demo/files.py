"""Writes one landing file of the demo in the format that its name asks for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import duckdb

COLUMNS = {
    "agent_usage_events": (
        "event_id", "customer_id", "agent_id", "agent_type_id", "model_used", "input_tokens",
        "output_tokens", "total_tokens", "response_time_ms", "cache_read_input_tokens",
        "reasoning_output_tokens", "input_includes_cache", "provider", "processing", "error_type",
        "time_to_first_token_ms", "tool_calls", "session_id", "end_user_id", "attributes",
        "occurred_at", "received_at",
    ),
    "audit_events": (
        "audit_id", "customer_id", "agent_id", "agent_type_id", "event_id", "model_used",
        "toxicity_score", "is_toxic", "pii_redactions", "occurred_at", "received_at",
    ),
    "feedback_events": (
        "feedback_id", "customer_id", "agent_type_id", "agent_id", "event_id", "model_used",
        "rating", "running_instances", "occurred_at", "received_at",
    ),
    "customers": ("customer_id", "customer_name", "tier", "retention_days", "updated_at"),
    "agents": ("agent_id", "customer_id", "agent_type_id", "agent_name", "updated_at"),
    "agent_types": ("agent_type_id", "customer_id", "agent_type_name", "model", "updated_at"),
}  # fmt: skip
"""Columns of each landing stream, in the order that the contract lists them."""

_FORMATS = {
    ".parquet": "format parquet",
    ".ndjson": "format json",
    ".jsonl": "format json",
    ".csv": "format csv, header true",
}


@dataclass(frozen=True)
class LandingFile:
    """A file to write: `rows` is a query that has at least the stream's columns.

    `last_line` is raw text after the rows of an uncompressed text file, without a line end.
    """

    stream: str
    name: str
    rows: str
    last_line: str | None = None


def write_landing_file(
    connection: duckdb.DuckDBPyConnection, file: LandingFile, landing: Path
) -> int:
    """Write the file below `landing/<stream>/` and return its number of rows.

    The name ends in `.tmp` until the file is complete, so that a running load leaves it alone.
    A query without rows writes no file and returns 0.
    """
    folder = landing / file.stream
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f"{file.name}.tmp"
    plain_name = file.name.removesuffix(".gz")
    suffix = Path(plain_name).suffix
    # Named, because DuckDB would otherwise guess it from a name that ends in .gz.tmp.
    compression = _compression(suffix, is_gzipped=plain_name != file.name)
    target = str(unfinished).replace("'", "''")
    try:
        counts = connection.execute(
            f"copy ({_select(file, suffix)}) to '{target}'"
            f" ({_FORMATS[suffix]}, compression {compression}, use_tmp_file false)"
        ).fetchone()
        rows = int(counts[0]) if counts else 0
        if rows == 0:
            return 0
        if file.last_line is not None:
            with unfinished.open("a", encoding="utf-8") as text:
                text.write(file.last_line)
            rows += 1
        unfinished.replace(folder / file.name)
        return rows
    finally:
        unfinished.unlink(missing_ok=True)


def _compression(suffix: str, *, is_gzipped: bool) -> str:
    if suffix == ".parquet":
        return "zstd"
    return "gzip" if is_gzipped else "none"


def _select(file: LandingFile, suffix: str) -> str:
    """Return the query of the file's rows, in the stream's columns and a total order."""
    columns = COLUMNS[file.stream]
    written = ", ".join(_as_written(column, suffix) for column in columns)
    time_column = "updated_at" if "updated_at" in columns else "occurred_at"
    # Qualified, because a text format's time would otherwise be sorted as it is written.
    order = ", ".join(f"landed.{column}" for column in (time_column, *columns))
    return f"with landed as ({file.rows}) select {written} from landed order by {order}"


def _as_written(column: str, suffix: str) -> str:
    """Return the column's expression in a format: text formats differ in how they say times."""
    if suffix == ".parquet":
        return column
    if column in ("occurred_at", "updated_at", "received_at"):
        if suffix == ".csv":
            return f"strftime({column}, '%Y-%m-%d %H:%M:%S.%g') as {column}"
        if suffix == ".jsonl":
            return f"strftime({column}, '%Y-%m-%dT%H:%M:%S.%g+00:00') as {column}"
        return f"strftime({column}, '%Y-%m-%dT%H:%M:%S.%gZ') as {column}"
    if column in ("pii_redactions", "attributes") and suffix == ".csv":
        return f"cast(to_json({column}) as varchar) as {column}"
    return column
