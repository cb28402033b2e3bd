"""One query at a time for each customer: many at once take the memory of all."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from api.errors import Busy

WAIT_SECONDS = 30.0
MOST_WAITING = 20  # half of the threads that wait for queries; the others are for other customers


@dataclass
class _Queue:
    """The queries of a customer: one runs, the others wait."""

    running: threading.Lock = field(default_factory=threading.Lock)
    length: int = 0


class QueryQueues:
    """One queue of queries for each customer; those of different customers do not wait for each
    other."""

    def __init__(self) -> None:
        self._queues: dict[int, _Queue] = {}
        self._lock = threading.Lock()

    @contextmanager
    def next_of(self, customer_id: int) -> Iterator[None]:
        """Wait until the customer's earlier queries ended. Raises Busy where that takes too long,
        or too many wait already."""
        with self._lock:
            queue = self._queues.setdefault(customer_id, _Queue())
            if queue.length > MOST_WAITING:
                raise Busy
            queue.length += 1
        try:
            if not queue.running.acquire(timeout=WAIT_SECONDS):
                raise Busy
            try:
                yield
            finally:
                queue.running.release()
        finally:
            with self._lock:
                queue.length -= 1
                if queue.length == 0:
                    del self._queues[customer_id]
