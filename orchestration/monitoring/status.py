"""What an operator asks first: did it run, how fresh is it, what waits, what was refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import duckdb

from orchestration import pipeline
from orchestration.contract.streams import STREAMS
from orchestration.lake.policy import Policies, invalid_policies
from orchestration.lake.verified import LakeDamaged
from orchestration.landing.extra import names_in_lake
from orchestration.landing.files import FAILED_FOLDER, waiting_files
from orchestration.landing.passed_over import PassedOver, find_passed_over
from orchestration.landing.set_aside import first_line_of, is_set_aside, reason_beside
from orchestration.money.price_book import read_price_book
from orchestration.monitoring.freshness import Freshness, check_freshness
from orchestration.monitoring.problems import rejected_share
from orchestration.publication import publish
from orchestration.settings import Settings
from orchestration.storage.ledger import Ledger, Run

RUNS_SHOWN = 5


@dataclass(frozen=True)
class StreamStatus:
    """Rows of one stream over all its files; rows_read = accepted + duplicates + rejected.

    Of the accepted ones, those `withdrawn` withdraw an event. `rejected_share` leaves duplicates
    and rows past their retention aside.
    """

    stream: str
    files: int
    rows_read: int
    accepted: int
    duplicates: int
    rejected: int
    rejected_share: float
    withdrawn: int


@dataclass(frozen=True)
class FailedFile:
    """A file in `landing/_failed/`, by its path below landing/, and why it was set aside."""

    path: str
    why: str


@dataclass(frozen=True)
class RejectedReason:
    """How many rows of a stream were rejected for one reason."""

    stream: str
    reason: str
    rows: int


@dataclass(frozen=True)
class UnpricedModel:
    """A name in published usage events whose tokens have no price, or some of them."""

    provider: str
    model: str
    unpriced_tokens: int


@dataclass(frozen=True)
class Status:
    """The state of a home folder. `data_as_of` is the newest load, `snapshot` the current file,
    `open_to_others` what other users of the machine may read or change; `unknown_time_zones` are
    rows, `legal_holds` the UTC date from which on rows of each customer in it stay."""

    home: str
    now: datetime
    data_as_of: datetime | None
    snapshot: str | None
    files_waiting: int
    files_failed: int
    streams: Sequence[StreamStatus]
    rejected: Sequence[RejectedReason]
    set_aside: Sequence[FailedFile]
    passed_over: Sequence[PassedOver]
    invalid_policies: Mapping[int, str]
    legal_holds: Mapping[int, date]
    unknown_time_zones: int
    unknown_columns: Mapping[str, Sequence[str]]
    unpriced_models: Sequence[UnpricedModel]
    overlapping_prices: Sequence[str]
    runs: Sequence[Run]
    freshness: Sequence[Freshness]
    open_to_others: Sequence[str]


def gather(settings: Settings) -> Status:
    """Read the state of the home folder; takes no lock and changes nothing."""
    current = publish.current_snapshot(settings.snapshots)
    with closing(Ledger(settings.ledger_path)) as ledger:
        loads = ledger.loads()
        runs = ledger.runs(RUNS_SHOWN)
        data_as_of = ledger.newest_load_at(settings.clock())
        policies = _policies(settings, ledger)
        unknown = _unknown_columns(settings, ledger)
        overlapping = _overlapping_prices(settings, ledger)
    by_reason: Counter[tuple[str, str]] = Counter()
    for load in loads:
        for reason, rows in load.rejected_by_reason.items():
            by_reason[load.stream, reason] += rows
    return Status(
        home=str(settings.home),
        now=settings.clock(),
        data_as_of=data_as_of,
        snapshot=publish.name_of(current, settings.snapshots) if current else None,
        files_waiting=sum(len(waiting_files(settings.landing, stream)) for stream in STREAMS),
        files_failed=len(_set_aside(settings)),
        streams=[
            StreamStatus(
                stream.name,
                len(of_stream),
                sum(load.rows_read for load in of_stream),
                sum(load.accepted for load in of_stream),
                sum(load.duplicates for load in of_stream),
                sum(load.rejected for load in of_stream),
                round(rejected_share(of_stream)[1], 4),
                sum(load.withdrawn for load in of_stream),
            )
            for stream in STREAMS
            if (of_stream := [load for load in loads if load.stream == stream.name])
        ],
        rejected=[
            RejectedReason(stream, reason, rows)
            for (stream, reason), rows in sorted(by_reason.items())
        ],
        set_aside=_set_aside(settings),
        passed_over=find_passed_over(settings.landing),
        invalid_policies=invalid_policies(policies) if policies else {},
        legal_holds=policies.hold_from if policies else {},
        unknown_time_zones=sum(load.unknown_time_zones for load in loads),
        unknown_columns=unknown,
        unpriced_models=_unpriced_models(current),
        overlapping_prices=overlapping,
        runs=runs,
        freshness=check_freshness(settings),
        open_to_others=[str(path) for path in _open_to_others(settings)],
    )


def _open_to_others(settings: Settings) -> list[Path]:
    """The home folder, and the keys and the ledger in it, where group or others may open them."""
    mode = settings.home.stat().st_mode
    # A file is out of reach of whoever may not enter its folder, whatever its own bits say.
    entered_by = (mode & 0o011) * 0o7
    files = (settings.identity_key_path, settings.keys_path, settings.ledger_path)
    return [settings.home] * bool(mode & 0o077) + [
        path for path in files if path.exists() and path.stat().st_mode & entered_by
    ]


def _set_aside(settings: Settings) -> list[FailedFile]:
    """What waits for somebody to mend it."""
    found = []
    failed = settings.landing / FAILED_FOLDER
    for path in sorted(failed.rglob("*")):
        if not is_set_aside(path):
            continue
        try:
            why = first_line_of(reason_beside(path).read_text(errors="replace"))
        except OSError:
            why = "the reason beside it is gone"
        found.append(FailedFile(str(path.relative_to(failed)), why))
    return found


def _policies(settings: Settings, ledger: Ledger) -> Policies | None:
    try:
        return pipeline.policies(settings, ledger)
    except (LakeDamaged, duckdb.Error):
        # A run that is under way may take the files away that are read here.
        return None


def _unknown_columns(settings: Settings, ledger: Ledger) -> dict[str, list[str]]:
    try:
        return names_in_lake(settings, ledger)
    except LakeDamaged:
        # `agentstats lake verify` says so.
        return {}


def _unpriced_models(snapshot: Path | None) -> list[UnpricedModel]:
    """Those of the published file, most tokens first."""
    if snapshot is None:
        return []
    try:
        with duckdb.connect(str(snapshot), read_only=True) as connection:
            rows = connection.execute(
                "select provider, model, unpriced_tokens from marts.unpriced_models "
                "order by unpriced_tokens desc, provider, model"
            ).fetchall()
    except duckdb.Error:
        # It is of before there were prices, or it was just taken away.
        return []
    return [UnpricedModel(*row) for row in rows]


def _overlapping_prices(settings: Settings, ledger: Ledger) -> list[str]:
    """A sentence for each two delivered prices of which one hides the other for some time."""
    try:
        overlaps = read_price_book(settings, ledger).overlaps
    except (LakeDamaged, duckdb.Error):
        return []
    return [
        f"{one.provider or 'any provider'} {one.model} {one.token_class} {one.processing}"
        f"{'' if one.customer_id is None else f' of customer {one.customer_id}'}: the price from "
        f"{one.valid_from or 'ever'} on is hidden from {other.valid_from or 'ever'} on"
        for one, other in overlaps
    ]
