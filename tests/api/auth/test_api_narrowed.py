"""Tokens of some agents: every answer is the one of a customer that has no others."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from api.auth.access import Access
from api.errors import Forbidden
from service_fixture import Service, StartService
from snapshot_fixture import ACME, BOREAL, Marts, publish, ratings, sample, usage
from tokens_fixture import SECRET, bearer, token

STATS = "/api/stats"
NARROWABLE = (
    "usage/summary?days=30&compare=previous",
    "usage/summary?days=1",
    "usage/by-agent?days=90",
    "usage/by-agent?days=90&limit=1&offset=1",
    "usage/by-agent?days=90&format=csv",
    "usage/by-agent-type?days=30",
    "usage/by-model?days=90&limit=1",
    "usage/by-model?days=5&tz=Asia/Kathmandu",
    "usage/timeline?days=10&tz=Asia/Kathmandu",
    "usage/latency?days=90&by=agent",
    "usage/latency?days=90&by=agent-type",
    "usage/latency?days=5&by=day",
    "compliance/summary?days=30&compare=week",
    "compliance/by-agent-type?days=30",
    "compliance/timeline?days=10&format=csv",
    "feedback/summary?days=30&compare=month",
    "feedback/by-agent-type?days=30",
    "feedback/timeline?days=10",
    "agent-types/comparison?days=90",
    "agent-types/comparison?days=5&tz=Asia/Kathmandu",
    "query?metrics=total_tokens,active_agents&group_by=model&days=90&limit=1",
    "query?metrics=total_tokens&group_by=agent_id&granularity=day&days=10",
    "query?metrics=error_count,error_rate_percent&group_by=error_type&days=30",
    "query?metrics=total_messages&agent_id=42&agent_id=43&agent_id=44&days=90&compare=previous",
    "query?metrics=response_time_p95,total_messages&group_by=hour_of_day&days=90",
    "query?metrics=pii_per_message,pii_redactions&group_by=entity_type&days=30",
    "query?metrics=ratings,average_rating&group_by=load_bucket&rating=4&rating=5&days=30",
    "query?metrics=total_tokens&group_by=token_class&days=30&format=csv",
    "explain?metric=total_tokens&days=7",
    "explain?metric=total_messages&days=7&tz=Asia/Kathmandu&compare=week",
    "metrics",
)
OF_THE_WHOLE = ("data-quality", "retention", "account", "receipt?metric=total_tokens")
WITH_AGENT = {"usage": 1, "errors": 1, "compliance": 8, "pii": 5, "feedback": 11}
"""Where each list of rows has the agent."""


def more_than_the_sample() -> Marts:
    """The sample, its scans and ratings of several agents, and what rates are made of."""
    found = sample()
    found.compliance = [
        (*row, 42 + number % 3, "gpt-4o") for number, row in enumerate(found.compliance)
    ]
    found.pii = [(*row, 42 + number % 3, "gpt-4o") for number, row in enumerate(found.pii)]
    found.feedback = [
        (*row, 42 + number % 3, "gpt-4o") for number, row in enumerate(found.feedback)
    ]
    # Ratings of no agent are the whole customer's alone; 45 has nothing but ratings.
    found.feedback.append((ACME, 5, "low", *ratings(7, 0, 0, 0, 0), "2026-03-10 00:00", 0, "m"))
    found.feedback.append((ACME, 5, "low", *ratings(0, 7, 0, 0, 0), "2026-03-10 00:00", 45, "m"))
    found.usage += [
        usage(ACME, 43, 5, "gpt-4o", "2026-03-08 09:00", [10, 20, 90], message_count=3,
              input_tokens=30, output_tokens=3),
        usage(ACME, 42, 5, "gpt-4o", "2026-03-08 09:00", [70], message_count=1,
              input_tokens=1, output_tokens=3),
        usage(ACME, 43, 6, "gpt-4o", "2026-01-08 09:00", message_count=9,
              input_tokens=900, output_tokens=3),
    ]  # fmt: skip
    return found


def of_agents(marts: Marts, agents: set[int]) -> Marts:
    """The rows of these agents of customer 1 and no others, but for names."""

    def is_of_them(name: str, row: tuple[Any, ...]) -> bool:
        agent = row[WITH_AGENT[name]] if len(row) > WITH_AGENT[name] else 1
        return row[0] == ACME and agent in agents

    kept = {
        name: [row for row in getattr(marts, name) if is_of_them(name, row)] for name in WITH_AGENT
    }
    names = {
        "agents": [row for row in marts.agents if row[0] == ACME and row[1] in agents],
        "agent_types": [row for row in marts.agent_types if row[0] == ACME],
        "customers": [row for row in marts.customers if row[0] == ACME],
    }
    return dataclasses.replace(Marts(), **kept, **names)


Answers = dict[str, tuple[int, bytes]]
Ask = Callable[[str], tuple[int, bytes]]


def asking(service: Service, headers: dict[str, str]) -> Ask:
    """A function that asks one path with these headers."""

    def ask(path: str) -> tuple[int, bytes]:
        answer = service.client.get(f"{STATS}/{path}", headers=headers)
        return answer.status_code, answer.content

    return ask


@pytest.mark.parametrize("rows_cache_mb", [0, 128])
@pytest.mark.parametrize("agents", [{42}, {43}, {42, 44}, {45}, {99}, {42, 43, 44, 45}])
def test_an_answer_is_that_of_a_customer_without_the_other_agents(
    start: StartService, tmp_path: Path, agents: set[int], rows_cache_mb: int
) -> None:
    """Byte for byte on every endpoint that can be narrowed, from memory and by statements, alone
    and after the customer asked the same with a key."""
    whole, alone = tmp_path / "whole", tmp_path / "alone"
    publish(whole, more_than_the_sample())
    publish(alone, of_agents(more_than_the_sample(), agents))
    of_whole = start(home=whole, jwt_secret=SECRET, rows_cache_mb=rows_cache_mb)
    reference = start(home=alone, rows_cache_mb=rows_cache_mb)
    by_key = asking(of_whole, {"X-API-Key": of_whole.key(ACME)})
    narrowed = asking(of_whole, bearer(token(agent_ids=sorted(agents))))
    expected = asking(reference, {"X-API-Key": reference.key(ACME)})
    wider = 0
    for path in NARROWABLE:
        assert expected(path)[0] == 200
        assert narrowed(path) == expected(path), path
        wider += by_key(path) != expected(path)
        for _ in range(2):
            assert narrowed(path) == expected(path), path
    # What has no agent is left out even of a token of all.
    assert wider >= (5 if len(agents) == 4 else 20), "the other rows make no difference"


def test_what_is_about_the_whole_customer_is_forbidden(start: StartService, tmp_path: Path) -> None:
    """Also right after the same address was answered to a key and to a token of all agents."""
    publish(tmp_path, more_than_the_sample())
    service = start(jwt_secret=SECRET)
    for path in OF_THE_WHOLE:
        for headers in ({"X-API-Key": service.key(ACME)}, bearer(token())):
            assert asking(service, headers)(path)[0] == 200
        answer = service.client.get(
            f"{STATS}/{path}", headers={**bearer(token(agent_ids=[42])), "If-None-Match": "*"}
        )
        assert (answer.status_code, answer.json()["error_code"]) == (403, "FORBIDDEN")
        assert "customer as a whole" in answer.json()["error"]


def test_every_endpoint_is_narrowed_or_forbidden(start: StartService, tmp_path: Path) -> None:
    """None that there is, or will be, is answered with the customer's figures: a family that is
    not known to be narrowed is refused."""
    publish(tmp_path, sample())
    service = start()
    tried = {f"{STATS}/{path.partition('?')[0]}" for path in (*NARROWABLE, *OF_THE_WHOLE)}
    some = Access(ACME, agent_ids=(42,))
    for path in service.app.openapi()["paths"]:
        assert path in tried or some.refusal_of(path) is not None, path
    assert some.refusal_of(f"{STATS}/something-new") is not None
    assert Access(ACME).refusal_of(f"{STATS}/something-new") is None


def test_each_narrowing_has_its_own_tag_and_answers(start: StartService, tmp_path: Path) -> None:
    """Of two tokens with other agents or another scope, none gets a 304 by the other's tag."""
    publish(tmp_path, more_than_the_sample())
    service = start(jwt_secret=SECRET)
    path = f"{STATS}/usage/summary?days=90"
    asked: list[dict[str, Any]] = [
        {}, {"agent_ids": [42]}, {"agent_ids": [43]}, {"agent_ids": [42, 43]}, {"scope": "usage"},
        {"agent_ids": [42], "scope": "usage"}, {"agent_ids": [42], "scope": "usage feedback"},
    ]  # fmt: skip
    sent = [bearer(token(customer, **given)) for customer in (ACME, BOREAL) for given in asked]
    tags = [service.client.get(path, headers=headers).headers["ETag"] for headers in sent]
    assert len(set(tags)) == len(sent)
    for number, headers in enumerate(sent):
        for other, tag in enumerate(tags):
            answer = service.client.get(path, headers={**headers, "If-None-Match": tag})
            assert answer.status_code == (304 if number == other else 200)
    # In another order, and twice, the agents are the same.
    same = bearer(token(agent_ids=[43, 42, 43]))
    answer = service.client.get(path, headers={**same, "If-None-Match": tags[3]})
    assert answer.status_code == 304


def test_rows_that_have_no_agent_cannot_be_read_narrowed() -> None:
    """Neither a series without agents nor a written query gives figures of all by mistake."""
    from api.metrics.declared import declared
    from api.queries.series import source_of

    family = declared().families["usage"]
    assert "agent_id" in source_of(family, ["agent_id"]).narrowed().by_date()
    with pytest.raises(ValueError, match="cannot be narrowed"):
        source_of(family, ["model"]).narrowed()


def test_a_written_query_is_refused_where_it_would_be_of_all(
    start: StartService, tmp_path: Path
) -> None:
    """The last guard: a route that reads the customer's rows directly is stopped."""
    publish(tmp_path, sample())
    service = start()
    services = service.app.state.services
    from api.cache.customer_rows import CustomerRows
    from api.metrics.declared import declared
    from api.questions.engine import Engine

    with services.snapshots.lease() as lease:
        rows = CustomerRows(
            services.row_cache, services.queries, lease, ACME, may_wait=True, agent_ids=(42,)
        )
        engine = Engine(
            declared(), services.queries, lease, ACME, rows, may_wait=True, agent_ids=(42,)
        )
        with pytest.raises(Forbidden):
            engine.reference("account")
        assert list(engine.reference("load_buckets"))
