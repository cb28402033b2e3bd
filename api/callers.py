"""Who asks: the key of a request, verified once, and counted against its customer's limit."""

from dataclasses import dataclass

from fastapi.concurrency import run_in_threadpool

from api.keys import KeyRecord, KeyStoreUnreadable
from api.services import Services
from api.throttle import Allowance


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
        """Whose data may be answered now; None if nobody's."""
        if self.record is None or self.allowance is None or not self.allowance.allowed:
            return None
        return self.record.customer_id


def key_of(sent: list[str]) -> str | None:
    """The key of a request with these X-API-Key headers; none where they differ.

    Which of two keys counts would be for a proxy to decide, and whose data is answered with it.
    """
    return sent[0] if len(set(sent)) == 1 else None


async def recognise(services: Services, key: str | None) -> Caller:
    """Verify a key and count the request.

    It takes microseconds, so it runs on the event loop; where another process has locked one of the
    files, a thread waits for it.
    """
    try:
        return _recognise(services, key, may_wait=False)
    except BlockingIOError:
        return await run_in_threadpool(_recognise, services, key, may_wait=True)


def _recognise(services: Services, key: str | None, *, may_wait: bool) -> Caller:
    try:
        record = services.keys.verify(key, services.settings.clock(), may_wait=may_wait)
    except KeyStoreUnreadable as error:
        return Caller(problem=str(error))
    if record is None:
        return Caller()
    return Caller(record, services.throttle.count(record.customer_id, may_wait=may_wait))
