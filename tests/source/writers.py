"""A platform under load: connections that write, abort and update in transactions of any length."""

from __future__ import annotations

import random
import threading
import time
import uuid
from dataclasses import dataclass, field

import psycopg

from source.server import Server

CUSTOMERS = 5


@dataclass
class Writers:
    """Threads that write until `stop`; the counts are of what they did."""

    server: Server
    connections: int
    longest_seconds: float
    seed: int
    commits: int = 0
    aborts: int = 0
    cut_off: int = 0
    _stopped: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)
    _counting: threading.Lock = field(default_factory=threading.Lock)

    def start(self) -> None:
        """Begin to write."""
        for number in range(self.connections):
            thread = threading.Thread(target=self._write, args=(number,), daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """End every transaction as it stands: committed."""
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _write(self, number: int) -> None:
        chance = random.Random(f"{self.seed}/{number}")
        # Every connection has a clock of its own, up to an hour wrong.
        skew = chance.uniform(-3600, 3600)
        while not self._stopped.is_set():
            try:
                with self.server.connect(
                    autocommit=False, options="-c lock_timeout=2s -c timezone=UTC"
                ) as session:
                    while not self._stopped.is_set():
                        self._transact(session, chance, skew)
            except psycopg.OperationalError:
                # The server was restarted; the transaction is gone with it.
                with self._counting:
                    self.cut_off += 1
                time.sleep(0.2)

    def _transact(
        self, session: psycopg.Connection[tuple[object, ...]], chance: random.Random, skew: float
    ) -> None:
        # Most are short, some last for as long as may be.
        length = self.longest_seconds * chance.random() ** 12
        statements = chance.randint(1, 12)
        aborts = chance.random() < 0.15
        try:
            for _ in range(statements):
                if chance.random() < 0.3:
                    with session.transaction():
                        self._one(session, chance, skew)
                else:
                    self._one(session, chance, skew)
                self._stopped.wait(length / statements)
            if aborts:
                session.rollback()
            else:
                session.commit()
        except (psycopg.errors.DeadlockDetected, psycopg.errors.LockNotAvailable):
            session.rollback()
            aborts = True
        with self._counting:
            self.aborts += aborts
            self.commits += not aborts

    def _one(
        self, session: psycopg.Connection[tuple[object, ...]], chance: random.Random, skew: float
    ) -> None:
        customer = chance.randint(1, CUSTOMERS)
        day = chance.randint(1, 20)
        # Whole seconds, so that many are equal.
        at = f"2026-02-{day:02d}T{chance.randint(0, 23):02d}:{chance.randint(0, 59):02d}:00Z"
        kind = chance.random()
        if kind < 0.45:
            session.execute(
                "insert into agent_usage_events "
                "select %s || '-' || n, %s, %s, 5, 'm' || (n %% 3), n * 10, n, null, n * 100, "
                "%s::timestamptz, date_trunc('second', now() + %s * interval '1 s') "
                "from generate_series(1, %s) as n",
                (uuid.uuid4().hex, customer, 10 + customer, at, skew, chance.randint(1, 50)),
            )
        elif kind < 0.6:
            session.execute(
                "insert into audit_events values (%s, %s, %s, 5, null, %s, null, %s, %s, null)",
                (uuid.uuid4(), customer, 10 + customer, chance.randint(0, 9999) / 10000,
                 '{"PERSON": 2}', at),
            )  # fmt: skip
        elif kind < 0.75:
            session.execute(
                # A sequence has gaps, and gives numbers out in another order than they commit.
                "insert into feedback_events "
                "values (nextval('feedback_ids'), %s, 5, %s, %s, %s, %s, null)",
                (customer, 10 + customer, chance.randint(1, 5), chance.randint(1, 8), at),
            )
        else:
            # The newest version of a row is the one with the greatest received_at, whatever the
            # clock of whoever writes it.
            session.execute(
                "update agent_usage_events set input_tokens = input_tokens + 1000, "
                "received_at = greatest(received_at, date_trunc('second', now())) "
                "+ interval '1 s' where event_id = "
                "(select event_id from agent_usage_events offset %s limit 1)",
                (chance.randint(0, 5000),),
            )
