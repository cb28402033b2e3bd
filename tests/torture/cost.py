"""What an hourly run reads does not depend on how much history there is."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from fuzz.outcome import Outcome
from installation import Installation, rating, scan, usage_event
from torture.generated import NOW

_OF_ONE_RUN = ("dates_rebuilt", "lake_read", "rows_read", "rows_accepted", "full_refresh")


def run(folder: Path, *, histories: tuple[int, ...], events_a_day: int) -> Outcome:
    """The same hour's files after histories of so many days. The record of the run is the same,
    and the files of all other dates are not even there while it runs."""
    outcome = Outcome()
    records = {}
    for days in histories:
        with pytest.MonkeyPatch.context() as environment:
            installation = Installation(folder / f"{days}-days", environment, NOW.isoformat())
            _fill(installation, days, events_a_day)
            installation.run()
            whole = installation.last_run()
            outcome.figures[f"{days} days of history, rebuilt"] = whole["lake_read"]
            record = _an_hour_later(installation)
            outcome.figures[f"{days} days of history, an hour later"] = record
            records[days] = record
            outcome.claim(
                installation.marts("select sum(message_count) as n from marts.customer_daily")
                == [{"n": days * events_a_day + 2}],
                f"the marts after {days} days are not those of all events",
            )
    first, *others = records.values()
    outcome.claim(all(other == first for other in others), f"the records differ: {records}")
    return outcome


def _fill(installation: Installation, days: int, events_a_day: int) -> None:
    """So many days, each in files of its own, the last one yesterday."""
    for back in range(1, days + 1):
        at = (NOW - timedelta(days=back)).isoformat()
        numbers = range(back * events_a_day, (back + 1) * events_a_day)
        name = f"{back:03}.ndjson"
        installation.drop(
            "agent_usage_events", name, [usage_event(n, occurred_at=at) for n in numbers]
        )
        installation.drop("audit_events", name, [scan(back, occurred_at=at)])
        installation.drop("feedback_events", name, [rating(back, occurred_at=at)])


def _an_hour_later(installation: Installation) -> Mapping[str, Any]:
    """Land an event of today and a late one of yesterday, while no other date can be read."""
    touched = [NOW, NOW - timedelta(days=1)]
    for number, at in enumerate(touched):
        installation.drop(
            "agent_usage_events",
            f"hour-{number}.csv",
            [usage_event(-1 - number, occurred_at=at.isoformat())],
        )
    kept = {f"occurred_date={at.date()}" for at in touched}
    lake, away = installation.settings.lake, installation.home.with_suffix(".away")
    folders = [path for path in lake.glob("*/occurred_date=*") if path.name not in kept]
    for path in folders:
        target = away / path.relative_to(lake)
        target.parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)
    installation.run()
    for path in folders:
        (away / path.relative_to(lake)).rename(path)
    return {name: installation.last_run()[name] for name in _OF_ONE_RUN}
