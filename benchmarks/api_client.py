"""Servers to ask, and a client that measures what its questions cost them."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from api.auth.keys import KeyStore
from benchmarks.api_server import PEERS, PROGRAM
from benchmarks.machine import CHECKOUT
from benchmarks.measuring import cpu_of_processes

Question = tuple[str, str]
"""A path, and the key of who asks, or `Bearer` and a token."""


@dataclass(frozen=True)
class Asked:
    """What some questions cost: CPU of the servers for each, and how long each took, sorted."""

    cpu_seconds_each: float
    seconds: list[float]

    def percentile(self, percent: int) -> float:
        """So many percent of the answers came within this time."""
        return self.seconds[min(len(self.seconds) - 1, len(self.seconds) * percent // 100)]


@dataclass(frozen=True)
class Servers:
    """The server that is asked, and the processes whose CPU counts."""

    port: int
    processes: Sequence[int]

    def ask(
        self, questions: Sequence[Question], *, connections: int = 1, etag: str | None = None
    ) -> Asked:
        """Ask them all, shared out among connections that stay open."""
        before = self._cpu()
        taken: list[list[float]] = [[] for _ in range(connections)]
        threads = [
            threading.Thread(target=self._ask, args=(questions[part::connections], times, etag))
            for part, times in enumerate(taken)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seconds = sorted(time for times in taken for time in times)
        if len(seconds) < len(questions):
            raise RuntimeError("not all questions were answered")
        return Asked((self._cpu() - before) / len(questions), seconds)

    def body(self, question: Question) -> bytes:
        """One answer."""
        return self.answer(question)[1]

    def answer(self, question: Question) -> tuple[str, bytes]:
        """The tag of one answer, and its body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        connection.request("GET", question[0], headers={"X-API-Key": question[1]})
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        if answer.status != 200:
            raise RuntimeError(f"{question[0]}: {answer.status} {body[:500]!r}")
        return answer.headers.get("ETag", ""), body

    def _ask(self, questions: Sequence[Question], times: list[float], etag: str | None) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        expected = 200 if etag is None else 304
        for path, key in questions:
            headers = {"Authorization" if key.startswith("Bearer ") else "X-API-Key": key}
            if etag is not None:
                headers["If-None-Match"] = etag
            began = time.perf_counter()
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            body = answer.read()
            times.append(time.perf_counter() - began)
            if answer.status != expected:
                raise RuntimeError(f"{path}: {answer.status} {body[:500]!r}")
        connection.close()

    def _cpu(self) -> float:
        return sum(map(cpu_of_processes, self.processes))


@contextmanager
def serving(
    home: Path, *, peers: dict[str, str] | None = None, also: Sequence[int] = (), **settings: object
) -> Iterator[Servers]:
    """A server over `home` until the block ends; the CPU of the processes `also` counts too."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    given = {
        "home": home,
        "port": port,
        "now": "2026-03-10T12:00:00Z",
        "rate_limit": 1_000_000,
        **settings,
    }
    environment = {
        **os.environ,
        **{f"AGENTSTATS_{name.upper()}": str(value) for name, value in given.items()},
        PEERS: json.dumps(peers or {}),
        # To wake a second thread costs Polars more than a customer's few rows do.
        "POLARS_MAX_THREADS": "1",
        "PYTHONPATH": str(CHECKOUT),
    }
    log = home / f"server-{port}.log"
    with log.open("wb") as written:
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM], env=environment, stdout=written, stderr=written
        )
    servers = Servers(port, [process.pid, *also])
    try:
        _wait_until_ready(servers, process, log)
        yield servers
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)


def keys_of(home: Path, customers: int) -> list[str]:
    """A key of each customer."""
    store = KeyStore(home / "keys.db")
    return [store.create(customer, "bench")[1] for customer in range(1, customers + 1)]


def _wait_until_ready(servers: Servers, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + 120
    while True:
        try:
            servers.body(("/readyz", ""))
        except (OSError, RuntimeError):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the server did not start:\n{log.read_text()}") from None
            time.sleep(0.1)
        else:
            return
