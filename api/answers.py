"""Answers that were given before, kept in memory so that the same question costs no query."""

import threading
from collections import OrderedDict
from dataclasses import dataclass

OVERHEAD_BYTES = 512  # of an entry, beyond its content


@dataclass(frozen=True)
class StoredAnswer:
    """The body of an answer, and the headers that are its own."""

    content: bytes
    headers: dict[str, str]

    @property
    def size(self) -> int:
        """What it takes in memory, in bytes, about."""
        return len(self.content) + OVERHEAD_BYTES


class Answers:
    """Answers from one snapshot, by customer first and then by ETag, bounded in bytes.

    The ETag covers snapshot, customer and normalised question. The customer is the first part of
    the place all the same: an answer can be looked up only by the one it was made for. What was
    used longest ago goes first, and all of it goes when another snapshot is answered from.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._snapshot_id = ""
        self._stored: OrderedDict[tuple[int, str], StoredAnswer] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def size(self) -> int:
        """Bytes stored, about."""
        return self._bytes

    def find(self, customer_id: int, etag: str) -> StoredAnswer | None:
        """The answer with this tag that was stored for this customer."""
        place = (customer_id, etag)
        with self._lock:
            stored = self._stored.get(place)
            if stored is not None:
                self._stored.move_to_end(place)
            return stored

    def store(self, customer_id: int, etag: str, answer: StoredAnswer, *, snapshot_id: str) -> None:
        """Keep an answer, unless it alone takes more than a quarter of the room."""
        if answer.size > self._max_bytes // 4:
            return
        place = (customer_id, etag)
        with self._lock:
            if snapshot_id != self._snapshot_id:
                self._stored.clear()
                self._bytes = 0
                self._snapshot_id = snapshot_id
            replaced = self._stored.pop(place, None)
            self._bytes += answer.size - (0 if replaced is None else replaced.size)
            self._stored[place] = answer
            while self._bytes > self._max_bytes:
                _, oldest = self._stored.popitem(last=False)
                self._bytes -= oldest.size
