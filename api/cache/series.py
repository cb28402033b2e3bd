"""Additive measures of one customer over time, ready to be summed over any range of positions."""

from __future__ import annotations  # `array` has no types at run time

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import add
from sys import getsizeof
from typing import Any

Group = tuple[Any, ...]
Measures = tuple[int, ...]
Sums = dict[Group, Measures]

GROUP_BYTES = 400  # of a group, beyond its arrays
ARRAY_BYTES = 100  # of an array, beyond its numbers


class TooLarge(Exception):
    """It does not fit."""


@dataclass(frozen=True, slots=True)
class OfGroup:
    """One group's rows: their positions, ascending, and the sums of each measure before each."""

    positions: array[int]
    running: tuple[array[int], ...]
    """For each measure, one number more than there are positions: the last is the sum of all."""

    def sums_before(self, positions: range, measures: Sequence[int]) -> list[list[int]]:
        """The sums of some measures, by their numbers, before each of these positions."""
        chosen = [self.running[number] for number in measures]
        first = bisect_left(self.positions, positions[0])
        last = bisect_left(self.positions, positions[-1], first)
        if last - first == positions[-1] - positions[0]:  # a row at each
            return [running[first : last + 1].tolist() for running in chosen]
        rows = [bisect_left(self.positions, each, first, last) for each in positions]
        return [[running[row] for row in rows] for running in chosen]

    def between(self, start: int, end: int) -> Measures | None:
        """Sums from position `start` on and before `end`; None if there is no row."""
        first = bisect_left(self.positions, start)
        last = bisect_left(self.positions, end, first)
        if first == last:
            return None
        return tuple([running[last] - running[first] for running in self.running])


def no_rows(measures: int) -> OfGroup:
    """A group without rows."""
    return OfGroup(array("q"), tuple(array("q", [0]) for _ in range(measures)))


class Series:
    """Measures by group and position, e.g. by agent and date.

    The sum over a range is the difference of two running sums, so a year costs what a day costs.
    """

    def __init__(self, rows: Iterable[Sequence[Any]], *, measures: int, max_bytes: int) -> None:
        """`rows` hold the group's values, a position and the measures, and are in that order.

        Raises TooLarge where that takes more than `max_bytes`, or where a running sum does not fit
        into 64 bits.
        """
        self.groups: dict[Group, OfGroup] = {}
        group_bytes = GROUP_BYTES + ARRAY_BYTES * (1 + measures)
        numbers = 0
        for row in rows:
            numbers += 1 + measures
            if group_bytes * len(self.groups) + 8 * numbers > max_bytes:
                raise TooLarge
            group = tuple(row[: -measures - 1])
            of_group = self.groups.get(group)
            if of_group is None:
                of_group = self.groups[group] = no_rows(measures)
            of_group.positions.append(row[-measures - 1])
            for running, measure in zip(of_group.running, row[-measures:], strict=True):
                try:
                    running.append(running[-1] + measure)
                except OverflowError as error:
                    raise TooLarge from error
        self.size = sum(map(_bytes_of, self.groups.values()))
        """What it takes in memory, in bytes, about."""

    def sums(self, start: int, end: int) -> Sums:
        """Sums from position `start` on and before `end`, of each group with a row there."""
        found = {}
        for group, of_group in self.groups.items():
            sums = of_group.between(start, end)
            if sums is not None:
                found[group] = sums
        return found


def _bytes_of(of_group: OfGroup) -> int:
    return GROUP_BYTES + getsizeof(of_group.positions) + sum(map(getsizeof, of_group.running))


def add_to(to: Sums, more: Sums) -> None:
    """Add sums to others, group by group."""
    for group, measures in more.items():
        before = to.get(group)
        to[group] = measures if before is None else tuple(map(add, before, measures))
