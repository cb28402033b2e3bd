"""A real server on loopback, in a process of its own, over a home folder."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from api.auth.keys import KeyStore

CHECKOUT = Path(__file__).resolve().parents[2]
SERVE = (
    "from api.server.workers import serve; from api.settings import ServingSettings; "
    "serve(ServingSettings(_env_file=None))"
)
DEMO = "from orchestration.cli import main; main()"
DEMO_MADE_AT = "2026-11-20T15:00:00Z"
NOW = "2026-11-20T15:20:00Z"
"""Of servers over the demo, and of the browsers that look at it."""


@dataclass(frozen=True)
class Server:
    """A running server: `url` ends without a slash."""

    home: Path
    url: str
    now: str

    def key(self, customer_id: int) -> str:
        """A new key of a customer."""
        return KeyStore(self.home / "keys.db").create(customer_id, "browser test")[1]

    def answer(self, endpoint: str, key: str, **parameters: str | int) -> Any:
        """The body of /api/stats/<endpoint>."""
        return self.response(endpoint, key, **parameters).json()

    def response(self, endpoint: str, key: str, **parameters: str | int) -> httpx2.Response:
        """The answer of /api/stats/<endpoint>, which must be a good one."""
        return self.response_with({"X-API-Key": key}, endpoint, **parameters)

    def response_with(
        self, headers: dict[str, str], endpoint: str, **parameters: str | int
    ) -> httpx2.Response:
        """The same, with these headers."""
        address = f"{self.url}/api/stats/{endpoint}"
        response = httpx2.get(address, params=parameters, headers=headers)
        assert response.status_code == 200, response.text
        return response


def environment(home: Path, now: str, **more: str) -> dict[str, str]:
    """The environment of a process that works on a home folder at a time that stands still."""
    return {
        **os.environ,
        "PYTHONPATH": str(CHECKOUT),
        "AGENTSTATS_HOME": str(home),
        "AGENTSTATS_NOW": now,
        **more,
    }


def make_demo(home: Path) -> None:
    """Make the sample of 90 days and run the hourly job on it; takes most of a minute."""
    subprocess.run(
        [sys.executable, "-c", DEMO, "demo", "--no-serve"],
        env=environment(home, DEMO_MADE_AT),
        check=True,
        capture_output=True,
        text=True,
    )


@contextmanager
def running(
    home: Path, *, now: str = NOW, rate_limit: int = 1_000_000, **settings: object
) -> Iterator[Server]:
    """A server for the time of the block; `settings` are AGENTSTATS_* in lower case."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE],
        env=environment(
            home,
            now,
            AGENTSTATS_PORT=str(port),
            AGENTSTATS_RATE_LIMIT=str(rate_limit),
            **{f"AGENTSTATS_{name.upper()}": str(value) for name, value in settings.items()},
        ),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                httpx2.get(f"{url}/healthz")
                break
            except httpx2.TransportError:
                assert process.poll() is None, "the server stopped"
                assert time.monotonic() < deadline, "the server did not start in 30 s"
                time.sleep(0.1)
        yield Server(home=home, url=url, now=now)
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
