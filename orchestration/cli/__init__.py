"""The command line: `agentstats`. Imports everything; nothing imports it."""

from __future__ import annotations

import sqlite3
import sys
from importlib import metadata
from typing import Annotated

import typer

from orchestration.cli import analysts, deletion, jobs, proof
from orchestration.cli.keys import keys_app
from orchestration.cli.lake import lake_app
from orchestration.cli.output import complain, log_to_stderr
from orchestration.cli.source import source_app
from orchestration.errors import FAILED, AgentstatsError

app = typer.Typer(
    name="agentstats",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _say_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"agentstats {metadata.version('agentstats')}")
        raise typer.Exit


@app.callback()
def options(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_say_version, is_eager=True, help="Say which version, and end."
        ),
    ] = False,
) -> None:
    """Usage and metrics warehouse for fleets of AI agents.

    Data is in AGENTSTATS_HOME; where that is unset, in `data` of the checkout, or in
    ~/.local/share/agentstats if it was installed from a wheel.
    """


for command in (
    jobs.demo,
    jobs.run,
    jobs.serve,
    jobs.dagster,
    proof.reconcile,
    proof.status,
    deletion.retention,
    deletion.erase,
    analysts.export,
    analysts.sql,
):
    app.command()(command)
app.add_typer(keys_app, name="keys")
app.add_typer(lake_app, name="lake")
app.add_typer(source_app, name="source")


def main() -> None:
    """Entry point: every foreseeable problem ends in one line that says what to do."""
    from api.server.listening import CannotListen
    from orchestration.monitoring.problems import in_its_words

    log_to_stderr()
    try:
        app()
    except AgentstatsError as problem:
        complain(problem, about=problem.about)
        sys.exit(problem.exit_code)
    except CannotListen as problem:
        # An error of the API, which imports nothing of the pipeline.
        complain(problem)
        sys.exit(FAILED)
    except (OSError, sqlite3.OperationalError) as error:
        # A disk that is full, or not ours to write to.
        complain(in_its_words(error))
        sys.exit(FAILED)
