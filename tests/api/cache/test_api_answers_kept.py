"""Answers kept in memory: the same bytes, never another customer's, never too many."""

import pytest

from api.cache.answers import AnswerCache, StoredAnswer
from api.snapshots import Lease
from service_fixture import Service
from snapshot_fixture import ACME, BOREAL, publish, sample

SUMMARY = "/api/stats/usage/summary"
TABLE = "/api/stats/usage/by-agent?format=csv"


@pytest.mark.parametrize("path", [SUMMARY, TABLE, "/api/stats/usage/timeline?tz=Asia/Kathmandu"])
def test_a_repeated_question_gets_the_same_answer_without_a_query(
    service: Service, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """Body and headers are those of the first answer; another customer's question is asked."""
    first = service.get(path)
    asked: list[str] = []
    real = Lease.tuples

    def counting(lease: Lease, sql: str, parameters: dict[str, object]) -> object:
        asked.append(sql)
        return real(lease, sql, parameters)

    monkeypatch.setattr(Lease, "tuples", counting)
    again = service.get(path)
    assert asked == []
    assert again.content == first.content
    own = {"x-request-id", "x-ratelimit-remaining", "x-ratelimit-reset"}
    assert {name: again.headers[name] for name in first.headers if name not in own} == {
        name: value for name, value in first.headers.items() if name not in own
    }
    assert service.get(path, BOREAL).content != first.content
    assert asked


def test_a_new_snapshot_empties_the_memory_before_anybody_asks(service: Service) -> None:
    """What it no longer has is in no memory either; what is asked of it is kept again."""
    services = service.app.state.services
    service.get(TABLE)
    service.get(SUMMARY)
    assert services.answers.size and services.row_cache.size
    publish(service.settings.home, sample(), snapshot_id="20260310T120500Z-00000002")
    service.await_snapshot("20260310T120500Z-00000002")
    assert (services.answers.size, services.row_cache.size) == (0, 0)
    assert service.get(SUMMARY).headers["X-Snapshot-Id"] == "20260310T120500Z-00000002"
    assert services.answers.size and services.row_cache.size


def test_an_answer_of_the_snapshot_before_is_not_kept() -> None:
    """A request that is slower than a publication leaves nothing behind."""
    answers = AnswerCache(10_000)
    answers.turn_to("newer")
    answers.store((ACME, ""), "tag", StoredAnswer(b"acme", {}), snapshot_id="older")
    assert answers.size == 0


def test_memory_is_bounded_and_the_least_used_goes_first() -> None:
    """A thousand answers in the room of about ten; a giant is not kept at all."""
    answers = AnswerCache(10_000)
    answers.turn_to("s")
    for number in range(1000):
        answers.store((ACME, ""), str(number), StoredAnswer(b"x" * 488, {}), snapshot_id="s")
        answers.find((ACME, ""), "0")
        assert answers.size <= 10_000
    assert answers.find((ACME, ""), "0") is not None
    assert answers.find((ACME, ""), "999") is not None
    assert answers.find((ACME, ""), "500") is None
    answers.store((ACME, ""), "giant", StoredAnswer(b"x" * 5000, {}), snapshot_id="s")
    assert answers.find((ACME, ""), "giant") is None


def test_an_answer_is_found_only_by_its_customer() -> None:
    """Even if two tags were the same; and only by who has the same agents and scope."""
    answers = AnswerCache(10_000)
    answers.turn_to("s")
    answers.store((ACME, ""), "tag", StoredAnswer(b"acme", {}), snapshot_id="s")
    assert answers.find((BOREAL, ""), "tag") is None
    assert answers.find((ACME, "of some agents"), "tag") is None
