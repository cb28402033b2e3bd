"""Whether data still flows: measured on the data itself, not on when a job last ran.

Dagster's own freshness policies ask when an asset was last materialised; a run that found nothing
to load materialises everything, so they stay green when data stops.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import duckdb

from orchestration.contract.streams import EVENT_STREAMS
from orchestration.publication import publish
from orchestration.settings import Settings
from orchestration.storage.ledger import Ledger

NEW_DATA_ARRIVES = "new_data_arrives"
PUBLISHED_DATA_IS_RECENT = "published_data_is_recent"

# One row for each event, in every installation: the other streams may well be silent for days.
_NEWEST_EVENT = "select max(bucket_start) from marts.usage_quarter_hourly"


@dataclass(frozen=True)
class Freshness:
    """One check: how old its newest data is. `newest` is None where there is none yet."""

    check: str
    newest: datetime | None
    age_hours: float | None
    allowed_hours: float
    problem: str | None

    @property
    def is_fresh(self) -> bool:
        return self.problem is None


def check_freshness(settings: Settings) -> list[Freshness]:
    """Both checks, at the time of the settings' clock. Takes no lock, and changes nothing."""
    return [
        _judge(
            settings,
            NEW_DATA_ARRIVES,
            _newest_accepted_load(settings),
            "no event was accepted",
            "see whether producers still deliver to landing/, and `agentstats status` for "
            "failed runs, files waiting and rejected rows",
        ),
        _judge(
            settings,
            PUBLISHED_DATA_IS_RECENT,
            _newest_published_event(settings),
            "the newest published event is old",
            "see whether runs publish (`agentstats status`), and whether producers deliver late",
        ),
    ]


def _judge(
    settings: Settings, check: str, newest: datetime | None, what: str, then: str
) -> Freshness:
    allowed = settings.freshness_hours
    if newest is None:
        return Freshness(check, None, None, allowed, f"{what}: there is none yet; {then}")
    age = settings.clock() - newest
    problem = None
    if age > timedelta(hours=allowed):
        problem = (
            f"{what}: the newest is of {newest:%Y-%m-%d %H:%M} UTC, more than {allowed:g} hours "
            f"ago; {then}"
        )
    return Freshness(check, newest, round(age.total_seconds() / 3600, 2), allowed, problem)


def _newest_accepted_load(settings: Settings) -> datetime | None:
    """When an event was accepted last; a file of duplicates or bad rows brings no data."""
    if not settings.ledger_path.exists():
        return None
    with closing(Ledger(settings.ledger_path)) as ledger:
        return ledger.newest_accepted_at([stream.name for stream in EVENT_STREAMS])


def _newest_published_event(settings: Settings) -> datetime | None:
    """The start of the newest quarter hour (UTC) with an event that readers can see."""
    current = publish.current_snapshot(settings.snapshots)
    if current is None:
        return None
    with closing(duckdb.connect(str(current), read_only=True)) as snapshot:
        rows: Sequence[tuple[datetime | None]] = snapshot.execute(_NEWEST_EVENT).fetchall()
    newest = rows[0][0]
    return newest.replace(tzinfo=UTC) if newest else None
