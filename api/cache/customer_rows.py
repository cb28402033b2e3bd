"""What is cached of each customer: the additive rows of the marts, once for a snapshot.

Planning is most of the cost of a small query, and every question about a customer adds up the same
few rows. So they are read once, as running sums, and every window is answered from those. The
queries in `queries/sql` stay the reference: a test compares the two, and whatever is not cached, or
does not fit, is queried.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Sequence
from datetime import date, datetime, timedelta
from operator import add, sub
from sys import getsizeof
from typing import Any, Protocol

from api.cache.series import OfGroup, Series, Sums, TooLarge, add_to
from api.queries.engine import Queries
from api.queries.series import SeriesSource
from api.snapshots import Lease
from api.windows import EPOCH, QUARTER_HOUR, Window, window

ROW_BYTES = 100  # of a row of names, beyond its values
ENTRY_BYTES = 400  # of an entry, beyond its content


class NotCached(Exception):
    """The question cannot be answered from memory: it has to be queried."""


class NotCachedYet(Exception):
    """Something has to be read first, and whoever asks may not wait for it."""


class Sized(Protocol):
    """Something with a size."""

    @property
    def size(self) -> int:
        """Bytes, about."""
        ...


class Names:
    """Rows of a reference mart. Raises TooLarge where they take more than `max_bytes`."""

    def __init__(self, rows: Iterable[tuple[Any, ...]], *, max_bytes: int) -> None:
        self.rows: list[tuple[Any, ...]] = []
        self.size = 0
        """Bytes, about."""
        for row in rows:
            self.rows.append(row)
            self.size += ROW_BYTES + sum(map(getsizeof, row))
            if self.size > max_bytes:
                raise TooLarge


OVERSIZED = Names([], max_bytes=0)
"""Stands for what there is no room for, so that it is not read again each time."""


class RowCache:
    """Series and names by snapshot, customer and name, bounded in bytes; least used go first."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._snapshot_id = ""
        self._entries: OrderedDict[tuple[Any, ...], Sized] = OrderedDict()
        self._lock = threading.Lock()
        self._reading: dict[tuple[Any, ...], threading.Lock] = {}

    @property
    def size(self) -> int:
        """Bytes kept, about."""
        return self._bytes

    def turn_to(self, snapshot_id: str) -> None:
        """Forget everything, and hold nothing from now on but rows of this snapshot."""
        with self._lock:
            self._entries.clear()
            self._bytes = 0
            self._snapshot_id = snapshot_id

    def get(
        self,
        snapshot_id: str,
        place: tuple[Any, ...],
        read: Callable[[int], Sized],
        *,
        may_wait: bool,
    ) -> Any:
        """The entry at `place`, read if it is not there; `read` gets the room for it in bytes.

        Raises NotCached if there is not enough, NotCachedYet if it is not there and the caller may
        not wait.
        """
        if self._max_bytes == 0:
            raise NotCached
        entry = self._find(snapshot_id, place)
        if entry is None:
            if not may_wait:
                raise NotCachedYet
            entry = self._read(snapshot_id, place, read)
        if entry is OVERSIZED:
            raise NotCached
        return entry

    def _find(self, snapshot_id: str, place: tuple[Any, ...]) -> Sized | None:
        with self._lock:
            entry = self._entries.get(place) if snapshot_id == self._snapshot_id else None
            if entry is not None:
                self._entries.move_to_end(place)
            return entry

    def _read(
        self, snapshot_id: str, place: tuple[Any, ...], read: Callable[[int], Sized]
    ) -> Sized:
        """Read an entry and keep it.

        Whoever asks for it meanwhile waits: each of them would take the room that one may have.
        """
        with self._lock:
            only_one = self._reading.setdefault((snapshot_id, *place), threading.Lock())
        try:
            with only_one:
                entry = self._find(snapshot_id, place)
                if entry is None:
                    room = self._max_bytes // 4 - ENTRY_BYTES
                    try:
                        entry = read(room)
                    except TooLarge:
                        entry = OVERSIZED
                    if entry.size > room:
                        entry = OVERSIZED
                    self._store(snapshot_id, place, entry)
                return entry
        finally:
            with self._lock:
                self._reading.pop((snapshot_id, *place), None)

    def _store(self, snapshot_id: str, place: tuple[Any, ...], entry: Sized) -> None:
        with self._lock:
            if snapshot_id != self._snapshot_id:
                return  # read before the snapshot was replaced
            replaced = self._entries.pop(place, None)
            self._bytes += entry.size + ENTRY_BYTES
            self._bytes -= 0 if replaced is None else replaced.size + ENTRY_BYTES
            self._entries[place] = entry
            while self._bytes > self._max_bytes:
                _, oldest = self._entries.popitem(last=False)
                self._bytes -= oldest.size + ENTRY_BYTES


class CustomerRows:
    """One customer's rows in one snapshot, or those of some of its agents, summed over windows.

    All it does raises NotCached where that cannot be done in memory, and NotCachedYet where
    something has to be read first and `may_wait` is false.
    """

    def __init__(
        self,
        cache: RowCache,
        queries: Queries,
        lease: Lease,
        customer_id: int,
        *,
        may_wait: bool,
        agent_ids: Sequence[int] | None = None,
        place: Hashable | None = None,
    ) -> None:
        """`agent_ids`, where given, are all the agents whose rows are read; then `place` says where
        they are cached, apart from the rows of all."""
        self.may_wait = may_wait
        """Whether whoever asks may wait."""
        self._cache = cache
        self._queries = queries
        self._lease = lease
        self._customer_id = customer_id
        self._agent_ids = agent_ids
        self._place = (customer_id, "") if place is None else place

    def sums_of(self, source: SeriesSource, asked: Window) -> Sums:
        """Sums over a window by the groups of a source, with a row in it."""
        whole = asked.whole_days
        found = self._by_date(source).sums(whole.start.toordinal(), whole.end.toordinal())
        for edge in (asked.head, asked.tail):
            if edge.start < edge.end:
                quarter_hours = self._by_quarter_hour(source, edge.start.date())
                add_to(
                    found, quarter_hours.sums(_quarter_hour(edge.start), _quarter_hour(edge.end))
                )
        return found

    def group_count(self, source: SeriesSource) -> int:
        """How many groups of a source there are on any date."""
        return len(self._by_date(source).groups)

    def days_of(
        self, source: SeriesSource, asked: Window, measures: Sequence[int]
    ) -> dict[tuple[Any, ...], list[list[int]]]:
        """By group of a source, for some of its measures the sums over each date of a window.

        Each is the difference of what was before its end and what was before its start, and what
        was before an instant is that of the UTC dates before, and of the early part of its own.
        """
        by_date = self._by_date(source).groups
        early = [
            self._early_in_the_day(source, stretch.time_of_day).groups
            if stretch.time_of_day
            else None
            for stretch in asked.stretches
        ]
        groups = set(by_date).union(*filter(None, early))
        return {
            group: _differences(
                by_date.get(group),
                [None if part is None else part.get(group) for part in early],
                asked,
                measures,
            )
            for group in groups
        }

    def rows(self, query: str) -> Sequence[tuple[Any, ...]]:
        """The rows of a query that asks for no window."""

        def read(room: int) -> Names:
            rows = self._queries.tuples(self._lease, query, customer_id=self._customer_id)
            return Names(rows, max_bytes=room)

        names: Names = self._get((query,), read)
        return names.rows

    def _by_date(self, source: SeriesSource) -> Series:
        source = self._narrowed(source)
        return self._series(source, source.by_date)

    def _by_quarter_hour(self, source: SeriesSource, day: date) -> Series:
        source = self._narrowed(source)
        whole_day = window(days=1, tz="UTC", end=day, kept_from=None)
        return self._series(source, source.by_quarter_hour, day, window=whole_day)

    def _early_in_the_day(self, source: SeriesSource, time_of_day: timedelta) -> Series:
        source = self._narrowed(source)
        return self._series(source, source.early_in_the_day, time_of_day, time_of_day=time_of_day)

    def _narrowed(self, source: SeriesSource) -> SeriesSource:
        return source if self._agent_ids is None else source.narrowed()

    def _series(
        self, source: SeriesSource, statement: Callable[[], str], *place: object, **asked: Any
    ) -> Series:
        def read(room: int) -> Series:
            rows = self._queries.tuples_of(
                self._lease,
                statement(),
                customer_id=self._customer_id,
                parameters={"agent_ids": list(self._agent_ids or ())},
                **asked,
            )
            return Series(rows, measures=len(source.measures), max_bytes=room)

        found: Series = self._get((statement.__name__, source, *place), read)
        return found

    def _get(self, place: tuple[object, ...], read: Callable[[int], Sized]) -> Any:
        snapshot_id = self._lease.snapshot.snapshot_id
        return self._cache.get(snapshot_id, (self._place, *place), read, may_wait=self.may_wait)


def _differences(
    by_date: OfGroup | None,
    early: list[OfGroup | None],
    asked: Window,
    measures: Sequence[int],
) -> list[list[int]]:
    """Of one group, for each measure the sums over each date of a window."""
    before: list[list[int]] = [[] for _ in measures]
    for stretch, early_part in zip(asked.stretches, early, strict=True):
        if by_date is None:
            of_stretch = [[0] * len(stretch.dates) for _ in measures]
        else:
            of_stretch = by_date.sums_before(stretch.dates, measures)
        if early_part is not None:
            and_next = range(stretch.dates.start, stretch.dates.stop + 1)
            of_stretch = [
                list(map(add, totals, map(sub, parts[1:], parts)))
                for totals, parts in zip(
                    of_stretch, early_part.sums_before(and_next, measures), strict=True
                )
            ]
        for sums, more in zip(before, of_stretch, strict=True):
            sums.extend(more * stretch.times)
    return [list(map(sub, sums[1:], sums)) for sums in before]


def _quarter_hour(instant: datetime) -> int:
    return (instant - EPOCH) // QUARTER_HOUR
