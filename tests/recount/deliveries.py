"""Landing files read row by row into the rows that count, and a reason for each that does not."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import duckdb

from .values import REFERENCE_STREAMS, STREAMS, Invalid, loads

FUTURE_TOLERANCE = timedelta(minutes=5)
DAYS_KEPT_BY_TIER = {"free": 7, "starter": 30, "pro": 90}
ENTERPRISE_DEFAULT_DAYS = 365
LONGEST_RETENTION_DAYS = 2557
IDENTITIES = {
    "agent_usage_events": "event_id",
    "audit_events": "audit_id",
    "feedback_events": "feedback_id",
}
KEPT_ONCE_GIVEN = ("created_at", "time_zone")
CACHE_PARTS = (
    "cache_read_input_tokens",
    "cache_write_input_tokens",
    "cache_write_1h_input_tokens",
    "cache_read_audio_input_tokens",
    "cache_read_image_input_tokens",
)
_NEVER = datetime.min.replace(tzinfo=UTC)

# The names of the columns of a Parquet file, and its rows.
ReadParquet = Callable[[Path], tuple[Sequence[str], Sequence[Sequence[object]]]]


@dataclass(frozen=True)
class DeliveredPrices:
    """The newest row of each price and of each alias, without those that take one back."""

    prices: Sequence[Mapping[str, Any]]
    aliases: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class UsageEvent:
    """One agent response, or a failed attempt at one, which has an `error_type`. Times are UTC, and
    null when not measured; `input_tokens` holds what the cache has to do with. `parts` are those
    parts of the tokens that were reported, without `_tokens`."""

    event_id: str
    customer_id: int
    agent_id: int
    agent_type_id: int
    model: str
    input_tokens: int
    output_tokens: int
    response_time_ms: int | None
    occurred_at: datetime
    provider: str = "unknown"
    processing: str = "standard"
    error_type: str | None = None
    time_to_first_token_ms: int | None = None
    tool_calls: int | None = None
    model_requests: int | None = None
    reported_cost_usd: Fraction | None = None
    session_id: str | None = None
    end_user_id: str | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    parts: Mapping[str, int] = field(default_factory=dict)
    delivered: DeliveredPrices | None = None
    """The prices that hold beside the list's, and the aliases."""

    @property
    def is_message(self) -> bool:
        """Whether a response was given."""
        return self.error_type is None


@dataclass(frozen=True)
class Scan:
    """One scan of a response; `pii` holds (entity type, count > 0) pairs by name. `model` is that
    of the response where the scan does not tell."""

    audit_id: str
    customer_id: int
    agent_id: int
    agent_type_id: int
    event_id: str | None
    is_toxic: bool
    pii: tuple[tuple[str, int], ...]
    occurred_at: datetime
    model: str = "unknown"


@dataclass(frozen=True)
class Rating:
    """One star rating; `running_instances` of null or 0 means load unknown, agent 0 no agent."""

    feedback_id: str
    customer_id: int
    agent_type_id: int
    rating: int
    running_instances: int | None
    occurred_at: datetime
    agent_id: int = 0
    model: str = "unknown"


@dataclass(frozen=True)
class FileCount:
    """What became of one file: read = accepted + duplicates + the sum of `rejected`.

    `failed` is null, or why nothing of the file could be read.
    """

    stream: str
    file: str
    read: int
    accepted: int
    duplicates: int
    rejected: Mapping[str, int]
    failed: str | None = None


@dataclass(frozen=True)
class RejectedRow:
    """One rejected row; `row_number` counts data rows from 1 (for NDJSON it is the line)."""

    stream: str
    file: str
    row_number: int
    reason: str


@dataclass(frozen=True)
class Outcome:
    """What became of one delivered row of an event stream.

    `customer_id` and `occurred_at` are null where they cannot be read, `reason` is null unless the
    row was rejected. `kept_from` is the first instant that counts for the customer, null for all.
    """

    stream: str
    customer_id: int | None
    occurred_at: datetime | None
    reason: str | None
    is_accepted: bool
    is_mismatch: bool
    is_conflict: bool
    is_received_in_future: bool
    is_withdrawal: bool
    kept_from: datetime | None


@dataclass(frozen=True)
class Truth:
    """Everything that counts after loading a landing folder.

    `agents` and `agent_types` are keyed by (customer_id, id), `customers` by id, `tiers` by name,
    of those that were delivered; each value is the newest reference row as a mapping from column to
    value.
    """

    events: list[UsageEvent]
    scans: list[Scan]
    ratings: list[Rating]
    customers: Mapping[int, Mapping[str, Any]]
    tiers: Mapping[str, Mapping[str, Any]]
    agents: Mapping[tuple[int, int], Mapping[str, Any]]
    agent_types: Mapping[tuple[int, int], Mapping[str, Any]]
    files: list[FileCount]
    rejected_rows: list[RejectedRow]
    anomalies: Mapping[str, int]
    outcomes: list[Outcome]
    hold_from: Mapping[int, datetime] = field(default_factory=dict)
    """Of customers under a legal hold: rows from then on stay, though none are shown."""

    def retention_days(self, customer_id: int) -> int | None:
        """Days kept for the customer; null when it has no row or an invalid policy."""
        return days_kept(self.customers.get(customer_id), self.tiers)

    def kept_at(self, now: datetime) -> Truth:
        """What is left of events, scans and ratings when everything past its retention went."""

        def is_kept(row: UsageEvent | Scan | Rating) -> bool:
            days = self.retention_days(row.customer_id)
            hold_from = self.hold_from.get(row.customer_id, row.occurred_at + timedelta(1))
            return days is None or row.occurred_at >= min(kept_from(now, days), hold_from)

        return replace(
            self,
            events=[event for event in self.events if is_kept(event)],
            scans=[scan for scan in self.scans if is_kept(scan)],
            ratings=[rating for rating in self.ratings if is_kept(rating)],
        )


def days_kept(
    customer: Mapping[str, Any] | None, tiers: Mapping[str, Mapping[str, Any]]
) -> int | None:
    """Effective retention of a customers row in days; null means nothing is cut off.

    `tiers` are those that were delivered: they stand in for built-in ones of their name.
    """
    if customer is None:
        return None
    name, own = customer["tier"] or "", customer["retention_days"]
    if name in tiers:
        tier = tiers[name]
        fixed, most = tier["retention_days"], tier["max_retention_days"]
        by_default = tier["default_retention_days"]
    else:
        fixed = DAYS_KEPT_BY_TIER.get(name)
        most = LONGEST_RETENTION_DAYS if name == "enterprise" else None
        by_default = ENTERPRISE_DEFAULT_DAYS if name == "enterprise" else None
    longest = LONGEST_RETENTION_DAYS
    if fixed is None:
        longest = min(longest, longest if most is None else most)
        # A tier that sets no bound gives its customers no days of their own.
        fixed = by_default if own is None or most is None else own
    return fixed if fixed is not None and 1 <= fixed <= longest else None


def kept_from(now: datetime, days: int) -> datetime:
    """The first instant that a retention of `days` keeps: midnight UTC, `days` before today."""
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight - timedelta(days=days)


@dataclass
class _Counting:
    """The state of one recount: the newest reference rows and the winners so far."""

    read_parquet: ReadParquet
    now: datetime = _NEVER
    references: dict[str, dict[tuple[Any, ...], dict[str, Any]]] = field(
        default_factory=lambda: {stream: {} for stream in REFERENCE_STREAMS}
    )
    given: dict[tuple[int, str], tuple[tuple[Any, ...], Any]] = field(default_factory=dict)
    """Of each customer and column of KEPT_ONCE_GIVEN the newest value, behind the row's rank."""
    reference_versions: set[tuple[Any, ...]] = field(default_factory=set)
    winners: dict[str, dict[tuple[Any, ...], dict[str, Any]]] = field(
        default_factory=lambda: {stream: {} for stream in IDENTITIES}
    )
    withdrawals: dict[str, dict[tuple[Any, ...], datetime]] = field(
        default_factory=lambda: {stream: {} for stream in IDENTITIES}
    )
    """The latest receipt of a row that withdraws the event."""
    anomalies: Counter[str] = field(default_factory=Counter)
    contents: dict[tuple[Any, ...], list[dict[str, Any]]] = field(default_factory=dict)

    def outcome(
        self,
        stream: str,
        written: Mapping[str, object],
        row: dict[str, Any],
        reason: str | None,
        is_accepted: bool,
        is_received_in_future: bool,
    ) -> Outcome:
        """What became of a row of events that was just taken or refused."""
        customer_id = _readable(stream, written, "customer_id")
        known: list[dict[str, Any]] = []
        content: dict[str, Any] = {}
        is_mismatch = False
        is_withdrawal = reason is None and bool(row["deleted"])
        if reason is None and not is_withdrawal:
            is_mismatch = _is_mismatch(row)
            key = (stream, row["customer_id"], row[IDENTITIES[stream]], row["occurred_at"].date())
            known = self.contents.setdefault(key, [])
            # A total is never trusted: only whether it is wrong makes rows differ.
            content = {**_content(row), "total_tokens": is_mismatch}
        is_conflict = bool(known) and content not in known
        if content not in known:
            known.append(content)
        return Outcome(
            stream=stream,
            customer_id=customer_id,
            occurred_at=_readable(stream, written, "occurred_at"),
            reason=reason,
            is_accepted=is_accepted,
            is_mismatch=is_mismatch,
            is_conflict=is_conflict,
            is_received_in_future=is_received_in_future,
            is_withdrawal=is_withdrawal,
            kept_from=self.first_kept(customer_id),
        )

    def take(self, stream: str, row: dict[str, Any]) -> bool:
        """Keep a valid row; True if it is accepted, False if it is a duplicate."""
        if stream in REFERENCE_STREAMS:
            return self._take_reference(stream, row)
        key = (row["customer_id"], row[IDENTITIES[stream]], row["occurred_at"].date())
        if row["deleted"]:
            latest = self.withdrawals[stream].get(key)
            received_at = row["received_at"] or _NEVER
            self.withdrawals[stream][key] = max(latest or _NEVER, received_at)
            return latest is None
        rival = self.winners[stream].get(key)
        if rival is None:
            self.winners[stream][key] = row
            return True
        self.anomalies["conflicting_duplicate"] += _content(row) != _content(rival)
        if _rank(row) > _rank(rival):
            self.winners[stream][key] = row
        return False

    def counted(self, stream: str) -> dict[tuple[Any, ...], dict[str, Any]]:
        """The winners that are not withdrawn at the time of their receipt or later."""
        withdrawn = self.withdrawals[stream]
        return {
            key: row
            for key, row in self.winners[stream].items()
            if key not in withdrawn or (row["received_at"] or _NEVER) > withdrawn[key]
        }

    def tiers(self) -> dict[str, dict[str, Any]]:
        """The newest row of each tier that was delivered."""
        return {key[0]: row for key, row in self.references["tiers"].items()}

    def hold_from(self) -> dict[int, datetime]:
        """The first instant of each legal hold that was not released."""
        return {
            key[0]: datetime.combine(row["hold_from"], time(), UTC)
            for key, row in self.references["legal_holds"].items()
            if not row["released"]
        }

    def first_kept(self, customer_id: int | None) -> datetime | None:
        """The first instant that is kept of the customer, by what was delivered so far."""
        days = days_kept(self.references["customers"].get((customer_id,)), self.tiers())
        if days is None:
            return None
        first = kept_from(self.now, days)
        return min(first, self.hold_from().get(customer_id or 0, first))

    def customers(self) -> dict[int, dict[str, Any]]:
        """The newest row of each customer, with what older ones gave and it leaves out."""
        return {
            key[0]: row
            | {
                column: self.given.get((key[0], column), (None, None))[1]
                for column in KEPT_ONCE_GIVEN
            }
            for key, row in self.references["customers"].items()
        }

    def _take_reference(self, stream: str, row: dict[str, Any]) -> bool:
        for column in KEPT_ONCE_GIVEN if stream == "customers" else ():
            before = self.given.get((row["customer_id"], column))
            if row[column] is not None and (before is None or _rank(row) > before[0]):
                self.given[row["customer_id"], column] = (_rank(row), row[column])
        key = _reference_key(stream, row)
        rival = self.references[stream].get(key)
        if rival is None or _rank(row) > _rank(rival):
            self.references[stream][key] = row
        version = (stream, *row.items())
        if version in self.reference_versions:
            return False
        self.reference_versions.add(version)
        return True

    def outside_time(self, stream: str, row: dict[str, Any]) -> str | None:
        """The reason why the time of a row is refused, if it is."""
        latest = self.now + FUTURE_TOLERANCE
        if stream in REFERENCE_STREAMS:
            return "updated_in_future" if (row["updated_at"] or _NEVER) > latest else None
        if row["occurred_at"] > latest:
            return "occurred_in_future"
        first = self.first_kept(row["customer_id"])
        if first is not None and row["occurred_at"] < first:
            return "expired"
        return None

    def drop_receipt_in_future(self, row: dict[str, Any]) -> bool:
        """Take such a time of receipt as unknown; True if it was one."""
        is_ahead = (row.get("received_at") or _NEVER) > self.now + FUTURE_TOLERANCE
        if is_ahead:
            row["received_at"] = None
            self.anomalies["received_in_future"] += 1
        return is_ahead


def recount(
    landing: Path,
    now: datetime,
    toxicity_threshold: float = 0.5,
    read_parquet: ReadParquet | None = None,
) -> Truth:
    """Load a landing folder as one delivery at `now` (aware) and return what counts.

    Reference streams come first; inside a stream, files go by their sorted relative path.
    """
    return recount_in_turn([(landing, now)], toxicity_threshold, read_parquet)


def recount_in_turn(
    deliveries: Sequence[tuple[Path, datetime]],
    toxicity_threshold: float = 0.5,
    read_parquet: ReadParquet | None = None,
) -> Truth:
    """Load landing folders one after the other, each at its own aware time.

    `read_parquet` gives the rows of a file by column name; DuckDB's reader does by default.
    """
    state = _Counting(read_parquet=read_parquet or _read_with_duckdb)
    files: list[FileCount] = []
    rejected_rows: list[RejectedRow] = []
    outcomes: list[Outcome] = []
    for landing, now in deliveries:
        state.now = now.astimezone(UTC)
        _load(landing, state, files, rejected_rows, outcomes)
    return _truth(state, files, rejected_rows, outcomes, Fraction(str(toxicity_threshold)))


def _load(
    landing: Path,
    state: _Counting,
    files: list[FileCount],
    rejected_rows: list[RejectedRow],
    outcomes: list[Outcome],
) -> None:
    for stream in STREAMS:
        for path in _waiting(landing / stream):
            name = path.relative_to(landing).as_posix()
            try:
                cells = _rows(path, stream, state.read_parquet)
            except _Unreadable as problem:
                files.append(FileCount(stream, name, 0, 0, 0, {}, failed=str(problem)))
                continue
            outcome: Counter[bool] = Counter()
            reasons: Counter[str] = Counter()
            for row_number, written in cells:
                row, reason = _parsed(stream, written)
                if reason is None:
                    reason = state.outside_time(stream, row)
                is_ahead = reason is None and state.drop_receipt_in_future(row)
                is_accepted = reason is None and state.take(stream, row)
                if reason is None:
                    outcome[is_accepted] += 1
                else:
                    reasons[reason] += 1
                    rejected_rows.append(RejectedRow(stream, name, row_number, reason))
                if stream in IDENTITIES:
                    outcomes.append(
                        state.outcome(stream, written, row, reason, is_accepted, is_ahead)
                    )
            files.append(
                FileCount(stream, name, len(cells), outcome[True], outcome[False], dict(reasons))
            )


def _truth(
    state: _Counting,
    files: list[FileCount],
    rejected_rows: list[RejectedRow],
    outcomes: list[Outcome],
    threshold: Fraction,
) -> Truth:
    counted = {stream: state.counted(stream) for stream in IDENTITIES}
    delivered = DeliveredPrices(
        [row for row in state.references["prices"].values() if row["usd_per_million"] is not None],
        [row for row in state.references["model_aliases"].values() if row["priced_as"]],
    )
    events = [
        replace(_event(row), delivered=delivered) for row in counted["agent_usage_events"].values()
    ]
    state.anomalies["total_mismatch"] = sum(
        _is_mismatch(row) for row in counted["agent_usage_events"].values()
    )
    references = state.references
    return Truth(
        events=events,
        scans=[
            _scan(row, threshold, counted["agent_usage_events"])
            for row in counted["audit_events"].values()
        ],
        ratings=[_rating(row) for row in counted["feedback_events"].values()],
        customers=state.customers(),
        tiers=state.tiers(),
        agents={(key[0], key[1]): row for key, row in references["agents"].items()},
        agent_types={(key[0], key[1]): row for key, row in references["agent_types"].items()},
        files=files,
        rejected_rows=rejected_rows,
        anomalies=dict(state.anomalies),
        outcomes=outcomes,
        hold_from=state.hold_from(),
    )


class _Unreadable(Exception):
    """No row of the file can be read; the message says why."""


def _parsed(stream: str, written: Mapping[str, object]) -> tuple[dict[str, Any], str | None]:
    """The row's values and null, or the reason of the first column that breaks its rule."""
    row: dict[str, Any] = {}
    if written.get("") is _NOT_JSON:
        return row, "malformed_row"
    columns = STREAMS[stream]
    if stream in IDENTITIES and _readable(stream, written, "deleted"):
        said = (IDENTITIES[stream], "customer_id", "occurred_at", "received_at", "deleted")
        columns = tuple(column for column in columns if column.name in said)
    for column in columns:
        cell = written.get(column.name)
        if cell is None and column.required:
            return row, f"missing_{column.name}"
        try:
            row[column.name] = None if cell is None else column.parsed(cell)
        except Invalid:
            return row, f"invalid_{column.name}"
        needs_it = column.name == "input_includes_cache" and row[column.name] is None
        if needs_it and any(row[part] for part in CACHE_PARTS):
            return row, f"missing_{column.name}"
    if row.get("deleted") is False:
        # The same as nothing said.
        row["deleted"] = None
    return row, None


def stored_input(row: Mapping[str, Any]) -> int:
    """Input tokens with what was read from the cache and written to it."""
    tokens: int = row["input_tokens"]
    if row["input_includes_cache"] is False:
        tokens += row["cache_read_input_tokens"] or 0
        tokens += _written_to_cache(row) or 0
    return tokens


def _written_to_cache(row: Mapping[str, Any]) -> int | None:
    written: int | None = row["cache_write_input_tokens"]
    return row["cache_write_1h_input_tokens"] if written is None else written


def _is_mismatch(row: Mapping[str, Any]) -> bool:
    """Whether the total is the sum neither of the delivered tokens nor of the stored ones."""
    total = row.get("total_tokens")
    return total is not None and total not in (
        row["input_tokens"] + row["output_tokens"],
        stored_input(row) + row["output_tokens"],
    )


def _rank(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """What makes one of two versions the one that counts: newer, or saying more."""
    return (
        row.get("received_at", row.get("updated_at")) or _NEVER,
        row.get("output_tokens", 0),
        stored_input(row) if "input_tokens" in row else 0,
        -sum(value is None for name, value in row.items() if name != "attributes"),
    )


def _readable(stream: str, written: Mapping[str, object], name: str) -> Any:
    """The value of one column, whatever the others say; null where it cannot be read."""
    (column,) = (column for column in STREAMS[stream] if column.name == name)
    cell = written.get(name)
    try:
        return None if cell is None else column.parsed(cell)
    except Invalid:
        return None


def _reference_key(stream: str, row: Mapping[str, Any]) -> tuple[Any, ...]:
    if stream == "tiers":
        return (row["tier"],)
    if stream == "prices":
        beside = ("usd_per_million", "valid_to", "updated_at")
        return tuple(
            row[column.name] or {"processing": "standard"}.get(column.name)
            for column in STREAMS[stream]
            if column.name not in beside
        )
    if stream == "model_aliases":
        return (row["model"], row["provider"])
    if stream in ("customers", "legal_holds"):
        return (row["customer_id"],)
    return (row["customer_id"], row["agent_id" if stream == "agents" else "agent_type_id"])


def _content(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "received_at"}


def apart_from_labels(text: str | None) -> str | None:
    """A text as marts have it beside the labels (none) and (other): one of those, or one of them in
    more brackets, with a pair of brackets more."""
    if text and text.strip("()") in ("none", "other") and text[0] + text[-1] == "()":
        return f"({text})"
    return text


def _event(row: Mapping[str, Any]) -> UsageEvent:
    return UsageEvent(
        row["event_id"], row["customer_id"], row["agent_id"], row["agent_type_id"],
        row["model_used"] or "unknown", stored_input(row), row["output_tokens"],
        row["response_time_ms"], row["occurred_at"],
        provider=row["provider"] or "unknown",
        processing=row["processing"] or "standard",
        error_type=apart_from_labels(row["error_type"]),
        time_to_first_token_ms=row["time_to_first_token_ms"],
        tool_calls=row["tool_calls"],
        model_requests=row["model_requests"],
        reported_cost_usd=row["reported_cost_usd"],
        session_id=row["session_id"],
        end_user_id=row["end_user_id"],
        attributes=dict(row["attributes"] or ()),
        parts={
            name.removesuffix("_tokens"): value
            for name, value in {**row, "cache_write_input_tokens": _written_to_cache(row)}.items()
            if name.endswith(("_input_tokens", "_output_tokens")) and value is not None
        },
    )  # fmt: skip


def _scan(
    row: Mapping[str, Any],
    threshold: Fraction,
    responses: Mapping[tuple[Any, ...], Mapping[str, Any]],
) -> Scan:
    response = responses.get((row["customer_id"], row["event_id"], row["occurred_at"].date()))
    model = row["model_used"] or (response or {}).get("model_used")
    toxic: bool | None = row["is_toxic"]
    if toxic is None:
        toxic = row["toxicity_score"] is not None and row["toxicity_score"] >= threshold
    return Scan(
        row["audit_id"], row["customer_id"], row["agent_id"], row["agent_type_id"],
        row["event_id"], toxic, row["pii_redactions"] or (), row["occurred_at"],
        model=model or "unknown",
    )  # fmt: skip


def _rating(row: Mapping[str, Any]) -> Rating:
    return Rating(
        row["feedback_id"], row["customer_id"], row["agent_type_id"], row["rating"],
        row["running_instances"], row["occurred_at"],
        agent_id=row["agent_id"] or 0,
        model=row["model_used"] or "unknown",
    )  # fmt: skip


def _waiting(folder: Path) -> list[Path]:
    """The finished files below a stream's folder, in the order of their relative path."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return sorted(
        (path for path in found if not path.name.startswith((".", "_")) and path.suffix != ".tmp"),
        key=lambda path: path.relative_to(folder).as_posix(),
    )


_NOT_JSON = object()
_Rows = list[tuple[int, Mapping[str, object]]]
_Table = tuple[_Rows, set[str]]


def _rows(path: Path, stream: str, read_parquet: ReadParquet) -> _Rows:
    """(row number, cells by column) of each row; raises _Unreadable for the file as a whole."""
    bare_name = path.name.lower().removesuffix(".gz")
    try:
        if bare_name.endswith(".parquet"):
            rows, columns = _numbered(*read_parquet(path))
        elif bare_name.endswith(".csv"):
            rows, columns = _csv(_text(path))
        elif bare_name.endswith((".ndjson", ".jsonl")):
            rows, columns = _ndjson(_text(path))
        else:
            raise _Unreadable("unknown format")
    except (OSError, EOFError, UnicodeDecodeError, zlib.error, csv.Error, duckdb.Error) as problem:
        raise _Unreadable(str(problem)) from problem
    needed = {column.name for column in STREAMS[stream] if column.required}
    if stream in IDENTITIES and "deleted" in columns:
        # Some row may withdraw an event, and say no more than that.
        needed &= {IDENTITIES[stream], "customer_id", "occurred_at"}
    for name in sorted(needed):
        if rows and name not in columns:
            raise _Unreadable(f"missing column {name}")
    return rows


def _text(path: Path) -> str:
    content = path.read_bytes()
    if path.suffix.lower() == ".gz":
        content = gzip.decompress(content)
    return content.decode("utf-8-sig")


def _csv(content: str) -> _Table:
    reader = csv.DictReader(io.StringIO(content, newline=""))
    rows: _Rows = [
        (number, {name: cell or None for name, cell in row.items() if name is not None})
        for number, row in enumerate(reader, start=1)
    ]
    return rows, set(reader.fieldnames or ())


def _ndjson(content: str) -> _Table:
    rows: _Rows = []
    columns: set[str] = set()
    for number, line in enumerate(content.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = loads(line)
        except ValueError:
            row = None
        if isinstance(row, dict):
            columns.update(row)
            rows.append((number, row))
        else:
            rows.append((number, {"": _NOT_JSON}))
    return rows, columns


def _numbered(names: Sequence[str], rows: Sequence[Sequence[object]]) -> _Table:
    numbered: _Rows = [
        (number, dict(zip(names, row, strict=True))) for number, row in enumerate(rows, start=1)
    ]
    return numbered, set(names)


def _read_with_duckdb(path: Path) -> tuple[Sequence[str], Sequence[Sequence[object]]]:
    """DuckDB serves as a file reader only: it returns the rows and computes nothing."""
    connection = duckdb.connect(config={"threads": 1})
    try:
        cursor = connection.execute("select * from read_parquet($path)", {"path": str(path)})
        names = [column[0] for column in cursor.description]
        fetched = cursor.fetchall()
    finally:
        connection.close()
    return names, fetched
