"""One query at a time for each customer: many at once take the memory of all."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from api.errors import Busy

WAIT_SECONDS = 30.0
MOST_WAITING = 20  # half of the threads that wait for queries; the others are for other customers


@dataclass
class _Line:
    """The queries of a customer: one runs, the others wait."""

    turn: threading.Lock = field(default_factory=threading.Lock)
    length: int = 0


class Turns:
    """Whose query may run. Queries of different customers do not wait for each other."""

    def __init__(self) -> None:
        self._lines: dict[int, _Line] = {}
        self._lock = threading.Lock()

    @contextmanager
    def turn_of(self, customer_id: int) -> Iterator[None]:
        """Wait for the customer's turn. Raises Busy where that takes too long."""
        with self._lock:
            line = self._lines.setdefault(customer_id, _Line())
            if line.length > MOST_WAITING:
                raise Busy
            line.length += 1
        try:
            if not line.turn.acquire(timeout=WAIT_SECONDS):
                raise Busy
            try:
                yield
            finally:
                line.turn.release()
        finally:
            with self._lock:
                line.length -= 1
                if line.length == 0:
                    del self._lines[customer_id]
