"""What the platform writes, and what agentstats has of it."""

from __future__ import annotations

from typing import Any

import psycopg

from installation import Installation
from orchestration import pipeline
from orchestration.contract.streams import STREAMS, Stream
from orchestration.source.pull import Pull, pull
from orchestration.storage.ledger import Load

INSERT_USAGE = (
    "insert into agent_usage_events values "
    "(%s, 1, 11, 5, 'claude-sonnet-4', 100, 10, 110, 1500.5, %s, %s)"
)
AT = "2026-03-01T08:00:00Z"


def write_usage(
    session: psycopg.Connection[Any], *names: str, at: str = AT, received_at: str | None = AT
) -> None:
    """Insert usage events of these ids, in the session's transaction."""
    for name in names:
        session.execute(INSERT_USAGE, (name, at, received_at))


def pull_and_land(
    installation: Installation, *streams: Stream, from_start: bool = False
) -> tuple[Pull, list[Load]]:
    """What the first step of the hourly run does; every stream unless some are named."""
    settings = installation.settings
    with installation.ledger() as ledger:
        pulled = pull(settings, ledger, streams=streams or STREAMS, from_start=from_start)
        return pulled, pipeline.land(settings, ledger)


def ids_in_lake(installation: Installation) -> list[str]:
    """Ids of the usage events in the lake, each as often as it is there, sorted."""
    return sorted(row["event_id"] for row in installation.lake("agent_usage_events"))
