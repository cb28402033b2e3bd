"""`agentstats export`: the published marts as Parquet, for tools that do not read DuckDB."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from importlib.metadata import version
from pathlib import Path

import duckdb

from orchestration.publication.reading import OpenSnapshot, ReadingProblem, open_snapshot
from orchestration.settings import Settings
from orchestration.storage.sql import literal, quoted

MANIFEST = "manifest.json"
FORMAT_VERSION = 1

# Tables of no customer that may go into one customer's extract. Others, such as the load ledger,
# have rows about other customers.
_WITHOUT_OTHER_CUSTOMERS = {"load_buckets", "retention_policies", "snapshot_info"}


@dataclass(frozen=True)
class ExportedColumn:
    """A column of an exported file: its DuckDB type and its description."""

    name: str
    type: str
    description: str | None


@dataclass(frozen=True)
class ExportedFile:
    """One mart's file: `rows` in it, the `sha256` of its bytes in hex."""

    table: str
    file: str
    rows: int
    bytes: int
    sha256: str
    description: str | None
    columns: Sequence[ExportedColumn]


@dataclass(frozen=True)
class Export:
    """What the manifest says. Times are ISO 8601 in UTC; no customer_id means all customers."""

    format_version: int
    agentstats_version: str
    snapshot_id: str
    published_at: str
    data_as_of: str | None
    exported_at: str
    customer_id: int | None
    since: str | None
    files: Sequence[ExportedFile]


def export(
    settings: Settings,
    to: Path,
    *,
    customer_id: int | None = None,
    since: date | None = None,
    progress: Callable[[ExportedFile], None] = lambda _file: None,
) -> Export:
    """Write each mart to `to` as Parquet, and a manifest; all of it or nothing.

    With `customer_id`, one customer's rows and nothing of the others; with `since`, rows of that
    UTC date and later where rows have a date. Rows past their customer's retention stay behind. An
    earlier export in `to` is replaced. Raises `ReadingProblem`.
    """
    to = to.expanduser().absolute()
    now = settings.clock()
    if since is not None and since > now.date():
        raise ReadingProblem(f"--since {since} is in the future: today is {now.date()} in UTC")
    _refuse_other_files(to)
    to.parent.mkdir(parents=True, exist_ok=True)
    unfinished = to.with_name(f".{to.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    try:
        with open_snapshot(settings, may_write_files=True) as snapshot:
            done = Export(
                format_version=FORMAT_VERSION,
                agentstats_version=version("agentstats"),
                snapshot_id=snapshot.snapshot_id,
                published_at=_iso(snapshot.published_at),
                data_as_of=_iso(snapshot.data_as_of) if snapshot.data_as_of else None,
                exported_at=_iso(now),
                customer_id=customer_id,
                since=since.isoformat() if since else None,
                files=_write_tables(snapshot, unfinished, customer_id, since, now.date(), progress),
            )
        (unfinished / MANIFEST).write_text(json.dumps(asdict(done), indent=2) + "\n")
        _replace(to, unfinished)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return done


def _write_tables(
    snapshot: OpenSnapshot,
    folder: Path,
    customer_id: int | None,
    since: date | None,
    today: date,
    progress: Callable[[ExportedFile], None],
) -> list[ExportedFile]:
    connection = snapshot.connection
    tables = _tables(connection)
    if customer_id is not None:
        _refuse_unknown_customer(connection, tables, customer_id)
    connection.execute(
        "create temp table kept_from as "
        "select customer_id, cast($today - cast(retention_days as integer) as date) as kept_from "
        "from marts.customers where retention_days is not null",
        {"today": today},
    )
    files = []
    for (table, description), columns in tables.items():
        names = {column.name for column in columns}
        if (
            customer_id is not None
            and "customer_id" not in names
            and table not in _WITHOUT_OTHER_CUSTOMERS
        ):
            continue
        path = folder / f"{table}.parquet"
        rows = connection.execute(
            f"copy ({_rows_of(table, names, customer_id, since)}) to {literal(str(path))} "
            "(format parquet, compression zstd)"
        ).fetchall()[0][0]
        file = ExportedFile(
            table=table,
            file=path.name,
            rows=int(rows),
            bytes=path.stat().st_size,
            sha256=_sha256(path),
            description=description,
            columns=columns,
        )
        progress(file)
        files.append(file)
    return files


def _rows_of(table: str, names: set[str], customer_id: int | None, since: date | None) -> str:
    conditions = []
    joined = ""
    if customer_id is not None and "customer_id" in names:
        conditions.append(f"mart.customer_id = {customer_id}")
    if "occurred_date" in names:
        if since is not None:
            conditions.append(f"mart.occurred_date >= date {literal(since.isoformat())}")
        if "customer_id" in names:
            joined = "left join temp.main.kept_from on mart.customer_id = kept_from.customer_id"
            conditions.append(
                "(kept_from.kept_from is null or mart.occurred_date >= kept_from.kept_from)"
            )
    where = f"where {' and '.join(conditions)}" if conditions else ""
    return f"select mart.* from marts.{quoted(table)} as mart {joined} {where}"


def _tables(
    connection: duckdb.DuckDBPyConnection,
) -> dict[tuple[str, str | None], list[ExportedColumn]]:
    """The columns of each table, by the table's name and description, by name."""
    tables: dict[tuple[str, str | None], list[ExportedColumn]] = {}
    for table, description in connection.execute(
        "select table_name, comment from duckdb_tables() where schema_name = 'marts' "
        "order by table_name"
    ).fetchall():
        tables[table, description] = [
            ExportedColumn(*row)
            for row in connection.execute(
                "select column_name, lower(data_type), comment from duckdb_columns() "
                "where schema_name = 'marts' and table_name = $table order by column_index",
                {"table": table},
            ).fetchall()
        ]
    return tables


def _refuse_unknown_customer(
    connection: duckdb.DuckDBPyConnection,
    tables: dict[tuple[str, str | None], list[ExportedColumn]],
    customer_id: int,
) -> None:
    for (table, _), columns in tables.items():
        if (
            any(column.name == "customer_id" for column in columns)
            and connection.execute(
                f"select 1 from marts.{quoted(table)} where customer_id = $customer_id limit 1",
                {"customer_id": customer_id},
            ).fetchall()
        ):
            return
    raise ReadingProblem(
        f"the snapshot holds nothing of customer {customer_id}: "
        "`agentstats sql 'select customer_id, customer_name from customers'` lists them"
    )


def _refuse_other_files(to: Path) -> None:
    """An export may replace an export, and nothing else."""
    if not to.exists():
        return
    if not to.is_dir():
        raise ReadingProblem(f"{to} is a file: name a folder")
    others = sorted(
        path.name for path in to.iterdir() if path.name != MANIFEST and path.suffix != ".parquet"
    )
    if others or (any(to.iterdir()) and not (to / MANIFEST).exists()):
        raise ReadingProblem(
            f"{to} holds other files ({', '.join(others) or 'Parquet without a manifest'}): "
            "name a new folder, or one that holds an export"
        )


def _replace(to: Path, finished: Path) -> None:
    earlier = to.with_name(f".{to.name}.earlier")
    shutil.rmtree(earlier, ignore_errors=True)
    if to.exists():
        to.rename(earlier)
    finished.rename(to)
    shutil.rmtree(earlier, ignore_errors=True)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _iso(instant: datetime) -> str:
    """ISO 8601 with Z; a naive time is UTC already."""
    aware = instant if instant.tzinfo else instant.replace(tzinfo=UTC)
    return aware.astimezone(UTC).isoformat().replace("+00:00", "Z")
