"""Whatever is done to customer B's data, or put into A's request, A's bytes do not change."""

import contextlib
import dataclasses
import io
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import structlog
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.app import create_app
from api.auth.keys import KeyStore
from api.settings import ServingSettings
from fuzz.outcome import Outcome
from snapshot_fixture import (
    ACME,
    BOREAL,
    NOW,
    Marts,
    delivery,
    publish,
    ratings,
    sample,
    usage,
)

STATS = "/api/stats"
PATHS = tuple(
    f"{STATS}/{path}"
    for path in (
        "usage/summary?days=30",
        "usage/by-agent?days=7",
        "usage/by-agent?days=7&format=csv",
        "usage/timeline?days=5&tz=Asia/Kathmandu",
        "usage/timeline?days=5",
        "usage/by-model?days=90",
        "compliance/summary",
        "compliance/by-agent-type?format=csv",
        "feedback/summary",
        "feedback/by-agent-type",
        "agent-types/comparison?days=2557",
        "data-quality?days=5&tz=Asia/Kathmandu",
        "data-quality?days=7&format=csv",
        "retention?days=2557",
        "usage/by-agent-type?days=30&limit=1",
        "usage/latency?days=30&by=model",
        "compliance/timeline?days=5&tz=Asia/Kathmandu",
        "feedback/timeline?days=5&format=csv",
        "query?metrics=total_tokens,active_agents&group_by=model&granularity=day&days=7&limit=1",
        "query?metrics=response_time_p95,total_messages&group_by=agent_id,hour_of_day&days=30",
        "query?metrics=pii_per_message&group_by=entity_type&tz=Asia/Kathmandu&compare=previous",
        "query?metrics=ratings,average_rating&group_by=load_bucket&rating=4&rating=5&format=csv",
        "query?metrics=total_messages&agent_id=42&granularity=hour&days=2",
        "explain?metric=total_tokens&days=1",
        "receipt?metric=toxic_rate_percent&days=30",
        "account",
        "metrics",
    )
)

# Ids, names and times that A has too, because those are the ones that could be mixed up.
ids = st.integers(1, 9) | st.sampled_from([42, 43, 44, 2**62])
names = st.sampled_from(["claude-sonnet-4", "gpt-4o", "unknown", "PERSON"]) | st.text(
    st.characters(codec="utf-8", exclude_characters="\x00"), max_size=8
)
counts = st.integers(0, 1000)
buckets = st.sampled_from(
    ["2026-03-10 00:00", "2026-03-09 18:15", "2026-03-05 12:00", "2025-12-10 00:00"]
)
usages = st.builds(
    lambda agent, kind, model, bucket, n: usage(
        BOREAL, agent, kind, model, bucket, message_count=n, input_tokens=n, output_tokens=n,
        response_time_ms_sum=n, response_time_count=n, timed_output_tokens=n,
    ),
    ids, ids, names, buckets, counts,
)  # fmt: skip
scans = st.tuples(st.just(BOREAL), ids, counts, counts, counts, counts, counts, buckets)
redactions = st.tuples(st.just(BOREAL), ids, names, counts, buckets)
stars = st.builds(
    lambda kind, load, n, bucket: (BOREAL, kind, load, *ratings(n, n, n, n, n), bucket),
    ids, st.sampled_from(["low", "medium", "high", "unknown"]), counts, buckets,
)  # fmt: skip
deliveries = st.builds(
    lambda stream, reason, n, bucket: delivery(
        stream, BOREAL, bucket, reason=reason, rejected=n, newest=None
    )
    if reason
    else delivery(stream, BOREAL, bucket, accepted=n, duplicates=n, newest=bucket),
    st.sampled_from(["agent_usage_events", "audit_events"]), st.none() | names, counts, buckets,
)  # fmt: skip
recounts = st.tuples(
    st.sampled_from(["agent_usage_events", "audit_events"]), st.just(BOREAL), counts,
    st.sampled_from(["2026-03-10", "2026-03-09"]),
)  # fmt: skip
deletions = st.tuples(
    st.just(BOREAL), names, buckets, counts, buckets, buckets,
    st.sampled_from(["2026-03-10 03:00", "2026-03-09 18:15"]),
)  # fmt: skip
others = st.builds(
    Marts,
    deliveries=st.lists(deliveries, max_size=4),
    recounts=st.lists(recounts, max_size=4),
    deletions=st.lists(deletions, max_size=4),
    usage=st.lists(usages, max_size=6),
    compliance=st.lists(scans, max_size=4),
    pii=st.lists(redactions, max_size=4),
    feedback=st.lists(stars, max_size=4),
    customers=st.lists(st.just((BOREAL, "B", "enterprise", 2557)), max_size=1),
    agents=st.lists(
        st.tuples(st.just(BOREAL), ids, ids, names), max_size=4, unique_by=lambda row: row[1]
    ),
    agent_types=st.lists(
        st.tuples(st.just(BOREAL), ids, names, names), max_size=4, unique_by=lambda row: row[1]
    ),
)
header_values = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20)
hostile_headers = st.dictionaries(
    st.sampled_from(
        ["X-Customer-Id", "X-Forwarded-For", "Cookie", "Authorization", "X-Forwarded-Host"]
    ),
    st.just(str(BOREAL)) | header_values,
)
hostile_parameters = st.dictionaries(
    st.sampled_from(["customer_id", "customer", "key", "agent_id", "sql"]) | names,
    st.just(str(BOREAL)) | names,
    min_size=1,
    max_size=3,
).filter(lambda found: not set(found) & {"days", "start", "tz", "end", "format"})


def a_only(marts: Marts) -> Marts:
    """The rows of all but customer B."""
    return Marts(**{
        each.name: [row for row in getattr(marts, each.name) if row[0] != BOREAL]
        for each in dataclasses.fields(marts)
    })  # fmt: skip


def joined(first: Marts, second: Marts) -> Marts:
    """The rows of both."""
    return Marts(**{
        each.name: getattr(first, each.name) + getattr(second, each.name)
        for each in dataclasses.fields(first)
    })  # fmt: skip


@contextlib.contextmanager
def client_over(marts: Marts) -> Iterator[tuple[TestClient, str]]:
    """An app over these rows, and a key of A."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        publish(home, marts)
        _, key = KeyStore(home / "keys.db").create(ACME, "a")
        made = ServingSettings(_env_file=None, home=home, now=NOW, rate_limit=10**9)
        log = structlog.wrap_logger(structlog.WriteLogger(io.StringIO()), processors=[_silent])
        with TestClient(create_app(made, log=log), raise_server_exceptions=False) as client:
            yield client, key


def _silent(_logger: Any, _name: str, _event: Any) -> Any:
    raise structlog.DropEvent


def answers_of(client: TestClient, key: str, headers: dict[str, str]) -> list[tuple[int, bytes]]:
    """Status and bytes of every question."""
    found = []
    for path in PATHS:
        answer = client.get(path, headers={**headers, "X-API-Key": key})
        found.append((answer.status_code, answer.content))
    return found


def run(examples: int) -> Outcome:
    """Try so many neighbours and hostile requests; raises AssertionError at a changed byte."""
    alone = a_only(sample())
    compared = 0
    with client_over(alone) as (client, key):
        expected = answers_of(client, key, {})
    assert {status for status, _ in expected} == {200}

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(others, hostile_headers, hostile_parameters)
    def bytes_of_a_do_not_change(
        neighbour: Marts, headers: dict[str, str], parameters: dict[str, str]
    ) -> None:
        nonlocal compared
        with client_over(joined(alone, neighbour)) as (client, key):
            assert answers_of(client, key, headers) == expected
            compared += len(PATHS)
            refused = client.get(
                f"{STATS}/usage/summary", params=parameters, headers={"X-API-Key": key}
            )
            assert refused.status_code in {414, 422}, refused.text

    bytes_of_a_do_not_change()
    return Outcome({"answers compared": compared})
