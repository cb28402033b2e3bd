"""Answers that were given before, kept in memory so that the same question costs no query."""

import threading
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from typing import Any

OVERHEAD_BYTES = 512  # of an entry, beyond its content

Place = tuple[int, str]
"""Whose answers they are: a customer, and what a token of it is narrowed to; "" for all."""


@dataclass(frozen=True)
class StoredAnswer:
    """The body of an answer, and the headers that are its own."""

    content: bytes
    headers: dict[str, str]

    @property
    def size(self) -> int:
        """What it takes in memory, in bytes, about."""
        return len(self.content) + OVERHEAD_BYTES


@dataclass(frozen=True)
class AnsweredQuestion:
    """What a question came to, while nothing that it depends on has changed.

    It holds for the snapshot it was asked of, and from the instant it was asked until the earliest
    one at which "today" or retention may move. `context_headers` go with any answer to it,
    `unmodified_headers` with a 304.
    """

    etag: str
    snapshot_id: str
    valid_from: datetime
    valid_until: datetime
    context_headers: dict[str, str]
    unmodified_headers: dict[str, str]
    route: Any

    @property
    def size(self) -> int:
        """What it takes in memory, in bytes, about."""
        return 3 * OVERHEAD_BYTES


class AnswerCache:
    """Answers from one snapshot, by whose they are first and then by ETag, bounded in bytes.

    Beside the answers it keeps which question came to which ETag.

    The ETag covers snapshot, customer, what its token is narrowed to and normalised question. The
    place has the first of them all the same: an answer can be looked up only by the one it was made
    for. What was
    used longest ago is evicted first, and all of it when another snapshot is answered from: what is
    deleted by then is in no memory either.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._snapshot_id = ""
        self._stored: OrderedDict[tuple[Place, str], StoredAnswer | AnsweredQuestion] = (
            OrderedDict()
        )
        self._lock = threading.Lock()

    @property
    def size(self) -> int:
        """Bytes stored, about."""
        return self._bytes

    def turn_to(self, snapshot_id: str) -> None:
        """Evict everything, and store nothing from now on but answers from this snapshot."""
        with self._lock:
            self._stored.clear()
            self._bytes = 0
            self._snapshot_id = snapshot_id

    def find(self, place: Place, etag: str) -> StoredAnswer | None:
        """The answer with this tag that was stored for this customer."""
        found = self._find((place, etag))
        return found if isinstance(found, StoredAnswer) else None

    def find_question(self, place: Place, question: str) -> AnsweredQuestion | None:
        """What this question of this customer came to before."""
        found = self._find((place, question))
        return found if isinstance(found, AnsweredQuestion) else None

    def store(self, place: Place, etag: str, answer: StoredAnswer, *, snapshot_id: str) -> None:
        """Store an answer, unless it alone takes more than a quarter of the room."""
        self._store((place, etag), answer, snapshot_id)

    def store_question(self, place: Place, question: str, answered: AnsweredQuestion) -> None:
        """Store what a question came to. It starts with a slash, an ETag with a quote."""
        self._store((place, question), answered, answered.snapshot_id)

    def _find(self, place: tuple[Place, str]) -> StoredAnswer | AnsweredQuestion | None:
        with self._lock:
            stored = self._stored.get(place)
            if stored is not None:
                self._stored.move_to_end(place)
            return stored

    def _store(
        self, place: tuple[Place, str], entry: StoredAnswer | AnsweredQuestion, snapshot_id: str
    ) -> None:
        size = _size(place, entry)
        if size > self._max_bytes // 4:
            return
        with self._lock:
            if snapshot_id != self._snapshot_id:
                return  # asked before the snapshot was replaced, answered after
            replaced = self._stored.pop(place, None)
            self._bytes += size - (0 if replaced is None else _size(place, replaced))
            self._stored[place] = entry
            while self._bytes > self._max_bytes:
                oldest_place, oldest = self._stored.popitem(last=False)
                self._bytes -= _size(oldest_place, oldest)


def _size(place: tuple[Place, str], entry: StoredAnswer | AnsweredQuestion) -> int:
    return entry.size + (len(place[1]) if isinstance(entry, AnsweredQuestion) else 0)
