"""A real daemon, a real webserver and a real receiver of alerts, for one home folder."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeVar

import dagster as dg
import httpx2

from orchestration.clock.dagster_home import prepare_dagster
from orchestration.settings import read_settings

AGENTSTATS = [sys.executable, "-c", "from orchestration.cli import main; main()"]
CHECKOUT = Path(__file__).resolve().parents[2]
T = TypeVar("T")

# Seconds take minutes on a machine that is busy with other things.
PATIENCE_SECONDS = 400

_LAUNCH = """
mutation ($job: String!) {
  launchRun(executionParams: {selector: {jobName: $job, repositoryName: "__repository__",
      repositoryLocationName: "orchestration.definitions"}, runConfigData: "{}"}) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
  }
}
"""


def wait_for(what: str, found: Callable[[], T | None], seconds: float = PATIENCE_SECONDS) -> T:
    """The first answer of `found` that is not empty, None or False."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        answer = found()
        if answer:
            return answer
        time.sleep(0.2)
    raise AssertionError(f"not within {seconds} seconds: {what}")


@dataclass
class Receiver:
    """A web server that keeps what is posted to it."""

    port: int
    posted: list[dict[str, Any]] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook/a-secret-token"

    def of(self, run_id: str) -> list[dict[str, Any]]:
        """What was posted about a run."""
        return [alert for alert in self.posted if alert["run_id"] == run_id]


@contextmanager
def receiver() -> Iterator[Receiver]:
    """Receive POSTs on a free port."""
    posted: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield Receiver(server.server_address[1], posted)
        server.shutdown()


@dataclass
class Dagster:
    """Dagster for one home folder: its processes, and what it has recorded."""

    settings: dict[str, str]
    home: Path
    instance: dg.DagsterInstance
    _processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _port: int = 0

    @property
    def environment(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("AGENTSTATS_", "DAGSTER"))}
        return {**kept, "PYTHONPATH": str(CHECKOUT), **self.settings}

    def run_from_command_line(self, job: str) -> None:
        """`agentstats run`, which must succeed."""
        done = subprocess.run(
            [*AGENTSTATS, "run", job],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_SECONDS,
        )
        assert done.returncode == 0, done.stderr[-3000:]

    def start_daemon(self) -> None:
        """Start the daemon as its service does."""
        self._start("daemon", "dagster", "daemon")

    def start_webserver(self) -> None:
        """Start the webserver on a free port, and wait until it answers."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self._start("webserver", "dagster", "webserver", "--port", str(self._port))

        def answers() -> bool:
            assert self._processes["webserver"].poll() is None, self.log("webserver")
            with suppress(httpx2.HTTPError):
                return httpx2.get(f"http://127.0.0.1:{self._port}/server_info").status_code == 200
            return False

        wait_for("the webserver answers", answers)

    def _start(self, name: str, *command: str) -> None:
        with (self.home / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                [*AGENTSTATS, *command],
                env=self.environment,
                cwd=CHECKOUT,
                stdout=log,
                stderr=log,
                # A group of its own: code server and run workers are found, and end, with it.
                start_new_session=True,
            )

    def stop(self, name: str, number: signal.Signals = signal.SIGTERM) -> None:
        """Send a signal to a service alone, as `systemctl kill` does, and wait for its end."""
        process = self._processes[name]
        process.send_signal(number)
        process.wait(timeout=PATIENCE_SECONDS)

    def kill_all(self, name: str) -> None:
        """End a service with everything that it started, at once, as a power cut would."""
        process = self._processes.pop(name)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=30)

    def end(self) -> None:
        for name in list(self._processes):
            self.kill_all(name)

    def log(self, name: str) -> str:
        """What a service wrote."""
        return (self.home / f"{name}.log").read_text()

    def ask(self, query: str, **variables: object) -> dict[str, Any]:
        """Ask the webserver's GraphQL."""
        answer = httpx2.post(
            f"http://127.0.0.1:{self._port}/graphql",
            json={"query": query, "variables": variables},
            timeout=60,
        ).json()
        assert "errors" not in answer, answer
        found: dict[str, Any] = answer["data"]
        return found

    def launch(self, job: str) -> str:
        """Start a job as the button in the UI does. Returns the run's id."""
        answer = self.ask(_LAUNCH, job=job)["launchRun"]
        assert answer["__typename"] == "LaunchRunSuccess", answer
        return str(answer["run"]["runId"])

    def runs(self, job: str = "hourly") -> list[dg.DagsterRun]:
        """The runs of a job, oldest first."""
        records = self.instance.get_run_records(dg.RunsFilter(job_name=job), ascending=True)
        return [record.dagster_run for record in records]

    def run(self, run_id: str) -> dg.DagsterRun:
        run = self.instance.get_run_by_id(run_id)
        assert run is not None
        return run

    def status(self, run_id: str) -> str:
        return self.run(run_id).status.value

    def wait_until(self, run_id: str, *statuses: str, seconds: float = PATIENCE_SECONDS) -> str:
        """Wait until the run has one of the statuses; returns which."""
        return wait_for(
            f"{run_id} is {' or '.join(statuses)}; it is {self.status(run_id)}",
            lambda: self.status(run_id) if self.status(run_id) in statuses else None,
            seconds,
        )

    def is_in_step(self, run_id: str, step: str) -> bool:
        """Whether the run has begun the step, and has written that down."""
        events = self.instance.all_logs(run_id, of_type=dg.DagsterEventType.STEP_START)
        return any(event.step_key == step and time.time() - event.timestamp > 2 for event in events)

    def wait_for_worker(self, run_id: str) -> int:
        """The process number of the run's worker, once it works."""
        path = self.home / "workers" / run_id
        return int(
            wait_for(
                f"{run_id} has a worker",
                lambda: json.loads(path.read_text())["pid"] if path.exists() else None,
            )
        )

    def wait_until_idle(self) -> None:
        """Wait until no run is queued or under way."""
        wait_for(
            "every run has ended",
            lambda: all(run.is_finished for run in self.instance.get_runs()),
        )

    def wait_for_runs(self, count: int, job: str = "hourly") -> list[dg.DagsterRun]:
        """The runs of a job, once there are so many that have ended."""
        return wait_for(
            f"{count} runs of {job} have ended",
            lambda: (
                found
                if len(found := [run for run in self.runs(job) if run.is_finished]) >= count
                else None
            ),
        )


@contextmanager
def dagster(home: Path, **settings: str) -> Iterator[Dagster]:
    """Dagster for a home folder, nothing started yet; everything is ended with the block."""
    given = {"AGENTSTATS_HOME": str(home), **settings}
    dagster_home = prepare_dagster(read_settings(given))
    with dg.DagsterInstance.from_config(str(dagster_home)) as instance:
        services = Dagster(given, dagster_home, instance)
        try:
            yield services
        finally:
            services.end()
