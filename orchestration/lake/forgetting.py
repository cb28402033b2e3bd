"""`agentstats lake forget`: giving up files that are damaged or lost, so that it adds up again.

What was lost is what landing recorded as accepted and written, and no other file of the lake has.
It is recorded once, by customer and date; then the files count no more, their dates are rebuilt by
the next run, and what was lost may be delivered again, as anything new.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date

import duckdb
import structlog

from orchestration.contract.streams import EVENT_STREAMS, STREAMS_BY_NAME, Stream
from orchestration.contract.sums import MEASURES, written_sums
from orchestration.errors import AgentstatsError
from orchestration.lake.names import identity_of_event, rows_of
from orchestration.lake.quarantine import move_to_quarantine
from orchestration.lake.verified import Fault, find_faults, verified_paths
from orchestration.lake.writing import COUNTS_FOLDER
from orchestration.settings import Settings
from orchestration.storage.database import connect
from orchestration.storage.ledger import LakeFile, Ledger
from orchestration.storage.ledger.losses import LossAmount

# Below `quarantine/`, apart from files that may be whole.
FORGOTTEN = "forgotten"

EVENTS = "events"

log = structlog.get_logger()


class NotToForget(AgentstatsError):
    """A file cannot be given up; the message says why, and what to do."""


@dataclass(frozen=True)
class Forgotten:
    """What is given up: the files, each with what is wrong with it, and what was in them."""

    faults: Sequence[Fault]
    amounts: Sequence[LossAmount]


def loss_of(settings: Settings, ledger: Ledger, paths: Sequence[str]) -> Forgotten:
    """What would be given up with these files, paths below the lake; nothing is changed.

    Raises `NotToForget` for a file that is whole or not in the ledger, and `LakeDamaged` where
    others must be restored or given up with it.
    """
    files = []
    for path in dict.fromkeys(paths):
        file = ledger.lake_file(path)
        if file is None:
            raise NotToForget(
                f"{path} is no file of the lake that the ledger knows: `agentstats lake verify` "
                "lists those that are damaged or missing, by their paths below lake/"
            )
        files.append(file)
    faults = find_faults(settings.lake, ledger, files)
    faulty = {fault.file.path for fault in faults}
    for file in files:
        if file.path not in faulty:
            raise NotToForget(
                f"{file.path} is what the ledger recorded: there is nothing to give up"
            )
    amounts: list[LossAmount] = []
    with closing(connect(settings)) as connection:
        for stream, day in _places(files):
            amounts += _amounts(connection, settings, ledger, stream, day, faulty)
    return Forgotten(faults, amounts)


def forget(settings: Settings, ledger: Ledger, lost: Forgotten) -> None:
    """Record the loss, and move what is left of the files to the quarantine."""
    files = [fault.file for fault in lost.faults]
    ledger.record_losses(
        [(fault.file, fault.state) for fault in lost.faults],
        lost.amounts,
        touched=sorted(
            {
                (file.folder, file.occurred_date)
                for file in files
                if file.occurred_date or file.folder in STREAMS_BY_NAME
            },
            key=str,
        ),
        at=settings.clock(),
    )
    for file in files:
        if (settings.lake / file.path).exists():
            move_to_quarantine(settings, file.path, below=FORGOTTEN)
        log.warning("lake_file_forgotten", path=file.path, rows=file.rows)


def _places(files: Sequence[LakeFile]) -> list[tuple[Stream, date]]:
    """The streams and dates whose events the files had, or the counts of their deliveries."""
    return sorted(
        {
            (stream, file.occurred_date)
            for file in files
            for stream in EVENT_STREAMS
            if file.occurred_date and file.folder in (stream.name, COUNTS_FOLDER)
        },
        key=str,
    )


def _amounts(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    ledger: Ledger,
    stream: Stream,
    day: date,
    faulty: set[str],
) -> list[LossAmount]:
    """What landing recorded for stream and date, less what is there and what was lost before."""

    def whole(folder: str) -> list[str]:
        files = [file for file in ledger.lake_files_of(folder, [day]) if file.path not in faulty]
        return verified_paths(settings.lake, ledger, files)

    amounts: dict[tuple[int, str], int] = {}

    def add(sign: int, query: str, paths: list[str]) -> None:
        if not paths:
            return
        for customer_id, *sums in connection.execute(query, {"paths": paths}).fetchall():
            for measure, amount in zip((EVENTS, *MEASURES), sums, strict=True):
                key = (customer_id, measure)
                amounts[key] = amounts.get(key, 0) + sign * int(amount)

    rows = "read_parquet($paths, hive_partitioning = false)"
    recorded = ", ".join(f"sum(written_{measure})" for measure in MEASURES)
    add(
        1,
        f"select customer_id, sum(accepted), {recorded} from {rows} "
        f"where stream = '{stream.name}' and reason is null group by customer_id",
        whole(COUNTS_FOLDER),
    )
    add(
        -1,
        f"select customer_id, count(distinct {identity_of_event(stream, 'lake_row')}), "
        f"{written_sums(stream.name)} from {rows_of(stream)} as lake_row group by customer_id",
        whole(stream.name),
    )
    for before in ledger.losses():
        if (before.stream, before.occurred_date) == (stream.name, day):
            key = (before.customer_id, before.measure)
            amounts[key] = amounts.get(key, 0) - before.lost
    return [
        LossAmount(stream.name, customer_id, day, measure, lost)
        for (customer_id, measure), lost in sorted(amounts.items())
        if lost
    ]
