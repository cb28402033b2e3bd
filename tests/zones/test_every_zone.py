"""Every zone there is, over every change of its clocks in two years, through the whole product."""

from __future__ import annotations

import bisect
import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from importlib.resources import files
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from fastapi.testclient import TestClient

from installation import Installation, usage_event

NOW = "2026-11-22T15:07:00Z"
FIRST = datetime(2024, 11, 1, tzinfo=UTC)
QUARTER_HOUR = timedelta(minutes=15)
# One event in each quarter hour up to now, and no two with the same number of tokens: whatever is
# counted on a wrong date shows.
INSTANTS = [
    FIRST + number * QUARTER_HOUR
    for number in range((datetime.fromisoformat(NOW) - FIRST) // QUARTER_HOUR + 1)
]
ZONES = files("tzdata").joinpath("zones").read_text().split()


def zone_of(name: str) -> ZoneInfo:
    """A zone by the pinned tzdata package."""
    with files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as content:
        return ZoneInfo.from_file(content, key=name)


def changes_of_the_clock(zone: ZoneInfo) -> list[date]:
    """Local dates on which the zone's offset changed since FIRST."""
    noons = [FIRST.date() + timedelta(days=number) for number in range(751)]
    offsets = [datetime(day.year, day.month, day.day, 12, tzinfo=zone).utcoffset() for day in noons]
    return [
        day
        for day, before, after in zip(noons[1:], offsets, offsets[1:], strict=False)
        if before != after
    ]


def recounted(zone: ZoneInfo, end: date, days: int) -> dict[str, list[Any]]:
    """The timeline by asking the calendar of the zone for the date of each event."""
    labels = [end - timedelta(days=days - 1 - number) for number in range(days)]
    # A local date lies within a day or so of the UTC date of the same name.
    around = [
        datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=more)
        for day, more in ((labels[0], -2), (labels[-1], 3))
    ]
    start, stop = (bisect.bisect_left(INSTANTS, instant) for instant in around)
    messages: Counter[date] = Counter()
    tokens: Counter[date] = Counter()
    for number in range(start, stop):
        day = INSTANTS[number].astimezone(zone).date()
        messages[day] += 1
        tokens[day] += number + 1
    return {
        "labels": [day.isoformat() for day in labels],
        "messages": [messages[day] for day in labels],
        "tokens": [tokens[day] for day in labels],
        # Of claude-sonnet-4, at 3 US dollars a million tokens of input.
        "cost_usd": [f"{Decimal(3 * tokens[day]).scaleb(-6):.6f}" for day in labels],
    }


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[TestClient, str]]:
    """The events landed, rolled up and served; a client and the customer's key."""
    with pytest.MonkeyPatch.context() as environment:
        installation = Installation(tmp_path_factory.mktemp("zones"), environment, NOW)
        installation.drop(
            "agent_usage_events",
            "events.ndjson.gz",
            [
                usage_event(
                    number,
                    input_tokens=number + 1,
                    output_tokens=0,
                    total_tokens=None,
                    occurred_at=instant.isoformat(),
                )
                for number, instant in enumerate(INSTANTS)
            ],
        )
        installation.run()
        with installation.client() as client:
            yield client, installation.key(1)


@pytest.mark.parametrize("part", range(8))
def test_the_timeline_of_every_zone_is_the_calendar_of_that_zone(
    service: tuple[TestClient, str], part: int
) -> None:
    """Across each change of the clocks, and over 40 days up to now; cards equal their chart."""
    client, key = service
    headers = {"X-API-Key": key}
    checked = 0
    for name in ZONES[part::8]:
        zone = zone_of(name)
        today = datetime.fromisoformat(NOW).astimezone(zone).date()
        periods = [(min(day + timedelta(days=1), today), 4) for day in changes_of_the_clock(zone)]
        for end, days in [*periods, (today, 40)]:
            params = {"tz": name, "end": end.isoformat(), "days": str(days)}
            body = client.get("/api/stats/usage/timeline", params=params, headers=headers).json()
            expected = recounted(zone, end, days)
            assert body == expected, (name, end, days)
            checked += 1
        card = client.get("/api/stats/usage/summary", params=params, headers=headers).json()
        assert card["total_messages"] == sum(expected["messages"]), json.dumps(params)
        assert card["total_tokens"] == sum(expected["tokens"]), json.dumps(params)
        assert Decimal(card["cost_usd"]) == sum(map(Decimal, expected["cost_usd"]))
    assert checked >= len(ZONES) // 8
