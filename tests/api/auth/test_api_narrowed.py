"""Tokens of some agents: every answer is the one of a customer that has no others."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from api.auth.access import Access
from api.errors import Forbidden
from narrowing_fixture import NARROWABLE, OF_THE_WHOLE, STATS, more_than_the_sample, of_agents
from service_fixture import Service, StartService
from snapshot_fixture import ACME, BOREAL, of_attribute, publish, sample
from tokens_fixture import SECRET, bearer, token

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


@pytest.mark.parametrize("rows_cache_mb", [0, 128])
def test_attributes_which_have_no_agent_are_forbidden(
    start: StartService, tmp_path: Path, rows_cache_mb: int
) -> None:
    """As a dimension and as a filter, also right after a key was answered the same question."""
    marts = sample()
    marts.attributes = [of_attribute("team", "blue", row) for row in marts.usage]
    publish(tmp_path, marts)
    service = start(jwt_secret=SECRET, rows_cache_mb=rows_cache_mb)
    for asked in ("group_by=attribute.team", "attribute.team=blue"):
        path = f"query?metrics=total_tokens,cost_usd&{asked}"
        assert asking(service, {"X-API-Key": service.key(ACME)})(path)[0] == 200
        status, body = asking(service, bearer(token(agent_ids=[42])))(path)
        assert (status, b"FORBIDDEN" in body) == (403, True)


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
