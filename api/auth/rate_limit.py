"""Rate limits: of requests for each customer, and of wrong keys for each address."""

import ipaddress
import math
import sqlite3
import threading
import time
from collections import OrderedDict, deque
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

WINDOW_SECONDS = 60.0
WAIT_SECONDS = 10.0  # for another worker that is counting


@dataclass(frozen=True)
class Allowance:
    """What is left to somebody after one thing was counted. `reset_at` is in Unix seconds."""

    allowed: bool
    limit: int
    remaining: int
    reset_at: int
    retry_after: int

    @property
    def headers(self) -> dict[str, str]:
        """The three X-RateLimit headers."""
        return {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": str(self.reset_at),
        }

    @property
    def reset_at_text(self) -> str:
        """`reset_at` in ISO 8601, UTC."""
        return datetime.fromtimestamp(self.reset_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class RateLimiter(Protocol):
    """Counts the requests of each customer over a moving minute.

    It runs on the clock that only goes forward, which all processes of a machine share: neither
    AGENTSTATS_NOW nor a wall clock that is set back may lock anybody out.
    """

    def count(
        self, customer_id: int, *, own_limit: int | None = None, may_wait: bool = True
    ) -> Allowance:
        """Count one request of a customer, unless the limit is reached: the customer's own, or that
        of all who have none.

        Raises BlockingIOError where another worker is counting and the caller may not wait.
        """


class MemoryRateLimiter:
    """A rate limiter in the memory of the only worker.

    It keeps the times of the requests of those who asked in the last minute. Whatever it does is
    for the one who asks, and for whoever has been silent for a minute: libraries that go through
    all customers every few milliseconds cost more than the answers.
    """

    def __init__(self, requests_a_minute: int) -> None:
        self._limit = requests_a_minute
        self._lock = threading.Lock()
        self._counted: OrderedDict[int, deque[float]] = OrderedDict()
        """Times by customer, oldest first; the customer who asked last is the last."""

    def __len__(self) -> int:
        """How many customers are counted."""
        return len(self._counted)

    def count(
        self, customer_id: int, *, own_limit: int | None = None, may_wait: bool = True
    ) -> Allowance:
        """Count one request of a customer, unless the limit is reached; nothing to wait for."""
        limit = own_limit or self._limit
        now = time.monotonic()
        with self._lock:
            counted = self._counted.setdefault(customer_id, deque())
            while counted and counted[0] <= now - WINDOW_SECONDS:
                counted.popleft()
            allowed = len(counted) < limit
            if allowed:
                counted.append(now)
                self._counted.move_to_end(customer_id)
            self._evict_the_silent(now)
            return _allowance(allowed, limit, len(counted), counted[0], now)

    def _evict_the_silent(self, now: float) -> None:
        # Every customer in here has a time, and the one who is asking has one within the minute.
        while True:
            customer_id, counted = next(iter(self._counted.items()))
            if counted[-1] > now - WINDOW_SECONDS:
                return
            del self._counted[customer_id]


class SharedRateLimiter:
    """A rate limiter of several workers, in a file that they share."""

    def __init__(self, requests_a_minute: int, path: Path) -> None:
        self._limit = requests_a_minute
        self._path = path
        self._of_this_thread = threading.local()

    def count(
        self, customer_id: int, *, own_limit: int | None = None, may_wait: bool = True
    ) -> Allowance:
        """Count one request of a customer, unless the limit is reached.

        Raises BlockingIOError where another worker is counting and the caller may not wait.
        """
        limit = own_limit or self._limit
        try:
            return self._count(self._connection(may_wait=may_wait), customer_id, limit)
        except sqlite3.OperationalError as error:
            if may_wait or error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise
            raise BlockingIOError("another worker is counting") from error

    def _count(self, connection: sqlite3.Connection, customer_id: int, limit: int) -> Allowance:
        # From here to the commit no other worker counts, so the limit is never overrun.
        connection.execute("begin immediate")
        try:
            now = time.monotonic()
            connection.execute("delete from request where counted_at <= ?", (now - WINDOW_SECONDS,))
            counted, oldest = connection.execute(
                "select count(*), min(counted_at) from request where customer_id = ?",
                (customer_id,),
            ).fetchone()
            allowed = counted < limit
            if allowed:
                connection.execute("insert into request values (?, ?)", (customer_id, now))
                counted += 1
            connection.execute("commit")
        except sqlite3.Error:
            connection.rollback()
            raise
        return _allowance(allowed, limit, counted, oldest or now, now)

    def _connection(self, *, may_wait: bool) -> sqlite3.Connection:
        """This thread's connection to the file, which the first one makes."""
        name = "patient" if may_wait else "impatient"
        connection: sqlite3.Connection | None = getattr(self._of_this_thread, name, None)
        if connection is None:
            connection = _opened(self._path, wait_seconds=WAIT_SECONDS if may_wait else 0)
            connection.execute(
                "create table if not exists request (customer_id integer, counted_at real)"
            )
            connection.execute(
                "create index if not exists by_customer on request (customer_id, counted_at)"
            )
            connection.execute("create index if not exists by_time on request (counted_at)")
            setattr(self._of_this_thread, name, connection)
        return connection


class WrongKeys:
    """Counts wrong keys by the address they come from, each over a minute from its first.

    In a file that several workers share, or in memory where there is one. Both are bounded: only
    the `addresses` that failed last are counted. Whoever commands more addresses than that gets
    401 where 429 was due, and nothing else. An IPv6 address counts as its /64 network, because one
    host owns all of it.
    """

    def __init__(
        self, failures_a_minute: int, *, path: Path | None = None, addresses: int = 10_000
    ) -> None:
        self._limit = failures_a_minute
        self._addresses = addresses
        self._lock = threading.Lock()
        self._connection = _opened(path or ":memory:")
        self._connection.execute(
            "create table if not exists failing (network text primary key, failures integer,"
            " ends_at real, failed_at real) without rowid"
        )
        self._connection.execute("create index if not exists by_time on failing (failed_at)")

    def __len__(self) -> int:
        """How many addresses are counted."""
        with self._lock:
            return int(self._connection.execute("select count(*) from failing").fetchone()[0])

    def count(self, address: str) -> Allowance:
        """Count one wrong key from an address, also beyond the limit."""
        now = time.monotonic()
        with self._lock:
            # One statement, so that no other worker counts in between.
            [(failures, ends_at)] = self._connection.execute(
                "insert into failing values (:network, 1, :now + 60, :now)"
                " on conflict do update set"
                " failures = iif(ends_at <= :now, 1, failures + 1),"
                " ends_at = iif(ends_at <= :now, :now + 60, ends_at), failed_at = :now"
                " returning failures, ends_at",
                {"network": _network(address), "now": now},
            ).fetchall()
            if failures == 1:  # it may be a new one, which takes the place of the oldest
                self._connection.execute(
                    "delete from failing where network in (select network from failing"
                    " order by failed_at"
                    " limit max(0, (select count(*) from failing) - :addresses))",
                    {"addresses": self._addresses},
                )
        return Allowance(
            allowed=failures <= self._limit,
            limit=self._limit,
            remaining=max(0, self._limit - failures),
            reset_at=_on_the_wall_clock(ends_at, now),
            retry_after=max(1, math.ceil(ends_at - now)),
        )


def _allowance(allowed: bool, limit: int, counted: int, oldest: float, now: float) -> Allowance:
    """What is left after `counted` requests in the last minute, the oldest of them at `oldest`."""
    reset_at = oldest + WINDOW_SECONDS
    return Allowance(
        allowed=allowed,
        limit=limit,
        # A limit may have become lower than what was counted.
        remaining=max(0, limit - counted),
        reset_at=_on_the_wall_clock(reset_at, now),
        retry_after=max(1, math.ceil(reset_at - now)),
    )


def _on_the_wall_clock(instant: float, now: float) -> int:
    """An instant of `time.monotonic` in whole Unix seconds, not before it; `now` is by the same."""
    return math.ceil(time.time() + (instant - now))


def _opened(path: Path | str, *, wait_seconds: float = WAIT_SECONDS) -> sqlite3.Connection:
    """A connection for any thread. What is in the file is worth a minute: no crash matters."""
    connection = sqlite3.connect(
        path, timeout=wait_seconds, isolation_level=None, check_same_thread=False
    )
    connection.execute("pragma synchronous = off")
    connection.execute("pragma journal_mode = memory")
    return connection


def _network(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:  # a Unix socket has no address: all its clients count as one
        return ""
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
