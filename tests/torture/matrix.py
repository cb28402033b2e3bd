"""Every nasty value in every column of every stream and in every format, beside good rows.

Each is one row that is good but for one column. What may become of it is said by `results`, which
shares no code with the product. Nothing that comes of it may hold up the good rows, or the jobs.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import duckdb

from fuzz.outcome import Outcome
from installation import Installation, installation_in
from orchestration.erase import erase
from orchestration.publication.export import export
from orchestration.warehouse.reconciliation import reconcile
from recount.deliveries import IDENTITIES
from torture.nasty import TEXTS, TOKENS, TYPED
from torture.results import COLUMNS as COLUMNS_OF_ALL
from torture.results import Result, cell_of_token, is_value, result_of

NOW = "2026-03-01T12:00:00Z"
GOOD_CUSTOMER = 777_777
ERASED_CUSTOMER = 888_888
_FIRST_CUSTOMER = 1_000_000
_AT = "2026-02-28T08:00:00Z"
# A hold has no name: its date says which row it is.
_FIRST_DAY = date(1970, 1, 1)

_GOOD: Mapping[str, Mapping[str, object]] = {
    "customers": {
        "customer_name": "A name", "tier": "enterprise", "retention_days": 2000,
        "created_at": "2026-01-01 00:00:00", "time_zone": "Asia/Kathmandu",
    },
    "legal_holds": {"released": True},
    "agents": {"agent_id": 11, "agent_type_id": 5, "agent_name": "Ada"},
    "agent_types": {"agent_type_id": 5, "agent_type_name": "Support", "model": "gpt-4o"},
    "prices": {
        "provider": "openai", "model": "gpt-4o", "token_class": "input", "processing": "standard",
        "context_over_tokens": 1000, "usd_per_million": 2.5, "valid_from": "2026-01-01 00:00:00",
        "valid_to": "2026-02-01 00:15:00", "utc_from": "22:00", "utc_to": "06:15",
    },
    "agent_usage_events": {
        "agent_id": 11, "agent_type_id": 5, "model_used": "gpt-4o", "input_tokens": 100,
        "output_tokens": 10, "total_tokens": 110, "response_time_ms": 1500,
        "cache_read_input_tokens": 4, "cache_write_input_tokens": 3,
        "cache_write_1h_input_tokens": 2, "audio_input_tokens": 5, "image_input_tokens": 6,
        "cache_read_audio_input_tokens": 1, "cache_read_image_input_tokens": 1,
        "reasoning_output_tokens": 2, "audio_output_tokens": 1, "image_output_tokens": 1,
        "input_includes_cache": True, "model_requests": 1, "provider": "openai",
        "processing": "batch", "reported_cost_usd": 0.25, "error_type": "timeout",
        "time_to_first_token_ms": 20, "tool_calls": 3, "session_id": "s", "end_user_id": "u",
        "attributes": {"team": "blue"}, "deleted": False,
    },
    "audit_events": {
        "agent_id": 11, "agent_type_id": 5, "event_id": "e", "model_used": "gpt-4o",
        "toxicity_score": 0.25,
        "is_toxic": False, "pii_redactions": {"PERSON": 1}, "deleted": False,
    },
    "feedback_events": {
        "agent_type_id": 5, "agent_id": 11, "event_id": "e", "model_used": "gpt-4o",
        "rating": 4, "running_instances": 2, "deleted": False,
    },
}  # fmt: skip
# Streams whose rows are somebody's: a row is found again by its customer.
COLUMNS = {stream: of_it for stream, of_it in COLUMNS_OF_ALL.items() if "customer_id" in of_it}
_SQL_OF = {int: "bigint", float: "double", bool: "boolean", str: "varchar"}


@dataclass(frozen=True)
class Trial:
    """One row of a file: its nasty column and value, and who it belongs to."""

    stream: str
    column: str
    written: str
    cell: object
    customer_id: int
    row_id: str


@dataclass
class Delivered:
    """A file and its trials, by row number."""

    name: str
    stream: str
    trials: dict[int, Trial] = field(default_factory=dict)


class Matrix:
    """Writes the files, and holds what came of them against the results."""

    def __init__(self, *, seed: int, types_of_a_column: int | None, of_one_column: bool) -> None:
        self._chance = random.Random(seed)
        self._types_of_a_column = types_of_a_column
        self._of_one_column = of_one_column
        # Beyond every number that a nasty value has.
        self._number = 100_000
        self.files: list[Delivered] = []
        self.good = Counter[str]()

    def trials(self) -> int:
        return sum(len(file.trials) for file in self.files)

    def drop_text(self, installation: Installation, suffixes: Sequence[str]) -> None:
        """NDJSON and CSV, plain and packed. Rows that are not well formed take another way
        through a reader, for all that are in one file with them: they have files of their own."""
        for stream, suffix in ((stream, suffix) for stream in COLUMNS for suffix in suffixes):
            columns = list(COLUMNS[stream])
            groups = [[column] for column in columns] if self._of_one_column else [columns]
            for number, group in enumerate(groups):
                written = TOKENS if "ndjson" in suffix or "jsonl" in suffix else TEXTS
                well_formed = [text for text in written if _is_well_formed(text, suffix)]
                others = [text for text in written if text not in well_formed]
                for kind, texts in (("well", well_formed), ("ill", others)):
                    self._drop_text(installation, stream, f"{kind}-{number}.{suffix}", group, texts)

    def _drop_text(
        self,
        installation: Installation,
        stream: str,
        name: str,
        columns: Sequence[str],
        texts: Sequence[str],
    ) -> None:
        is_json = "ndjson" in name or "jsonl" in name
        file = Delivered(name, stream)
        lines = [] if is_json else [_csv_line(COLUMNS[stream])]
        for column in columns:
            for text in texts:
                cell = cell_of_token(text) if is_json else (text or None)
                trial = self.trial(stream, column, text, cell)
                lines.append(_line(trial, is_json=is_json))
                file.trials[len(file.trials) + 1] = trial
        lines.append(_line(self.good_trial(stream), is_json=is_json))
        content = b"".join(lines)
        installation.drop_bytes(
            stream, name, gzip.compress(content, 1) if name.endswith(".gz") else content
        )
        self.files.append(file)

    def drop_parquet(self, installation: Installation) -> None:
        """A file for each column and type, all other columns having types of their own."""
        with duckdb.connect() as connection:
            connection.execute("set TimeZone = 'UTC'")
            for stream, column in ((s, c) for s in COLUMNS for c in COLUMNS[s]):
                names = list(TYPED)
                if self._types_of_a_column is not None:
                    names = self._chance.sample(names, self._types_of_a_column)
                for type_name in names:
                    name = f"{column}-{type_name}.parquet".replace(" ", "_")
                    self._drop_parquet(connection, installation, stream, column, type_name, name)

    def _drop_parquet(
        self,
        connection: duckdb.DuckDBPyConnection,
        installation: Installation,
        stream: str,
        column: str,
        type_name: str,
        name: str,
    ) -> None:
        file = Delivered(name, stream)
        selects = []
        for sql, cell in TYPED[type_name].items():
            trial = self.trial(stream, column, sql, cell)
            selects.append(_select(trial, sql))
            file.trials[len(file.trials) + 1] = trial
        path = installation.home / "landing" / stream / name
        path.parent.mkdir(parents=True, exist_ok=True)
        connection.execute(f"copy ({' union all '.join(selects)}) to '{path}' (format parquet)")
        self.files.append(file)

    def drop_good(self, installation: Installation) -> None:
        """Files of good rows only, before and after all of the others by name."""
        for stream in COLUMNS:
            for name in ("!first.ndjson", "~last.csv"):
                is_json = name.endswith("ndjson")
                lines = [] if is_json else [_csv_line(COLUMNS[stream])]
                for customer_id in (GOOD_CUSTOMER, ERASED_CUSTOMER):
                    lines.append(_line(self.good_trial(stream, customer_id), is_json=is_json))
                installation.drop_bytes(stream, name, b"".join(lines))

    def trial(self, stream: str, column: str, written: str, cell: object) -> Trial:
        self._number += 1
        return Trial(
            stream, column, written, cell, _FIRST_CUSTOMER + self._number, f"row-{self._number}"
        )

    def good_trial(self, stream: str, customer_id: int = GOOD_CUSTOMER) -> Trial:
        self._number += 1
        if customer_id == GOOD_CUSTOMER:
            self.good[stream] += 1
        return Trial(stream, "", "", None, customer_id, f"good-{self._number}")

    def compare(self, installation: Installation) -> list[str]:
        """Every row that did not end as it may have, with the file, column and value."""
        surprises: list[str] = []
        now = datetime.fromisoformat(NOW)
        loads = installation.loads()
        reasons = {
            (row["source_file"], row["row_number"]): row["reason"]
            for row in rows_in_lake(
                installation, "rejected_rows", "source_file, row_number, reason"
            )
        }
        lake = {stream: _lake_by_row(installation, stream) for stream in COLUMNS}
        for file in self.files:
            source = f"{file.stream}/{file.name}"
            load = loads.get(source)
            if load is None or load.status != "loaded":
                why = load.failure if load else "it is not in the ledger"
                surprises.append(f"{source}: the whole file was not loaded: {why}")
                continue
            for number, trial in file.trials.items():
                column = COLUMNS[trial.stream][trial.column]
                may = result_of(trial.stream, column, trial.cell, now)
                reason = reasons.get((source, number))
                problem = _problem(may, trial, reason, lake[trial.stream])
                if problem:
                    shown = trial.written if len(trial.written) < 80 else trial.written[:20] + "…"
                    surprises.append(f"{source}: {trial.column} = {shown!r}: {problem}")
        return surprises + self.good_rows_lost(installation)

    def good_rows_lost(self, installation: Installation) -> list[str]:
        """Whether the lake has as many rows of the good customer as were dropped."""
        return [
            f"{stream}: {count} good rows were dropped, {found} are in the lake"
            for stream, count in self.good.items()
            if (
                found := len(
                    rows_in_lake(
                        installation, stream, "1 as one", f"where customer_id = {GOOD_CUSTOMER}"
                    )
                )
            )
            != count
        ]


def run(folder: Path, *, seed: int, types_of_a_column: int | None, all_packings: bool) -> Outcome:
    """All of it in one home: hourly, nightly, export, reconcile, erase. `types_of_a_column` is how
    many types of Parquet each column is tried in, by the seed; None for all."""
    outcome = Outcome()
    matrix = Matrix(
        seed=seed, types_of_a_column=types_of_a_column, of_one_column=types_of_a_column is None
    )
    with installation_in(folder / "matrix", NOW) as installation:
        matrix.drop_good(installation)
        packings = ["ndjson", "csv", "jsonl.gz", "csv.gz"] if all_packings else ["ndjson", "csv"]
        matrix.drop_text(installation, packings)
        matrix.drop_parquet(installation)
        outcome.figures["combinations"] = matrix.trials()
        outcome.figures["files"] = len(matrix.files)
        check_jobs(outcome, installation, matrix)
    return outcome


def check_jobs(outcome: Outcome, installation: Installation, matrix: Matrix) -> None:
    """Run what runs; nothing may fail, and the good rows are there after each."""
    hourly = installation.try_run()
    outcome.claim(hourly.succeeded, f"hourly: {hourly.problem}")
    surprises = matrix.compare(installation)
    outcome.figures["surprises"] = len(surprises)
    outcome.failures += surprises
    if hourly.succeeded:
        messages = installation.marts(
            "select sum(event_count)::bigint as messages from marts.usage_quarter_hourly "
            f"where customer_id = {GOOD_CUSTOMER}"
        )[0]["messages"]
        good = matrix.good["agent_usage_events"]
        outcome.claim(messages == good, f"{good} good events, {messages} of them in the marts")
    nightly = installation.try_run("nightly")
    outcome.claim(nightly.succeeded, f"nightly: {nightly.problem}")
    settings = installation.settings
    if nightly.succeeded:
        export(settings, installation.home / "exported")
    with installation.ledger() as ledger:
        proof = reconcile(settings, ledger)
        outcome.claim(proof.adds_up, f"reconcile: {proof.differences} {proof.file_differences}")
        erased = erase(settings, ledger, ERASED_CUSTOMER, run_id="erase")
        outcome.claim(not erased.proof.hits, f"erase: {erased.proof.hits}")
    outcome.failures += matrix.good_rows_lost(installation)


def rows_in_lake(
    installation: Installation, folder: str, columns: str, where: str = ""
) -> list[dict[str, Any]]:
    """Rows of the lake, of some columns."""
    with installation.ledger() as ledger:
        paths = [str(installation.settings.lake / path) for path in ledger.lake_paths_of(folder)]
    if not paths:
        return []
    with duckdb.connect() as connection:
        cursor = connection.execute(
            f"select {columns} from read_parquet($paths, hive_partitioning = false, "
            f"union_by_name = true) {where}",
            {"paths": paths},
        )
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _lake_by_row(installation: Installation, stream: str) -> dict[str, dict[str, Any]]:
    """Rows of the lake by what makes each of them itself beside its nasty column: the customer,
    and the id or name that the row was given."""
    found = {}
    for row in rows_in_lake(installation, stream, "*"):
        for key in _keys(stream, row):
            found[key] = row
    return found


def _keys(stream: str, row: Mapping[str, Any]) -> Iterator[str]:
    yield f"customer {row['customer_id']}"
    if stream == "legal_holds":
        yield f"row {(row['hold_from'] - _FIRST_DAY).days}"
        return
    names = {"customers": "customer_name", "agents": "agent_name", "agent_types": "agent_type_name"}
    names["prices"] = "model"
    name = IDENTITIES.get(stream) or names[stream]
    yield f"row {number_of_row(str(row[name]))}"


def number_of_row(text: str) -> int:
    """The number in what a row is called, which some types have as a number or a UUID only."""
    try:
        return UUID(text).int
    except ValueError:
        return int("".join(character for character in text if character in "0123456789") or 0)


def _problem(
    may: Result, trial: Trial, reason: str | None, lake: Mapping[str, Mapping[str, Any]]
) -> str | None:
    """How the row ended, where it may not have."""
    if reason is not None:
        if reason in may.reasons:
            return None
        return f"rejected as {reason}, not {sorted(may.reasons) or 'accepted'}"
    if not may.is_acceptable:
        return f"accepted, not rejected as {sorted(may.reasons)}"
    key = (
        f"row {number_of_row(trial.row_id)}"
        if trial.column == "customer_id"
        else f"customer {trial.customer_id}"
    )
    row = lake.get(key)
    if row is None:
        return "neither rejected nor in the lake"
    column = COLUMNS[trial.stream][trial.column]
    if trial.column == "total_tokens":
        is_mismatch = may.value is not None and may.value != 110
        if row["is_total_mismatch"] != is_mismatch:
            return f"is_total_mismatch is {row['is_total_mismatch']}"
        return None
    found = row[trial.column]
    if trial.column == "deleted":
        # That an event is not withdrawn is the same as nothing said of it.
        found = found or (None if may.value is None else False)
    if is_value(column, may.value, trial.cell, found):
        return None
    return f"accepted as {str(found)[:60]!r}, not {str(may.value)[:60]!r}"


def _is_well_formed(text: str, suffix: str) -> bool:
    """Whether a line with it can be split into columns, or parsed, by itself."""
    if "\udcff" in text or (text == "\ud800"):
        return False
    if "csv" in suffix:
        return True
    try:
        json.loads(text, parse_constant=lambda word: json.loads(word.lower()))
    except ValueError:
        return False
    return True


def good_cells(trial: Trial) -> dict[str, object]:
    """The row, good in every column, under the names of its stream."""
    cells: dict[str, object] = {"customer_id": trial.customer_id, **_GOOD[trial.stream]}
    if trial.stream in IDENTITIES:
        cells[IDENTITIES[trial.stream]] = trial.row_id
        cells["occurred_at"] = cells["received_at"] = _AT
    elif trial.stream == "legal_holds":
        cells["hold_from"] = str(_FIRST_DAY + timedelta(number_of_row(trial.row_id)))
        cells["updated_at"] = _AT
    else:
        name = {"customers": "customer_name", "agents": "agent_name", "prices": "model"}
        cells[name.get(trial.stream, "agent_type_name")] = trial.row_id
        cells["updated_at"] = _AT
    return cells


def _line(trial: Trial, *, is_json: bool) -> bytes:
    cells = good_cells(trial)
    if is_json:
        tokens = {name: json.dumps(value) for name, value in cells.items()}
        if trial.column:
            tokens[trial.column] = trial.written
        text = ", ".join(f'"{name}": {token}' for name, token in tokens.items())
        return ("{" + text + "}\n").encode("utf-8", "surrogateescape")
    texts = {
        name: json.dumps(value) if isinstance(value, (dict, bool)) else str(value)
        for name, value in cells.items()
    }
    if trial.column:
        texts[trial.column] = trial.written
    return _csv_line([texts[name] for name in COLUMNS[trial.stream]])


def _csv_line(cells: Any) -> bytes:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(cells)
    text = buffer.getvalue()
    if "\ud800" in text:
        return text.encode("utf-8", "surrogatepass")
    return text.encode("utf-8", "surrogateescape")


def _select(trial: Trial, sql: str) -> str:
    """The row as SQL, in types of its own but for the nasty column."""
    fields = []
    for name, value in good_cells(trial).items():
        if name == trial.column:
            fields.append(f'{sql} as "{name}"')
        elif name.endswith("_at"):
            fields.append(f"timestamp '{value}' as \"{name}\"")
        elif isinstance(value, dict):
            fields.append(f'map {value} as "{name}"')
        else:
            fields.append(f"cast('{value}' as {_SQL_OF[type(value)]}) as \"{name}\"")
    return "select " + ", ".join(fields)
