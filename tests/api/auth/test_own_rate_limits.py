"""A tier that says how many requests a minute its customers have wins over the setting."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from api.auth.rate_limit import MemoryRateLimiter, RateLimiter, SharedRateLimiter
from service_fixture import Service, StartService
from snapshot_fixture import ACME, BOREAL, QUIET, publish, sample

ACCOUNT = "/api/stats/account"


@pytest.fixture
def service(start: StartService, tmp_path: Path) -> Service:
    """Customer 1 is of the tier pro, which has 3 requests a minute; 2 is of free, as built in."""
    publish(tmp_path, replace(sample(), tiers=[("pro", 3, 70), ("starter", 10**12, None)]))
    service = start(rate_limit=5)
    service.await_snapshot("20260310T110500Z-00000001")
    return service


def test_the_limit_of_the_tier_counts_and_is_reported(service: Service) -> None:
    """In headers, in the account and in the refusal; others have what is set."""
    remaining = []
    for _ in range(3):
        answer = service.get(ACCOUNT, ACME)
        assert answer.json()["requests_per_minute"] == 3
        assert answer.json()["daily_token_budget"] == 70
        assert answer.headers["X-RateLimit-Limit"] == "3"
        remaining.append(answer.headers["X-RateLimit-Remaining"])
    assert remaining == ["2", "1", "0"]
    refused = service.get(ACCOUNT, ACME)
    assert refused.status_code == 429
    assert refused.json()["details"]["limit"] == 3
    other = service.get(ACCOUNT, BOREAL)
    assert other.headers["X-RateLimit-Limit"] == "5"
    assert other.json()["requests_per_minute"] == 5
    assert other.json()["daily_token_budget"] == 10_000
    assert service.get(ACCOUNT, QUIET).headers["X-RateLimit-Limit"] == str(10**12)


def test_the_limit_changes_with_the_snapshot(service: Service) -> None:
    """What was counted before stays counted; nothing is left where that is more."""
    for _ in range(3):
        service.get(ACCOUNT, ACME)
    lower, none = "20260310T120500Z-00000002", "20260310T120500Z-00000003"
    publish(service.settings.home, replace(sample(), tiers=[("pro", 1, 70)]), snapshot_id=lower)
    service.await_snapshot(lower)
    refused = service.get(ACCOUNT, ACME)
    assert (refused.status_code, refused.headers["X-RateLimit-Remaining"]) == (429, "0")
    publish(service.settings.home, sample(), snapshot_id=none)
    service.await_snapshot(none)
    answer = service.get(ACCOUNT, ACME)
    assert (answer.status_code, answer.headers["X-RateLimit-Remaining"]) == (200, "1")


def test_a_snapshot_of_before_there_were_tiers_leaves_the_setting(
    start: StartService, tmp_path: Path
) -> None:
    """It is served, until the next run publishes."""
    path = publish(tmp_path, sample())
    with duckdb.connect(str(path)) as connection:
        connection.execute("drop table marts.tiers")
    answer = start(rate_limit=5).get("/api/stats/usage/summary", ACME)
    assert (answer.status_code, answer.headers["X-RateLimit-Limit"]) == (200, "5")


def test_both_rate_limiters_take_a_limit_of_the_customers_own(tmp_path: Path) -> None:
    """One above that of all others, and one below."""
    limiters: list[RateLimiter] = [
        MemoryRateLimiter(2),
        SharedRateLimiter(2, tmp_path / "requests.db"),
    ]
    for limiter in limiters:
        for own, allowed in ((1, 1), (3, 3), (None, 2)):
            customer = own or 0
            outcomes = [limiter.count(customer, own_limit=own).allowed for _ in range(5)]
            assert outcomes == [True] * allowed + [False] * (5 - allowed)
