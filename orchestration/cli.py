"""The command line: `agentstats`."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import structlog
import typer
from rich.console import Console
from rich.table import Table

from orchestration.settings import Settings, SettingsError, read_settings

app = typer.Typer(
    name="agentstats",
    help="Usage and metrics warehouse for fleets of AI agents.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
keys_app = typer.Typer(help="Make, list and revoke the keys of the API.", no_args_is_help=True)
app.add_typer(keys_app, name="keys")

# Reports go to standard output, progress and errors to standard error.
out = Console(soft_wrap=True, highlight=False)
err = Console(stderr=True, soft_wrap=True, highlight=False)

AsJson = Annotated[bool, typer.Option("--json", help="Report as JSON.")]


class JobName(StrEnum):
    """The jobs that can be run."""

    HOURLY = "hourly"
    NIGHTLY = "nightly"


def main() -> None:
    """Entry point: every foreseeable problem ends in one line that says what to do."""
    from orchestration.dbt import DbtFailed
    from orchestration.reading import ReadingProblem
    from orchestration.rollups import WarehouseUnusable
    from orchestration.writer_lock import WriterBusy

    _log_to_stderr()
    try:
        app()
    except SettingsError as error:
        err.print(f"[red]setting:[/red] {error}", markup=True)
        sys.exit(2)
    except (WriterBusy, WarehouseUnusable, DbtFailed) as error:
        err.print(f"[red]error:[/red] {error}", markup=True)
        sys.exit(1)
    except ReadingProblem as problem:
        err.print(f"error: {problem}", markup=False)
        sys.exit(1)


@app.command()
def demo(
    serve: Annotated[
        bool, typer.Option("--serve/--no-serve", help="Serve the result until interrupted.")
    ] = True,
) -> None:
    """Make a sample of 90 days, run the hourly job on it, and serve the result."""
    from orchestration.demo import generate

    settings = read_settings()
    marker = settings.home / "demo.json"
    if marker.exists():
        err.print(f"The sample in {settings.home} is there already.")
        customer = json.loads(marker.read_text())
    elif settings.ledger_path.exists() or any(settings.landing.glob("*/*")):
        err.print(
            f"[red]error:[/red] {settings.home} holds data that is not the demo's; "
            "set AGENTSTATS_HOME to an empty folder"
        )
        raise typer.Exit(1)
    else:
        err.print(f"Making 90 days of sample events in {settings.home} …")
        sample = generate(settings.landing, now=settings.clock())
        customer = {"customer_id": sample.customer_id, "customer_name": sample.customer_name}
        marker.write_text(json.dumps(customer))
    _run(settings, JobName.HOURLY, full_refresh=False)
    _, key = _key_store(settings).create(customer["customer_id"], "demo")
    url = f"http://{settings.host}:{settings.port}"
    out.print(f"Customer   {customer['customer_name']} (customer {customer['customer_id']})")
    out.print(f"API key    {key}")
    out.print(f"Dashboard  {url}/")
    out.print(f"API        curl -H 'X-API-Key: {key}' {url}/api/stats/usage/summary")
    if serve:
        _serve(settings)


@app.command()
def run(
    job: Annotated[JobName, typer.Argument(help="Which job.")],
    full_refresh: Annotated[
        bool, typer.Option("--full-refresh", help="Rebuild every mart from the lake (hourly).")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run a Dagster job once, in this process. Ends with 0 only if all of it worked."""
    settings = read_settings()
    if full_refresh and job is not JobName.HOURLY:
        raise typer.BadParameter("only `run hourly` rebuilds marts", param_hint="--full-refresh")
    detail = _run(settings, job, full_refresh=full_refresh)
    if as_json:
        _print_json(detail)


@app.command()
def serve() -> None:
    """Serve the API and the dashboard until interrupted."""
    _serve(read_settings())


@app.command()
def dagster(
    port: Annotated[int, typer.Option(help="Port of the UI, on 127.0.0.1.")] = 3000,
) -> None:
    """Open Dagster: lineage, runs, and the schedules of the jobs."""
    from orchestration.jobs import prepare_dagster

    home = prepare_dagster(read_settings())
    command = Path(sys.executable).with_name("dagster")
    os.execve(
        command,
        [
            str(command),
            *("dev", "--module-name", "orchestration.definitions"),
            *("--host", "127.0.0.1", "--port", str(port)),
        ],
        {**os.environ, "DAGSTER_HOME": str(home), "DAGSTER_DISABLE_TELEMETRY": "1"},
    )


@app.command()
def reconcile(as_json: AsJson = False) -> None:
    """Recount the marts against the lake. Ends with 1 and a table where they differ."""
    from orchestration import pipeline
    from orchestration.ledger import Ledger
    from orchestration.writer_lock import writer_lock

    settings = read_settings()
    with writer_lock(
        settings.home,
        task="reconcile",
        now=settings.clock(),
        wait_seconds=settings.lock_wait_seconds,
    ):
        pipeline.clear_scratch(settings)
        ledger = Ledger(settings.ledger_path)
        try:
            proof = pipeline.reconcile(settings, ledger)
        finally:
            ledger.close()
    if as_json:
        _print_json({"adds_up": proof.adds_up, **dataclasses.asdict(proof)})
    elif proof.adds_up:
        out.print(
            f"It adds up: {proof.events} events in {proof.groups} groups of stream, customer and "
            f"date, from {proof.files} files; no difference."
        )
    else:
        _print_table(
            "Groups that differ",
            ["stream", "customer_id", "occurred_date", "accepted", "in_marts"],
            [dataclasses.astuple(difference) for difference in proof.differences],
        )
        _print_table(
            "Files that do not add up",
            ["source", "problem"],
            [dataclasses.astuple(difference) for difference in proof.file_differences],
        )
        err.print(
            "If files were loaded since the last hourly run, run that first; "
            "`agentstats run hourly --full-refresh` rebuilds every mart from the lake."
        )
    if not proof.adds_up:
        raise typer.Exit(1)


@app.command()
def status(as_json: AsJson = False) -> None:
    """Say what was run, how fresh the data is, what waits and what was rejected."""
    from orchestration.status import gather

    report = gather(read_settings())
    if as_json:
        _print_json(dataclasses.asdict(report))
        return
    out.print(f"Home          {report.home}")
    out.print(f"Now           {report.now:%Y-%m-%d %H:%M:%S} UTC")
    out.print(f"Data as of    {report.data_as_of or 'nothing loaded yet'}")
    out.print(f"Snapshot      {report.snapshot or 'none published yet'}")
    out.print(f"Files waiting {report.files_waiting}, failed {report.files_failed}")
    for row_source in report.streams:
        out.print(
            f"{row_source.stream:<20} {row_source.files} files: {row_source.rows_read} read = "
            f"{row_source.accepted} accepted + {row_source.duplicates} duplicates + "
            f"{row_source.rejected} rejected"
        )
    _print_table(
        "Rejected rows by reason",
        ["stream", "reason", "rows"],
        [dataclasses.astuple(reason) for reason in report.rejected],
    )
    _print_table(
        "Last runs",
        ["job", "started_at", "ended_at", "status", "detail"],
        [
            (run.job, run.started_at, run.ended_at, run.status, json.dumps(run.detail))
            for run in report.runs
        ],
    )


@app.command()
def export(
    to: Annotated[
        Path, typer.Option("--to", help="Folder to write to: a new one, or an earlier export.")
    ],
    customer: Annotated[
        int | None,
        typer.Option("--customer", min=1, help="One customer's rows only, fit for sharing."),
    ] = None,
    since: Annotated[
        datetime | None,
        typer.Option("--since", formats=["%Y-%m-%d"], help="Only this UTC date and later."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write every mart of the newest snapshot as Parquet, with a manifest of what is in it."""
    from orchestration.export import export as write_export

    done = write_export(
        read_settings(),
        to,
        customer_id=customer,
        since=since.date() if since else None,
        progress=lambda file: err.print(f"{file.file:<36} {file.rows:>12} rows", markup=False),
    )
    if as_json:
        _print_json(dataclasses.asdict(done))
    else:
        rows = sum(file.rows for file in done.files)
        out.print(f"{len(done.files)} files, {rows} rows, snapshot {done.snapshot_id}, in {to}")


@app.command()
def sql(
    query: Annotated[
        str | None, typer.Argument(help="One query; without it, a prompt, or standard input.")
    ] = None,
    written_as: Annotated[
        Literal["table", "csv", "json"],
        typer.Option("--format", help="How the answer is written."),
    ] = "table",
) -> None:
    """Ask the newest snapshot in SQL, read-only: one query, or a prompt."""
    from orchestration.reading import open_snapshot
    from orchestration.sql_shell import Shell, read_line_from_terminal

    with open_snapshot(read_settings()) as snapshot:
        shell = Shell(snapshot, sys.stdout, written_as)
        if query is not None:
            shell.answer(query)
        elif sys.stdin.isatty():
            shell.converse(read_line_from_terminal)
        else:
            shell.answer(sys.stdin.read())


@keys_app.command("create")
def keys_create(
    customer: Annotated[int, typer.Option("--customer", min=1, help="Whose data it opens.")],
    name: Annotated[str, typer.Option("--name", help="What the key is for.")],
    expires: Annotated[
        datetime | None,
        typer.Option("--expires", help="When it stops working, UTC where no offset is given."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a key. It is printed once, alone, on standard output, and stored nowhere."""
    settings = read_settings()
    expires_at = expires.replace(tzinfo=expires.tzinfo or UTC) if expires else None
    key_id, key = _key_store(settings).create(customer, name, expires_at)
    if as_json:
        _print_json({"key_id": key_id, "customer_id": customer, "key": key})
    else:
        out.print(key)
        err.print(f"Key {key_id} for customer {customer}. It is not shown again.")


@keys_app.command("list")
def keys_list(as_json: AsJson = False) -> None:
    """List the keys; never what they are."""
    records = _key_store(read_settings()).list()
    if as_json:
        _print_json([dataclasses.asdict(record) for record in records])
    else:
        _print_table(
            "API keys",
            ["id", "customer_id", "name", "created_at", "expires_at", "revoked_at"],
            [dataclasses.astuple(record) for record in records],
        )


@keys_app.command("revoke")
def keys_revoke(key_id: Annotated[int, typer.Argument(help="Its number in the list.")]) -> None:
    """Revoke a key: it stops working at once."""
    if not _key_store(read_settings()).revoke(key_id):
        err.print(f"[red]error:[/red] there is no working key {key_id}: see `agentstats keys list`")
        raise typer.Exit(1)
    err.print(f"Key {key_id} is revoked.")


def _run(settings: Settings, job: JobName, *, full_refresh: bool) -> dict[str, Any]:
    """Run a job; return what its record says. Ends the program with 1 where it failed."""
    from orchestration.jobs import run_job
    from orchestration.ledger import Ledger

    outcome = run_job(settings, job.value, full_refresh=full_refresh)
    if not outcome.succeeded:
        err.print("[red]error:[/red] ", end="", markup=True)
        err.print(f"{job.value}: {outcome.problem}", markup=False)
        raise typer.Exit(1)
    ledger = Ledger(settings.ledger_path)
    try:
        newest = ledger.runs(1)[0]
    finally:
        ledger.close()
    err.print(f"{job.value}: done. {json.dumps(newest.detail)}", markup=False)
    return {"job": job.value, "status": newest.status, **newest.detail}


def _serve(settings: Settings) -> None:
    from api.server import serve as serve_api

    serve_api(settings)


def _key_store(settings: Settings) -> Any:
    from api.keys import KeyStore

    return KeyStore(settings.keys_path, clock=settings.clock)


def _print_json(report: Any) -> None:
    out.print_json(json.dumps(report, default=_json_value))


def _json_value(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return str(value)


def _print_table(title: str, columns: list[str], rows: list[tuple[Any, ...]]) -> None:
    if not rows:
        return
    table = Table(title=title, title_justify="left", show_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row))
    out.print(table)


def _log_to_stderr() -> None:
    """Log lines are for people at a terminal, and for machines everywhere else."""
    is_terminal = sys.stderr.isatty()
    renderer: Callable[..., Any] = (
        structlog.dev.ConsoleRenderer() if is_terminal else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
