"""The rate limit: so many requests a minute for each customer, whatever the number of keys."""

import math
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter


@dataclass(frozen=True)
class Allowance:
    """What is left to a customer after a request was counted. `reset_at` is in Unix seconds."""

    allowed: bool
    limit: int
    remaining: int
    reset_at: int
    retry_after: int

    @property
    def headers(self) -> dict[str, str]:
        """The three X-RateLimit headers."""
        return {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": str(self.reset_at),
        }

    @property
    def reset_at_text(self) -> str:
        """`reset_at` in ISO 8601, UTC."""
        return datetime.fromtimestamp(self.reset_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Throttle:
    """Counts requests over a moving minute, in the memory of this process.

    It runs on the wall clock, never on AGENTSTATS_NOW: a clock that stands still would never let
    anybody in again.
    """

    def __init__(self, requests_a_minute: int) -> None:
        self._rate = RateLimitItemPerMinute(requests_a_minute)
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def count(self, customer_id: int) -> Allowance:
        """Count one request of a customer, unless the limit is reached."""
        allowed = self._limiter.hit(self._rate, str(customer_id))
        stats = self._limiter.get_window_stats(self._rate, str(customer_id))
        reset_at = math.ceil(stats.reset_time)
        return Allowance(
            allowed=allowed,
            limit=self._rate.amount,
            remaining=stats.remaining if allowed else 0,
            reset_at=reset_at,
            retry_after=max(1, math.ceil(reset_at - time.time())),
        )
