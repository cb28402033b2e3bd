"""Who asks: the key of a request, verified once, and counted against its customer's limit."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from fastapi.concurrency import run_in_threadpool

from api.auth.keys import KeyRecord, KeyStore, KeyStoreUnreadable
from api.auth.rate_limit import Allowance, RateLimiter


@dataclass(frozen=True)
class Caller:
    """What is known of a request's sender. Without a `record` the key is wrong.

    `problem` says why keys cannot be read, where they cannot; `allowance` is there with a record.
    """

    record: KeyRecord | None = None
    allowance: Allowance | None = None
    problem: str | None = None

    @property
    def customer_id(self) -> int | None:
        """Whose data may be answered now; None if no customer's."""
        if self.record is None or self.allowance is None or not self.allowance.allowed:
            return None
        return self.record.customer_id


def key_of(sent: list[str]) -> str | None:
    """The key of a request with these X-API-Key headers; none where they differ.

    Which of two keys counts would be for a proxy to decide, and whose data is answered with it.
    """
    return sent[0] if len(set(sent)) == 1 else None


async def authenticate(
    keys: KeyStore,
    rate_limiter: RateLimiter,
    own_limits: Mapping[int, int],
    key: str | None,
    now: datetime,
) -> Caller:
    """Verify a key and count the request, against the customer's own limit if there is one.

    It takes microseconds, so it runs on the event loop; where another process has locked one of the
    files, a thread waits for it.
    """
    try:
        return _authenticate(keys, rate_limiter, own_limits, key, now, may_wait=False)
    except BlockingIOError:
        return await run_in_threadpool(
            _authenticate, keys, rate_limiter, own_limits, key, now, may_wait=True
        )


def _authenticate(
    keys: KeyStore,
    rate_limiter: RateLimiter,
    own_limits: Mapping[int, int],
    key: str | None,
    now: datetime,
    *,
    may_wait: bool,
) -> Caller:
    try:
        record = keys.verify(key, now, may_wait=may_wait)
    except KeyStoreUnreadable as error:
        return Caller(problem=str(error))
    if record is None:
        return Caller()
    own_limit = own_limits.get(record.customer_id)
    return Caller(
        record, rate_limiter.count(record.customer_id, own_limit=own_limit, may_wait=may_wait)
    )
