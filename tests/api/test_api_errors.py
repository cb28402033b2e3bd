"""Every error has the one shape, and says what is allowed."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from api.queries.series import SeriesSource
from service_fixture import Service, StartService
from snapshot_fixture import ACME, BOREAL, NOW, publish, sample

SUMMARY = "/api/stats/usage/summary"


def assert_error(answer: httpx2.Response, status: int, code: str) -> dict[str, Any]:
    """The answer has the shape of an error with this status and code; returns its details."""
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert answer.headers["X-Request-ID"]
    body = answer.json()
    assert list(body) == ["error", "error_code", "details"]
    assert body["error_code"] == code
    details: dict[str, Any] = body["details"]
    return details


def test_every_kind_of_wrong_key_gives_the_same_401(service: Service) -> None:
    """Missing, empty, malformed, unknown, revoked and expired get one and the same answer."""
    revoked_id, revoked = service.keys.create(ACME, "revoked")
    service.keys.revoke(revoked_id)
    _, expired = service.keys.create(ACME, "expired", NOW)
    answers = [service.client.get(SUMMARY)]
    for key in (
        "",
        "x",
        "cust_",
        "cust_" + "A" * 43,
        "ключ".encode(),
        revoked,
        expired,
        "a" * 5000,
    ):
        sent = key if isinstance(key, bytes) else key.encode()
        answers.append(service.client.get(SUMMARY, headers={b"X-API-Key": sent}))
    for answer in answers:
        assert assert_error(answer, 401, "INVALID_API_KEY") == {}
        assert "X-RateLimit-Limit" not in answer.headers
    assert len({answer.text for answer in answers}) == 1


def test_the_key_is_asked_for_before_the_parameters(service: Service) -> None:
    """Without a key a wrong parameter is 401, not 422."""
    assert_error(service.client.get(f"{SUMMARY}?days=0&x=1"), 401, "INVALID_API_KEY")


def test_keys_work_until_they_expire_or_are_revoked(service: Service) -> None:
    """A revoked key stops with the next request."""
    key_id, key = service.keys.create(ACME, "short", NOW + timedelta(seconds=1))
    assert service.client.get(SUMMARY, headers={"X-API-Key": key}).status_code == 200
    service.keys.revoke(key_id)
    assert service.client.get(SUMMARY, headers={"X-API-Key": key}).status_code == 401


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("days=0", "days"),
        ("days=2558", "days"),
        ("days=-1", "days"),
        ("days=7.0", "days"),
        ("days=1_0", "days"),
        ("days=%D9%A7", "days"),
        ("days=", "days"),
        ("days=abc", "days"),
        ("tz=Mars/Olympus", "tz"),
        ("tz=utc", "tz"),
        ("tz=", "tz"),
        ("tz=../../etc/passwd", "tz"),
        ("tz=localtime", "tz"),
        ("tz=Europe/Paris%00", "tz"),
        ("end=2026-03-11", "end"),
        ("end=2026-3-1", "end"),
        ("end=2026-02-30", "end"),
        ("end=0", "end"),
        ("end=1969-12-31", "end"),
        ("end=", "end"),
        ("start=2026-03-01&days=7", "start"),
        ("days=10&start=2026-03-01&end=2026-03-10", "start"),
        ("start=2026-03-11", "start"),
        ("start=2026-03-05&end=2026-03-04", "start"),
        ("start=2019-03-10", "start"),  # 2558 dates
        ("start=1969-12-31&end=1970-01-01", "start"),
        ("start=2026-3-1", "start"),
        ("start=2026-02-29", "start"),
        ("start=", "start"),
        ("start=2026-03-01&start=2026-03-01", "start"),
        ("days=7&days=7", "days"),
        ("end=2026-03-01&end=2026-03-02", "end"),
        ("format=csv", "format"),
        ("customer_id=2", "customer_id"),
        ("Days=7", "Days"),
        ("%3Cscript%3E=1", "<script>"),
    ],
)
def test_a_wrong_parameter_is_named_with_what_is_allowed(
    service: Service, query: str, parameter: str
) -> None:
    """Wrong values, unknown and repeated names are all 422 INVALID_PARAMETER."""
    details = assert_error(service.get(f"{SUMMARY}?{query}"), 422, "INVALID_PARAMETER")
    assert details["parameter"] == parameter
    assert details["allowed"]
    assert "X-RateLimit-Limit" in service.get(f"{SUMMARY}?{query}").headers


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("start=2026-03-01&days=7", "is given beside days"),
        ("start=2026-03-05&end=2026-03-04", "is after the end, 2026-03-04"),
        ("start=2019-03-10", "makes a period of 2558 dates up to 2026-03-10"),
    ],
)
def test_a_start_that_makes_no_period_says_why(service: Service, query: str, problem: str) -> None:
    """What is wrong, and what is allowed."""
    body = service.get(f"{SUMMARY}?{query}").json()
    allowed = (
        "instead of days a date YYYY-MM-DD from 1970-01-01 to end, at most 2557 dates with both"
    )
    assert body["error"] == f"The parameter 'start' {problem}. Allowed: {allowed}."
    assert body["details"] == {"parameter": "start", "allowed": allowed}


def test_an_unknown_format_is_refused(service: Service) -> None:
    """A table is json or csv."""
    answer = service.get("/api/stats/usage/by-agent?format=xml")
    details = assert_error(answer, 422, "INVALID_PARAMETER")
    assert details == {"parameter": "format", "allowed": "json or csv"}


def test_today_is_today_in_the_zone(start: StartService, tmp_path: Path) -> None:
    """At 12:00 UTC it is already the 11th in Kiritimati, and still the 10th in UTC."""
    publish(tmp_path, sample())
    service = start()
    ahead = service.get(f"{SUMMARY}?end=2026-03-11&tz=Pacific/Kiritimati")
    assert ahead.status_code == 200
    assert_error(service.get(f"{SUMMARY}?end=2026-03-11"), 422, "INVALID_PARAMETER")


def test_unknown_addresses_are_404(service: Service) -> None:
    """Also below /api, and with a slash too many."""
    for path in ("/nope", "/api/stats", f"{SUMMARY}/", "/redoc", "/dashboard/../app.py"):
        assert assert_error(service.get(path), 404, "NOT_FOUND") == {}


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"])
def test_only_get_is_allowed(service: Service, method: str) -> None:
    """Other methods are 405, and the answer names GET."""
    answer = service.client.request(method, SUMMARY)
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "GET"
    if method != "HEAD":
        assert_error(answer, 405, "METHOD_NOT_ALLOWED")


def test_the_limit_holds_for_each_customer_not_each_key(
    start: StartService, tmp_path: Path
) -> None:
    """Two keys of one customer share a minute; another customer has its own."""
    publish(tmp_path, sample())
    service = start(rate_limit=3)
    remaining = [service.get(SUMMARY, ACME).headers["X-RateLimit-Remaining"] for _ in range(3)]
    assert remaining == ["2", "1", "0"]
    refused = service.get(SUMMARY, ACME)
    details = assert_error(refused, 429, "RATE_LIMIT_EXCEEDED")
    assert list(details) == ["limit", "reset_at", "retry_after"]
    assert details["limit"] == 3
    assert refused.headers["X-RateLimit-Limit"] == "3"
    assert refused.headers["X-RateLimit-Remaining"] == "0"
    assert refused.headers["Retry-After"] == str(details["retry_after"])
    assert 1 <= int(refused.headers["Retry-After"]) <= 61
    reset = datetime.fromtimestamp(int(refused.headers["X-RateLimit-Reset"]), UTC)
    assert reset == datetime.fromisoformat(details["reset_at"])
    assert service.get(SUMMARY, BOREAL).status_code == 200


def test_a_failure_of_ours_shows_nothing_of_the_inside(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """500 has the shape too, the headers too, and the log has the reason."""
    broken = "select error('secret_tab'), $customer_id"
    monkeypatch.setattr(SeriesSource, "by_date", lambda _source: broken)
    answer = service.get(SUMMARY)
    assert assert_error(answer, 500, "INTERNAL_ERROR") == {}
    assert "secret_tab" not in answer.text
    assert "X-RateLimit-Limit" in answer.headers
    line = service.log_lines()[-1]
    assert line["status"] == 500
    assert "secret_tab" in line["exception"]


def test_a_query_that_runs_too_long_is_stopped(
    start: StartService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503 QUERY_TIMEOUT, and the next query works."""
    publish(tmp_path, sample())
    service = start(query_timeout_seconds=0.2)
    slow = (
        "select count(*) as n from range(1000000) as a, range(1000000) as b"
        " where a.range * b.range % 7 = 3 and $customer_id > 0"
    )
    with monkeypatch.context() as patched:
        patched.setattr(SeriesSource, "by_date", lambda _source: slow)
        answer = service.get(SUMMARY)
    assert assert_error(answer, 503, "QUERY_TIMEOUT") == {}
    assert "ETag" not in answer.headers
    assert service.get(SUMMARY).status_code == 200


def test_before_the_first_snapshot_nothing_is_ready(start: StartService) -> None:
    """503 NOT_READY to a key, 503 with the reason on /readyz, 200 on /healthz."""
    service = start()
    assert_error(service.get(SUMMARY), 503, "NOT_READY")
    ready = service.client.get("/readyz")
    assert ready.status_code == 503
    assert ready.json()["details"] == {"reason": "no snapshot has been published yet"}
    assert service.client.get("/healthz").status_code == 200


def test_before_the_first_key_every_key_is_unknown(start: StartService, tmp_path: Path) -> None:
    """Without a key file a request is 401, and the server makes no file."""
    service = start()
    answer = service.client.get(SUMMARY, headers={"X-API-Key": "cust_" + "A" * 43})
    assert_error(answer, 401, "INVALID_API_KEY")
    assert not (tmp_path / "keys.db").exists()
