"""The command line: `agentstats`."""

from __future__ import annotations

import sqlite3
import sys

import typer

from orchestration.cli import analysts, deletion, jobs, proof
from orchestration.cli.keys import keys_app
from orchestration.cli.lake import lake_app
from orchestration.cli.output import complain, log_to_stderr
from orchestration.cli.source import source_app
from orchestration.settings import SettingsError

app = typer.Typer(
    name="agentstats",
    help="Usage and metrics warehouse for fleets of AI agents.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
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
    from api.listening import CannotListen
    from orchestration.dbt import DbtFailed
    from orchestration.lake.forgetting import NotToForget
    from orchestration.lake.verified import LakeDamaged
    from orchestration.ledger import LedgerUnusable
    from orchestration.problems import in_its_words
    from orchestration.reading import ReadingProblem
    from orchestration.reconciliation import NothingRolledUp
    from orchestration.retention.erasure import ErasureIncomplete
    from orchestration.rollups import WarehouseUnusable
    from orchestration.source.connection import SourceProblem
    from orchestration.spark.connection import SparkUnavailable
    from orchestration.writer_lock import WriterBusy

    log_to_stderr()
    try:
        app()
    except SettingsError as error:
        complain(error, about="setting")
        sys.exit(2)
    except (OSError, sqlite3.OperationalError) as error:
        # A disk that is full, or not ours to write to.
        complain(in_its_words(error))
        sys.exit(1)
    except (
        WriterBusy,
        WarehouseUnusable,
        SparkUnavailable,
        DbtFailed,
        ReadingProblem,
        LakeDamaged,
        NotToForget,
        LedgerUnusable,
        NothingRolledUp,
        ErasureIncomplete,
        SourceProblem,
        CannotListen,
    ) as problem:
        complain(problem)
        sys.exit(1)
