"""Percentiles of response times, from files to the API, against exact ones of single events."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from installation import Installation, usage_event
from recount.deliveries import Truth, recount
from recount.latency import BUCKET_STARTS, LONGEST_MS, bucket_of, differences, response_times

NOW = "2026-03-01T12:00:00Z"
HEAVY, EDGES = 1, 2
"""Customers: one with a heavy tail of response times, one with a time at each bucket's ends."""
GROUPINGS = ("agent", "model", "agent-type", "day")
ZONES = ("UTC", "Asia/Kathmandu", "America/St_Johns")


def heavy_tailed_events() -> list[dict[str, Any]]:
    """12,000 events of 9 days: a Pareto tail of index 1.1 from 40 ms on, cut off at 24 hours.

    One in fifty has no response time, one in a hundred took 0 ms.
    """
    chance = random.Random(2026)
    ends_at = datetime.fromisoformat(NOW)
    events = []
    for number in range(12_000):
        agent = int(chance.paretovariate(0.7)) % 12
        took = min(LONGEST_MS, round(40 * chance.paretovariate(1.1)))
        kind = chance.random()
        occurred_at = ends_at - timedelta(seconds=chance.randrange(9 * 86_400))
        events.append(
            usage_event(
                number,
                customer_id=HEAVY,
                agent_id=100 + agent,
                agent_type_id=agent % 4,
                model_used=chance.choice(["claude-sonnet-4", "gpt-4o", None]),
                response_time_ms=None if kind < 0.02 else 0 if kind < 0.03 else took,
                occurred_at=occurred_at.isoformat(),
            )
        )
    for event in events:
        event["agent_type_id"] += 5
    return events


def edge_events() -> list[dict[str, Any]]:
    """One event at the first and one at the last millisecond of each bucket."""
    ends = [after - 1 for after in BUCKET_STARTS[1:]] + [LONGEST_MS]
    return [
        usage_event(number, customer_id=EDGES, response_time_ms=took)
        for number, took in enumerate([*BUCKET_STARTS, *ends])
    ]


@pytest.fixture(scope="module")
def delivered(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Installation, Truth]]:
    """Both customers' events in one delivery, and what an independent recount makes of them."""
    with pytest.MonkeyPatch.context() as environment:
        installation = Installation(tmp_path_factory.mktemp("one") / "home", environment, NOW)
        drop_reference_rows(installation)
        installation.drop(
            "agent_usage_events", "all.ndjson", [*heavy_tailed_events(), *edge_events()]
        )
        truth = recount(installation.home / "landing", datetime.fromisoformat(NOW))
        installation.run()
        yield installation, truth


def drop_reference_rows(installation: Installation) -> None:
    """The customers, who keep 90 days."""
    installation.drop(
        "customers",
        "customers.csv",
        [
            {"customer_id": number, "customer_name": "", "tier": "pro", "updated_at": NOW}
            for number in (HEAVY, EDGES)
        ],
    )


def answers(installation: Installation) -> dict[str, Any]:
    """The bodies of all groupings and zones for the customer with the heavy tail."""
    found = {}
    with installation.client() as client:
        key = installation.key(HEAVY)
        for by in GROUPINGS:
            for tz in ZONES:
                query = f"by={by}&tz={tz}&days=7"
                response = client.get(
                    f"/api/stats/usage/latency?{query}", headers={"X-API-Key": key}
                )
                assert response.status_code == 200, response.text
                found[query] = response.json()
    return found


def test_each_percentile_is_within_one_percent_of_the_exact_one(
    delivered: tuple[Installation, Truth],
) -> None:
    """Every group of a heavy-tailed set, in three zones, by the documented rank rule."""
    installation, truth = delivered
    wrong: list[str] = []
    groups = 0
    for query, body in answers(installation).items():
        params = dict(part.split("=") for part in query.split("&"))
        exact = response_times(truth, HEAVY, params, datetime.fromisoformat(NOW))
        wrong += differences(body, exact)
        groups += len(exact)
    print(f"{groups} groups")
    assert wrong == []
    assert groups == 78


def test_any_split_of_the_deliveries_gives_the_same_percentiles(
    delivered: tuple[Installation, Truth], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same events in four files and two runs, repeated in part, give the same bodies."""
    expected = json.dumps(answers(delivered[0]))
    split = Installation(tmp_path / "home", monkeypatch, NOW)
    drop_reference_rows(split)
    events = heavy_tailed_events()
    random.Random(3).shuffle(events)

    def drop(name: str, part: Sequence[dict[str, Any]]) -> None:
        split.drop("agent_usage_events", name, part)

    drop("first.ndjson", events[:1000])
    drop("second.csv", events[500:7000])
    split.run()
    drop("third.parquet", events[6000:9000])
    drop("fourth.ndjson.gz", events[9000:])
    split.run()
    assert json.dumps(answers(split)) == expected


def test_buckets_cover_every_response_time_without_a_gap(
    delivered: tuple[Installation, Truth],
) -> None:
    """From 0 to 24 hours, each next to the one before, and its middle within 1 % of all of it."""
    installation, _ = delivered
    rows = installation.marts("select * from marts.response_time_buckets order by 1")
    assert [row["response_time_bucket"] for row in rows] == list(range(len(BUCKET_STARTS)))
    assert [row["from_ms"] for row in rows] == BUCKET_STARTS
    assert rows[-1]["to_ms"] == LONGEST_MS
    for row, following in pairwise(rows):
        assert following["from_ms"] == row["to_ms"] + 1
    for row in rows:
        for end in (row["from_ms"], row["to_ms"]):
            assert 100 * abs(row["middle_ms"] - end) <= end


def test_both_ends_of_a_bucket_are_in_it(delivered: tuple[Installation, Truth]) -> None:
    """Each of 928 buckets holds its first and its last millisecond, and nothing else."""
    installation, _ = delivered
    rows = installation.marts(
        f"select response_time_buckets from marts.usage_quarter_hourly where customer_id = {EDGES}"
    )
    assert len(rows) == 1
    expected = sorted(bucket_of(event["response_time_ms"]) for event in edge_events())
    assert rows[0]["response_time_buckets"] == expected
    assert expected == sorted([*range(len(BUCKET_STARTS))] * 2)


def test_days_before_retention_are_there_without_times(
    delivered: tuple[Installation, Truth],
) -> None:
    """By day there is no gap: 120 dates of which 90 are kept, and only nine have events."""
    installation, _ = delivered
    with installation.client() as client:
        body = client.get(
            "/api/stats/usage/latency?by=day&days=120&tz=Pacific/Chatham",
            headers={"X-API-Key": installation.key(HEAVY)},
        ).json()
    assert len(body) == 120
    assert [day["count"] > 0 for day in body] == [False] * 110 + [True] * 10
    assert body[0]["p50"] is None and body[0]["max"] is None
