"""Percentiles of response times over literal rows: ranks, groups, order, parameters."""

import random
from pathlib import Path

import pytest

import snapshot_fixture
from recount.latency import percentiles
from service_fixture import StartService
from snapshot_fixture import ACME, BOREAL, QUIET, Marts, usage

PATH = "/api/stats/usage/latency"
NONE = {"p50": None, "p90": None, "p95": None, "p99": None, "max": None}


def marts() -> Marts:
    """Customer 1: times 1 to 20 on 2026-03-10 and one of 99 at the end of the day before."""
    return Marts(
        customers=[(ACME, "Acme", "pro", 90), (QUIET, "Quiet", "pro", 90)],
        agents=[(ACME, 42, 5, "Support Bot")],
        agent_types=[(ACME, 5, "Customer Support", None)],
        usage=[
            usage(ACME, 42, 5, "m", "2026-03-10 00:00", range(11, 21), message_count=10),
            usage(ACME, 42, 5, "n", "2026-03-10 09:00", range(1, 11), message_count=10),
            usage(ACME, 43, 6, "m", "2026-03-09 23:45", [99], message_count=1),
            usage(ACME, 44, 6, "n", "2026-03-10 09:00", message_count=3),
            usage(BOREAL, 42, 5, "m", "2026-03-10 00:00", [77], message_count=1),
        ],
    )


def test_the_rank_is_rounded_up(start: StartService, tmp_path: Path) -> None:
    """Of 20 times the 50th percentile is number 10, the 95th number 19, the 99th number 20."""
    snapshot_fixture.publish(tmp_path, marts())
    body = start().get(f"{PATH}?days=1").json()
    assert body == [
        {
            "agent_id": 42,
            "agent_name": "Support Bot",
            "count": 20,
            "p50": 10,
            "p90": 18,
            "p95": 19,
            "p99": 20,
            "max": 20,
        },
        {"agent_id": 44, "agent_name": "Agent 44", "count": 0, **NONE},
    ]
    assert list(body[0]) == ["agent_id", "agent_name", "count", "p50", "p90", "p95", "p99", "max"]


def test_groups_are_agents_models_agent_types_or_days(start: StartService, tmp_path: Path) -> None:
    """Most response times first, days oldest first and without a gap."""
    snapshot_fixture.publish(tmp_path, marts())
    service = start()

    def counts(query: str, name: str) -> list[tuple[object, int]]:
        return [(group[name], group["count"]) for group in service.get(f"{PATH}?{query}").json()]

    assert counts("by=model", "model") == [("m", 11), ("n", 10)]
    assert counts("by=agent-type", "agent_type_name") == [
        ("Customer Support", 20),
        ("Agent type 6", 1),
    ]
    assert counts("by=agent", "agent_id") == [(42, 20), (43, 1), (44, 0)]
    utc = [("2026-03-08", 0), ("2026-03-09", 1), ("2026-03-10", 20)]
    assert counts("by=day&days=3", "date") == utc
    # In Kathmandu 23:45 UTC is in the morning of the next date.
    kathmandu = [("2026-03-09", 0), ("2026-03-10", 21)]
    assert counts("by=day&days=2&tz=Asia/Kathmandu", "date") == kathmandu


def test_a_customer_sees_no_other(start: StartService, tmp_path: Path) -> None:
    """Each sees its own times, and a customer without any an empty list or empty days."""
    snapshot_fixture.publish(tmp_path, marts())
    service = start()
    assert [group["max"] for group in service.get(PATH, BOREAL).json()] == [77]
    assert service.get(PATH, QUIET).json() == []
    assert service.get(f"{PATH}?by=day&days=1", QUIET).json() == [
        {"date": "2026-03-10", "count": 0, **NONE}
    ]


def test_merging_any_split_gives_the_same(start: StartService, tmp_path: Path) -> None:
    """1,000 times in one quarter hour or strewn over 40 rows: the same answer, the exact one."""
    chance = random.Random(4)
    times = [min(99, int(chance.paretovariate(0.6))) for _ in range(1000)]
    strewn: list[list[int]] = [[] for _ in range(40)]
    for took in times:
        chance.choice(strewn).append(took)
    whole = [usage(ACME, 1, 1, "m", "2026-03-10 00:00", times, message_count=len(times))]
    parts = [
        usage(ACME, 1, 1, "m", f"2026-03-{4 + n // 8:02} {n % 8:02}:15", part, message_count=40)
        for n, part in enumerate(strewn)
    ]
    bodies = []
    for number, rows in enumerate((whole, parts)):
        snapshot_fixture.publish(tmp_path / str(number), Marts(usage=rows))
        bodies.append(start(home=tmp_path / str(number)).get(f"{PATH}?by=model").json())
    assert bodies[0] == bodies[1] == [{"model": "m", **percentiles(times)}]


@pytest.mark.parametrize("query", ["by=customer", "by=agent&by=model", "by=", "format=csv"])
def test_other_groupings_are_refused(start: StartService, tmp_path: Path, query: str) -> None:
    """422 that names the parameter and what it may be."""
    snapshot_fixture.publish(tmp_path, marts())
    answer = start().get(f"{PATH}?{query}")
    assert answer.status_code == 422
    body = answer.json()
    assert body["error_code"] == "INVALID_PARAMETER"
    assert query.split("=")[0] in str(body["details"])


def test_each_grouping_has_its_own_tag(start: StartService, tmp_path: Path) -> None:
    """A client that has the answer by agent does not get a 304 for the one by model."""
    snapshot_fixture.publish(tmp_path, marts())
    service = start()
    tag = service.get(f"{PATH}?by=agent").headers["ETag"]
    assert service.get(f"{PATH}?by=agent", headers={"If-None-Match": tag}).status_code == 304
    assert service.get(f"{PATH}?by=model", headers={"If-None-Match": tag}).status_code == 200
