"""Commands for analysts: export the marts, ask them in SQL."""

from __future__ import annotations

import dataclasses
import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import typer

from orchestration.cli.output import AsJson, err, out, print_json
from orchestration.contract.streams import MAX_KEY
from orchestration.settings import read_settings


def export(
    to: Annotated[
        Path, typer.Option("--to", help="Folder to write to: a new one, or an earlier export.")
    ],
    customer: Annotated[
        int | None,
        typer.Option(
            "--customer", min=1, max=MAX_KEY, help="One customer's rows only, fit for sharing."
        ),
    ] = None,
    since: Annotated[
        datetime | None,
        typer.Option("--since", formats=["%Y-%m-%d"], help="Only this UTC date and later."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write every mart of the newest snapshot as Parquet, with a manifest of what is in it."""
    from orchestration.publication.export import export as write_export

    done = write_export(
        read_settings(),
        to,
        customer_id=customer,
        since=since.date() if since else None,
        progress=lambda file: err.print(f"{file.file:<36} {file.rows:>12} rows"),
    )
    if as_json:
        print_json(dataclasses.asdict(done))
    else:
        rows = sum(file.rows for file in done.files)
        out.print(f"{len(done.files)} files, {rows} rows, snapshot {done.snapshot_id}, in {to}")


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
    from orchestration.cli.sql_shell import Shell, read_line_from_terminal
    from orchestration.publication.reading import open_snapshot

    with open_snapshot(read_settings()) as snapshot:
        shell = Shell(snapshot, sys.stdout, written_as)
        if query is not None:
            shell.answer(query)
        elif sys.stdin.isatty():
            shell.converse(read_line_from_terminal)
        else:
            shell.answer(sys.stdin.read())
