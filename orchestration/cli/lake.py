"""Commands about the lake's files: comparing them with the ledger, and giving one up."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from orchestration.cli.output import AsJson, err, out, print_json, print_table
from orchestration.cli.writing import alone
from orchestration.settings import read_settings

lake_app = typer.Typer(
    help="Compare the lake's files with the ledger, or give up lost ones.", no_args_is_help=True
)


@lake_app.command()
def verify(as_json: AsJson = False) -> None:
    """Compare every file of the lake with the ledger, to the byte. Ends with 1 and a table where
    they differ; changes nothing."""
    from orchestration.lake.verified import verify_lake

    settings = read_settings()
    with alone(settings, task="lake verify") as ledger:
        verification = verify_lake(settings.lake, ledger)
    if as_json:
        print_json({"is_whole": not verification.found, **dataclasses.asdict(verification)})
    else:
        out.print(
            f"{verification.ok} of {verification.files} files of the lake "
            f"({verification.bytes} bytes) are what the ledger recorded."
        )
        print_table(
            "Damaged, missing and unknown files",
            ["path", "state", "problem", "rows"],
            [(found.path, found.state, found.problem, found.rows) for found in verification.found],
        )
    if verification.found:
        err.print(
            "Restore what is damaged or missing from the backup of lake/. Where there is none, "
            "`agentstats lake forget FILE` records the loss; its events may be dropped again.",
        )
        raise typer.Exit(1)


@lake_app.command()
def forget(
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE…", help="Paths below lake/, as `verify` names them."),
    ],
    yes: Annotated[bool, typer.Option("--yes", help="Without asking for confirmation.")] = False,
    as_json: AsJson = False,
) -> None:
    """Give up lake files that are damaged or missing: record the loss, and have their dates rebuilt
    by the next run."""
    from orchestration.lake.forgetting import forget as forget_files
    from orchestration.lake.forgetting import loss_of

    settings = read_settings()
    with alone(settings, task="lake forget") as ledger:
        lost = loss_of(settings, ledger, [_below(settings.lake, file) for file in files])
        if not as_json:
            print_table(
                "Files to give up",
                ["path", "problem", "rows"],
                [(fault.file.path, fault.problem, fault.file.rows) for fault in lost.faults],
            )
            print_table(
                "Data that is in no other file, and is lost",
                ["stream", "customer_id", "occurred_date", "measure", "lost"],
                [dataclasses.astuple(amount) for amount in lost.amounts],
            )
        if not yes and not typer.confirm("Record this as lost?", err=True):
            raise typer.Exit(1)
        forget_files(settings, ledger, lost)
    if as_json:
        print_json(
            {
                "files": [dataclasses.asdict(fault.file) for fault in lost.faults],
                "lost": [dataclasses.asdict(amount) for amount in lost.amounts],
            }
        )
    err.print(
        "Recorded. The next run rebuilds what is left of the dates; `agentstats reconcile` shows "
        "the loss. What was delivered may be dropped again.",
    )


def _below(lake: Path, file: str) -> str:
    """The path below the lake, of one that may be given from anywhere."""
    path = Path(file).absolute()
    return str(path.relative_to(lake.absolute())) if lake.absolute() in path.parents else file
