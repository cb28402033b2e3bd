"""A real server in a process of its own, with a route that does nothing to compare with."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
from fastapi import FastAPI
from fastapi.responses import Response

from api.app import create_app
from api.server.workers import serve
from api.settings import ServingSettings

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = "from fuzz.served import main; main()"
NOTHING = "/nothing"


def app_with_nothing(settings: ServingSettings, **shared: Path) -> FastAPI:
    """The app and a route that does nothing; the app as installed has no such route."""
    app = create_app(settings, counts_folder=shared.get("counts_folder"))

    def nothing() -> Response:
        return Response(b"{}", media_type="application/json")

    app.get(NOTHING, include_in_schema=False)(nothing)
    return app


def main() -> None:
    """Serve with the settings of the environment."""
    serve(ServingSettings(_env_file=None), factory=app_with_nothing)


@dataclass(frozen=True)
class Served:
    """A running server."""

    port: int
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def url(self) -> str:
        """Its address, without a path."""
        return f"http://127.0.0.1:{self.port}"

    def resident_mib(self) -> float:
        """Memory of its workers, MiB."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        kib = 0
        for child in children.split():
            status = Path(f"/proc/{child}/status").read_text()
            kib += int(status.split("VmRSS:")[1].split()[0])
        return kib / 1024

    def log_text(self) -> str:
        """Everything that it wrote so far."""
        return self.log.read_text()


@contextlib.contextmanager
def serving(home: Path, **settings: object) -> Iterator[Served]:
    """Run a server over `home`; `settings` are AGENTSTATS_* in lower case. Stops it at the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    given = {
        "home": home,
        "port": port,
        "now": "2026-03-10T12:00:00Z",
        "rate_limit": 1_000_000_000,
        "wrong_keys_limit": 1_000_000_000,
        **settings,
    }
    environment = {
        **os.environ,
        **{f"AGENTSTATS_{name.upper()}": str(value) for name, value in given.items()},
        "PYTHONPATH": os.pathsep.join(map(str, [ROOT, ROOT / "tests", ROOT / "tests" / "api"])),
    }
    log = home / f"server-{port}.log"
    with log.open("wb") as written:
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM], env=environment, stdout=written, stderr=written
        )
    served = Served(port, process, log)
    try:
        _wait_until_ready(served)
        yield served
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=40)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _wait_until_ready(served: Served) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            if httpx2.get(f"{served.url}/readyz").status_code == 200:
                return
        except httpx2.TransportError:
            pass
        assert served.process.poll() is None, served.log_text()
        assert time.monotonic() < deadline, "the server was not ready in 60 s"
        time.sleep(0.1)
