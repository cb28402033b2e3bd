"""Commands about the lake's files: whether they are what was booked, and giving one up."""

from __future__ import annotations

import dataclasses
from contextlib import closing

import typer

from orchestration.cli.output import AsJson, err, out, print_json, print_table
from orchestration.settings import read_settings

lake_app = typer.Typer(help="The lake's files, to the byte.", no_args_is_help=True)


@lake_app.command()
def verify(as_json: AsJson = False) -> None:
    """Compare every file of the lake with the ledger, to the byte. Ends with 1 and a table where
    they differ; changes nothing."""
    from orchestration.lake.verified import verify_lake
    from orchestration.ledger import Ledger
    from orchestration.writer_lock import writer_lock

    settings = read_settings()
    # A run in the midst of it would take files away under the look.
    with (
        writer_lock(
            settings.home,
            task="lake verify",
            now=settings.clock(),
            wait_seconds=settings.lock_wait_seconds,
        ),
        closing(Ledger(settings.ledger_path)) as ledger,
    ):
        verification = verify_lake(settings.lake, ledger)
    if as_json:
        print_json({"is_whole": not verification.found, **dataclasses.asdict(verification)})
    else:
        out.print(
            f"{verification.ok} of {verification.files} files of the lake "
            f"({verification.bytes} bytes) are what the ledger booked."
        )
        print_table(
            "Files that are not",
            ["path", "state", "problem", "rows"],
            [(found.path, found.state, found.problem, found.rows) for found in verification.found],
        )
    if verification.found:
        err.print(
            "Restore what is damaged or missing from the backup of lake/. Where there is none, "
            "`agentstats lake forget FILE` books the loss; its events may be dropped again.",
            markup=False,
        )
        raise typer.Exit(1)
