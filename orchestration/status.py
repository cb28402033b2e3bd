"""What an operator asks first: did it run, how fresh is it, what waits, what was refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from orchestration import publication
from orchestration.freshness import Freshness, check_freshness
from orchestration.landing.files import FAILED_FOLDER, waiting_files
from orchestration.landing.streams import STREAMS
from orchestration.ledger import Ledger, Run
from orchestration.settings import Settings

RUNS_SHOWN = 5


@dataclass(frozen=True)
class StreamStatus:
    """Rows of one stream over all its files; rows_read = accepted + duplicates + rejected."""

    stream: str
    files: int
    rows_read: int
    accepted: int
    duplicates: int
    rejected: int


@dataclass(frozen=True)
class RejectedReason:
    """How many rows of a stream were rejected for one reason."""

    stream: str
    reason: str
    rows: int


@dataclass(frozen=True)
class Status:
    """The state of a home folder. `data_as_of` is the newest load, `snapshot` the current file."""

    home: str
    now: datetime
    data_as_of: datetime | None
    snapshot: str | None
    files_waiting: int
    files_failed: int
    streams: Sequence[StreamStatus]
    rejected: Sequence[RejectedReason]
    runs: Sequence[Run]
    freshness: Sequence[Freshness]


def gather(settings: Settings) -> Status:
    """Read the state of the home folder; takes no lock and changes nothing."""
    current = publication.current_snapshot(settings.snapshots)
    failed = settings.landing / FAILED_FOLDER
    ledger = Ledger(settings.ledger_path)
    try:
        loads = ledger.loads()
        runs = ledger.runs(RUNS_SHOWN)
        data_as_of = ledger.newest_load_at(settings.clock())
    finally:
        ledger.close()
    by_reason: Counter[tuple[str, str]] = Counter()
    for load in loads:
        for reason, rows in load.rejected_by_reason.items():
            by_reason[load.stream, reason] += rows
    return Status(
        home=str(settings.home),
        now=settings.clock(),
        data_as_of=data_as_of,
        snapshot=publication.name_of(current, settings.snapshots) if current else None,
        files_waiting=sum(len(waiting_files(settings.landing, stream)) for stream in STREAMS),
        files_failed=sum(
            path.is_file() and not path.name.endswith(".reason.txt") for path in failed.rglob("*")
        ),
        streams=[
            StreamStatus(
                stream.name,
                len(of_stream),
                sum(load.rows_read for load in of_stream),
                sum(load.accepted for load in of_stream),
                sum(load.duplicates for load in of_stream),
                sum(load.rejected for load in of_stream),
            )
            for stream in STREAMS
            if (of_stream := [load for load in loads if load.stream == stream.name])
        ],
        rejected=[
            RejectedReason(stream, reason, rows)
            for (stream, reason), rows in sorted(by_reason.items())
        ],
        runs=runs,
        freshness=check_freshness(settings),
    )
