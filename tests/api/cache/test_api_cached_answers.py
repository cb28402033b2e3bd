"""A question asked again is answered before it is routed, and never when anything has changed."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest

from api.middleware import cached_answers
from api.settings import ServingSettings
from service_fixture import Service, StartService
from snapshot_fixture import ACME, BOREAL, publish, sample

SUMMARY = "/api/stats/usage/summary"
TOKYO = "/api/stats/usage/timeline?days=2&tz=Asia/Tokyo"


@pytest.fixture
def routed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Questions of the requests that reached a route, in order."""
    seen: list[str] = []
    real = cached_answers.question_of

    def noting(scope: dict[str, Any]) -> str:
        question = real(scope)
        # A route that has something to read is entered again in a thread.
        if "noted" not in scope["state"]:
            scope["state"]["noted"] = True
            seen.append(question)
        return question

    monkeypatch.setattr("api.stats.responses.question_of", noting)
    return seen


def get(
    service: Service, key: str, path: str, headers: dict[str, str] | None = None
) -> httpx2.Response:
    """GET with this very key."""
    answer: httpx2.Response = service.client.get(
        path, headers={"X-API-Key": key, **(headers or {})}
    )
    return answer


def show(service: Service, clock: datetime) -> None:
    """Let it be another time for the app."""
    service.settings.now = clock


def test_only_the_first_of_equal_questions_is_routed(service: Service, routed: list[str]) -> None:
    """Another spelling of the same question is routed, and so is another customer's."""
    key, other = service.key(ACME), service.key(BOREAL)
    first, again = get(service, key, SUMMARY), get(service, key, SUMMARY)
    assert routed == [f"{SUMMARY}?"]
    assert again.content == first.content
    assert get(service, key, f"{SUMMARY}?days=7").content == first.content
    assert get(service, other, SUMMARY).content != first.content
    assert len(routed) == 3


def test_a_client_that_has_the_answer_gets_304_unrouted(
    service: Service, routed: list[str]
) -> None:
    """Also with a weak tag, and with the headers that go with the answer."""
    key = service.key(ACME)
    first = get(service, key, SUMMARY)
    for tag in (first.headers["ETag"], f"W/{first.headers['ETag']}", '"x", *'):
        again = get(service, key, SUMMARY, {"If-None-Match": tag})
        assert (again.status_code, again.content) == (304, b"")
        for name in ("ETag", "Cache-Control", "Vary", "X-Snapshot-Id", "X-Covered-From"):
            assert again.headers[name] == first.headers[name]
    assert get(service, key, SUMMARY, {"If-None-Match": '"other"'}).status_code == 200
    assert len(routed) == 1


def test_the_day_ends_where_the_customer_is(service: Service, routed: list[str]) -> None:
    """Midnight in Tokyo is 15:00 UTC; from then on the question has another answer."""
    key = service.key(ACME)
    for clock, labels in (
        ("2026-03-10T14:59:59.999999", ["2026-03-09", "2026-03-10"]),
        ("2026-03-10T15:00:00", ["2026-03-10", "2026-03-11"]),
    ):
        show(service, datetime.fromisoformat(clock).replace(tzinfo=UTC))
        for _ in range(2):
            assert get(service, key, TOKYO).json()["labels"] == labels
    assert len(routed) == 2


SINCE = "start=2026-03-09&tz=Asia/Tokyo"


@pytest.mark.parametrize("answer_cache_mb", [64, 0])
def test_a_period_with_a_start_grows_at_midnight_where_the_customer_is(
    start: StartService, tmp_path: Path, answer_cache_mb: int
) -> None:
    """Asked by two customers twice on each date, with answers in memory and without."""
    publish(tmp_path, sample())
    service = start(answer_cache_mb=answer_cache_mb)
    keys = [service.key(ACME), service.key(BOREAL)]
    for clock, labels in (
        ("2026-03-10T14:59:59.999999", ["2026-03-09", "2026-03-10"]),
        ("2026-03-10T15:00:00", ["2026-03-09", "2026-03-10", "2026-03-11"]),
    ):
        show(service, datetime.fromisoformat(clock).replace(tzinfo=UTC))
        for key in keys * 2:
            timeline = get(service, key, f"/api/stats/usage/timeline?{SINCE}")
            assert timeline.json()["labels"] == labels
            assert get(service, key, f"{SUMMARY}?{SINCE}").json()["period_days"] == len(labels)


def test_a_start_is_judged_anew_on_each_date(service: Service) -> None:
    """Tomorrow is refused until it is today; 2557 dates that end today are one too many then."""
    key = service.key(ACME)
    tomorrow, seven_years = f"{SUMMARY}?start=2026-03-11", f"{SUMMARY}?start=2019-03-11"
    for clock, statuses in (
        ("2026-03-10T23:59:59", [422, 200]),
        ("2026-03-11T00:00:00", [200, 422]),
    ):
        show(service, datetime.fromisoformat(clock).replace(tzinfo=UTC))
        for _ in range(2):
            found = [get(service, key, path).status_code for path in (tomorrow, seven_years)]
            assert found == statuses


def test_midnight_in_the_middle_of_a_request_keeps_nothing_wrong(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked before midnight and answered after it: no later question gets yesterday's dates."""
    key = service.key(ACME)
    before, after = (
        datetime(2026, 3, 10, 14, 59, 59, 999999, tzinfo=UTC),
        datetime(2026, 3, 10, 15, tzinfo=UTC),
    )
    for readings_before in range(4):
        readings = [before] * readings_before
        monkeypatch.setattr(
            ServingSettings, "clock", lambda _, left=readings: left.pop() if left else after
        )
        get(service, key, TOKYO)
        assert not readings[2:]
        assert get(service, key, TOKYO).json()["labels"] == ["2026-03-10", "2026-03-11"]


def test_retention_moves_at_midnight_utc(service: Service, routed: list[str]) -> None:
    """In a zone whose date does not end then, an answer from memory would show a day too many."""
    key = service.key(ACME)
    path = f"{SUMMARY}?tz=America/Los_Angeles&end=2026-03-09"
    covered = []
    for clock in ("2026-03-10T23:59:59", "2026-03-11T00:00:00"):
        show(service, datetime.fromisoformat(clock).replace(tzinfo=UTC))
        covered.append(get(service, key, path).headers["X-Covered-From"])
    assert covered[0] != covered[1]
    assert len(routed) == 2


def test_a_clock_that_goes_back_is_not_answered_from_its_future(
    service: Service, routed: list[str]
) -> None:
    """Yesterday's question is another one."""
    key = service.key(ACME)
    get(service, key, TOKYO)
    show(service, datetime(2026, 3, 9, 12, tzinfo=UTC))
    assert get(service, key, TOKYO).json()["labels"] == ["2026-03-08", "2026-03-09"]
    assert len(routed) == 2


def test_a_new_snapshot_is_asked_at_once(service: Service, routed: list[str]) -> None:
    """As soon as CURRENT names it, before anything has opened it."""
    key = service.key(ACME)
    get(service, key, SUMMARY)
    publish(service.settings.home, sample(), snapshot_id="20260310T120500Z-00000002")
    newest = get(service, key, SUMMARY)
    assert newest.headers["X-Snapshot-Id"] == "20260310T120500Z-00000002"
    assert len(routed) == 2


def test_a_key_that_was_revoked_gets_nothing_from_memory(service: Service) -> None:
    """Nor does one that expires, whatever its customer asked before."""
    key_id, key = service.keys.create(ACME, "to be revoked")
    ends = datetime(2026, 3, 10, 12, 1, tzinfo=UTC)
    _, short = service.keys.create(ACME, "short", ends)
    assert get(service, key, SUMMARY).status_code == 200
    assert get(service, short, SUMMARY).status_code == 200
    service.keys.revoke(key_id)
    assert get(service, key, SUMMARY).status_code == 401
    show(service, ends)
    assert get(service, short, SUMMARY).status_code == 401


def test_answers_from_memory_count_against_the_rate_limit(
    start: StartService, tmp_path: Path
) -> None:
    """Each request counts once, and the one beyond the limit is refused with the headers."""
    publish(tmp_path, sample())
    limited = start(rate_limit=3)
    key = limited.key(ACME)
    answers = [get(limited, key, SUMMARY) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert [answer.headers["X-RateLimit-Remaining"] for answer in answers] == ["2", "1", "0", "0"]


def test_an_answer_from_memory_is_logged_and_measured_like_any_other(service: Service) -> None:
    """By its route's template, with the customer."""
    key = service.key(ACME)
    for _ in range(2):
        get(service, key, SUMMARY)
    lines = service.log_lines()[-2:]
    assert [(line["route"], line["status"], line["customer_id"]) for line in lines] == [
        (SUMMARY, 200, ACME)
    ] * 2
    metrics = service.client.get("/metrics").text
    assert (
        f'agentstats_requests_total{{method="GET",route="{SUMMARY}",status="200"}} 2.0' in metrics
    )


def test_an_answer_that_is_in_memory_no_more_is_made_again(
    start: StartService, tmp_path: Path, routed: list[str]
) -> None:
    """With no room to keep answers, each request is routed and right."""
    publish(tmp_path, sample())
    without_cache = start(answer_cache_mb=0)
    key = without_cache.key(ACME)
    bodies = {get(without_cache, key, SUMMARY).content for _ in range(3)}
    assert len(bodies) == 1
    assert len(routed) == 3


def test_a_question_that_one_customer_asked_is_parsed_for_another(
    start: StartService, tmp_path: Path
) -> None:
    """Its parameters are read once; whose data it is about, and since when, is each caller's."""
    publish(tmp_path, sample())
    service = start(answer_cache_mb=0)
    keys = {customer: service.key(customer) for customer in (ACME, BOREAL)}
    first = {customer: get(service, key, TOKYO) for customer, key in keys.items()}
    assert first[ACME].content != first[BOREAL].content
    assert first[ACME].headers["X-Covered-From"] != first[BOREAL].headers["X-Covered-From"]
    for customer, key in [*keys.items(), *reversed(keys.items())]:
        again = get(service, key, TOKYO)
        assert again.content == first[customer].content
        for name in ("ETag", "X-Covered-From", "X-Snapshot-Id", "Content-Type", "Vary"):
            assert again.headers[name] == first[customer].headers[name]
        unmodified = get(service, key, TOKYO, {"If-None-Match": again.headers["ETag"]})
        assert (unmodified.status_code, unmodified.content) == (304, b"")
    show(service, datetime(2026, 3, 10, 15, tzinfo=UTC))
    assert get(service, keys[ACME], TOKYO).json()["labels"] == ["2026-03-10", "2026-03-11"]
    assert get(service, "cust_" + "A" * 43, TOKYO).status_code == 401
