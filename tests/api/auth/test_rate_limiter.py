"""The limits of requests: what each customer may still ask, in memory and in a shared file."""

import math
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from api.auth.rate_limit import MemoryRateLimiter, RateLimiter, SharedRateLimiter

START = 1_700_000_000.0
BOOTED = 5_000.0
# Seconds since the request before, and who asks; whole and half minutes meet the edges.
REQUESTS = st.lists(
    st.tuples(st.sampled_from([0.0, 0.5, 7.0, 30.0, 59.5, 60.0, 200.0]), st.integers(1, 3)),
    max_size=60,
)


@settings(max_examples=100, deadline=None)
@given(REQUESTS, st.integers(1, 4))
@example([(0.0, 1), (59.5, 1), (7.0, 2), (0.0, 1)], 2)  # one of the first's two is still counted
def test_no_moving_minute_has_more_than_the_limit(
    requests: list[tuple[float, int]], limit: int
) -> None:
    """Both rate limiters, given the same requests, against a recount of all that was let in.

    The wall clock is set back again and again: it only says, in its own words, when to come back.
    """
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        rate_limiters: list[RateLimiter] = [
            MemoryRateLimiter(limit),
            SharedRateLimiter(limit, Path(folder) / "requests.db"),
        ]
        now, let_in = BOOTED, list[tuple[float, int]]()
        for number, (pause, customer) in enumerate(requests):
            now += pause
            wall = START - 1000.25 * number
            patch.setattr("time.monotonic", lambda now=now: now)
            patch.setattr("time.time", lambda wall=wall: wall)
            within = [at for at, who in let_in if who == customer and at > now - 60]
            allowed = len(within) < limit
            if allowed:
                within.append(now)
                let_in.append((now, customer))
            wait = within[0] + 60 - now
            for rate_limiter in rate_limiters:
                allowance = rate_limiter.count(customer)
                assert allowance.allowed == allowed
                assert (allowance.limit, allowance.remaining) == (limit, limit - len(within))
                assert allowance.reset_at == math.ceil(wall + wait)
                assert allowance.retry_after == max(1, math.ceil(wait))


def test_who_has_been_silent_for_a_minute_is_evicted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is for those who asked in the last minute, however many there have been."""
    rate_limiter = MemoryRateLimiter(2)
    for customer in range(1000):
        monkeypatch.setattr("time.monotonic", lambda customer=customer: BOOTED + customer)
        rate_limiter.count(customer)
    assert len(rate_limiter) == 60
