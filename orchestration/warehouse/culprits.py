"""Which of the newest loads make a roll-up fail: those without which it does not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

Candidate = TypeVar("Candidate")

# Each costs some builds; where so many are wrong, it is not they that are.
MOST = 10


def find_culprits(
    candidates: Sequence[Candidate], fails_with: Callable[[Sequence[Candidate]], bool]
) -> list[Candidate]:
    """The fewest of the candidates, which fail together, without which the others do not.

    None where it fails without any of them, or with too many. A candidate's build is as many
    times halved as there are candidates, and fails or not by what comes before it.
    """
    if fails_with([]):
        return []
    found: list[Candidate] = []
    rest = list(candidates)
    while len(found) < MOST:
        passes, fails = 0, len(rest)
        while fails - passes > 1:
            middle = (passes + fails) // 2
            if fails_with(rest[:middle]):
                fails = middle
            else:
                passes = middle
        found.append(rest.pop(fails - 1))
        if not rest or not fails_with(rest):
            return found
    return []
