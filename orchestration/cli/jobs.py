"""Commands that run something: the sample, the jobs, the API, Dagster."""

from __future__ import annotations

import json
import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestration.cli.keys import key_store
from orchestration.cli.output import AsJson, complain, err, out, print_json
from orchestration.errors import FAILED, PUBLISHED_WITHOUT, STOPPED_BY_SIGNAL
from orchestration.monitoring.problems import what_was_done
from orchestration.settings import Settings, read_settings
from orchestration.storage.durable import make_home

if TYPE_CHECKING:
    from orchestration.cli.in_process import JobOutcome


class JobName(StrEnum):
    """The jobs that can be run."""

    HOURLY = "hourly"
    NIGHTLY = "nightly"


def demo(
    serve: Annotated[
        bool, typer.Option("--serve/--no-serve", help="Serve the result until interrupted.")
    ] = True,
) -> None:
    """Make a sample of 90 days, run the hourly job on it, and serve the result."""
    from api.server.listening import listening_socket
    from orchestration.demo import generate

    settings = read_settings()
    if serve:  # where that would be refused, it is better said before the work than after it
        listening_socket(
            settings.host,
            settings.port,
            backlog=1,
            answer_timeout_seconds=settings.answer_timeout_seconds,
        ).close()
    marker = settings.home / "demo.json"
    if marker.exists():
        err.print(f"The sample in {settings.home} is there already.")
        customer = json.loads(marker.read_text())
    elif settings.ledger_path.exists() or any(settings.landing.glob("*/*")):
        complain(
            f"{settings.home} holds data that is not the demo's; "
            "set AGENTSTATS_HOME to an empty folder"
        )
        raise typer.Exit(1)
    else:
        make_home(settings.home)
        err.print(f"Making 90 days of sample events in {settings.home} …")
        sample = generate(settings.landing, now=settings.clock())
        customer = {"customer_id": sample.customer_id, "customer_name": sample.customer_name}
        marker.write_text(json.dumps(customer))
    _run(settings, JobName.HOURLY, full_refresh=False)
    _, key = key_store(settings).create(customer["customer_id"], "demo")
    url = f"http://{settings.host}:{settings.port}"
    out.print(f"Customer   {customer['customer_name']} (customer {customer['customer_id']})")
    out.print(f"API key    {key}")
    out.print(f"Dashboard  {url}/")
    out.print(f"API        curl -H 'X-API-Key: {key}' {url}/api/stats/usage/summary")
    if serve:
        serve_api(settings)


def run(
    job: Annotated[JobName, typer.Argument(help="Which job.")],
    full_refresh: Annotated[
        bool, typer.Option("--full-refresh", help="Rebuild every mart from the lake (hourly).")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run a Dagster job once, in this process. Ends with 0 only if all of it worked, with 3 if it
    published without what it had to set aside, with 143 where a signal stopped it."""
    settings = read_settings()
    if full_refresh and job is not JobName.HOURLY:
        raise typer.BadParameter("only `run hourly` rebuilds marts", param_hint="--full-refresh")
    outcome = _run(settings, job, full_refresh=full_refresh)
    if as_json:
        print_json({"job": job.value, "status": "succeeded", **outcome.detail})
    if outcome.set_aside:
        raise typer.Exit(PUBLISHED_WITHOUT)


def serve() -> None:
    """Serve the API and the dashboard until interrupted."""
    serve_api(read_settings())


class DagsterPart(StrEnum):
    """Which of Dagster's processes to start."""

    ALL = "all"
    DAEMON = "daemon"
    WEBSERVER = "webserver"


def dagster(
    part: Annotated[
        DagsterPart,
        typer.Argument(help="`all` is for a desk; services run `daemon` and `webserver`, each."),
    ] = DagsterPart.ALL,
    host: Annotated[str, typer.Option(help="Address of the UI.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port of the UI.")] = 3000,
) -> None:
    """Start Dagster: its UI, and the daemon that runs schedules and sensors."""
    from orchestration.clock.dagster_home import prepare_dagster

    home = prepare_dagster(read_settings())
    definitions = ("--module-name", "orchestration.definitions")
    address = ("--host", host, "--port", str(port))
    command = {
        DagsterPart.ALL: ["dagster", "dev", *definitions, *address],
        DagsterPart.DAEMON: ["dagster-daemon", "run", *definitions],
        DagsterPart.WEBSERVER: ["dagster-webserver", *definitions, *address],
    }[part]
    program = Path(sys.executable).with_name(command[0])
    # In the place of this process, so that a signal to the service is one to Dagster.
    os.execve(
        program,
        [str(program), *command[1:]],
        {**os.environ, "DAGSTER_HOME": str(home), "DAGSTER_DISABLE_TELEMETRY": "1"},
    )


def _run(settings: Settings, job: JobName, *, full_refresh: bool) -> JobOutcome:
    """Run a job, and say in one line what came of it. Ends the program with 1 where it failed."""
    from orchestration.cli.in_process import run_job

    outcome = run_job(settings, job.value, full_refresh=full_refresh)
    if not outcome.succeeded:
        complain(f"{job.value}: {outcome.problem}")
        raise typer.Exit(STOPPED_BY_SIGNAL if outcome.was_interrupted else FAILED)
    err.print(f"{job.value}: {what_was_done(outcome.detail)}")
    return outcome


def serve_api(settings: Settings) -> None:
    from api.server.workers import serve

    serve(settings)
