"""Questions that were parsed before: their route is found, their parameters are read."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fastapi import Request
from fastapi.responses import Response

MOST_QUESTIONS = 1024  # of 4 KiB at most, and most are of 50 bytes


@dataclass(frozen=True)
class ParsedQuestion:
    """How to answer a question, whoever asks it, from `valid_from` on and before `valid_until`.

    Until then "today" is the same date. `answer` takes the request, the customer and the time.
    """

    answer: Callable[[Request, int, datetime], Response]
    route: Any
    valid_from: datetime
    valid_until: datetime


class ParsedQuestions:
    """The questions asked last, by path, query and the zone of who asks, which counts where the
    query names none. Nothing else of a customer is in them."""

    def __init__(self) -> None:
        self._found: OrderedDict[tuple[str, str], ParsedQuestion] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, question: str, own_zone: str, now: datetime) -> ParsedQuestion | None:
        """How to answer this question now, if it was asked before on this date."""
        with self._lock:
            found = self._found.get((question, own_zone))
            if found is None or not found.valid_from <= now < found.valid_until:
                return None
            self._found.move_to_end((question, own_zone))
            return found

    def store(self, question: str, own_zone: str, parsed: ParsedQuestion) -> None:
        """Store a question; the one that was asked longest ago is evicted."""
        with self._lock:
            self._found[question, own_zone] = parsed
            self._found.move_to_end((question, own_zone))
            while len(self._found) > MOST_QUESTIONS:
                self._found.popitem(last=False)
