"""`agentstats source`: look at the source database, and read it by hand."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer

from orchestration.cli.output import AsJson, complain, out, print_json, print_table
from orchestration.cli.writing import alone
from orchestration.contract.streams import STREAMS, STREAMS_BY_NAME
from orchestration.settings import read_settings

source_app = typer.Typer(
    help="Look at the source database (AGENTSTATS_POSTGRES_URL), or read it now.",
    no_args_is_help=True,
)


@source_app.command("check")
def source_check(as_json: AsJson = False) -> None:
    """Say what would be read from the source, and how. Ends with 1 where something does not fit."""
    from orchestration.source.check import check

    report = check(read_settings())
    if as_json:
        print_json({"is_fit": report.is_fit, **dataclasses.asdict(report)})
    else:
        out.print(f"Source  {report.source}")
        print_table(
            "Streams",
            ["stream", "table", "kind", "rows, about", "next pull"],
            [
                (each.stream, each.table, each.kind, each.rows_estimated, each.next_pull)
                for each in report.streams
            ],
        )
        print_table(
            "Columns",
            ["stream", "column", "from", "type", "note"],
            [
                (each.stream, column.column, column.source_column, column.type, column.note)
                for each in report.streams
                for column in each.columns
            ],
        )
        print_table(
            "Tables and views that the role can read",
            ["table", "kind", "rows, about"],
            [dataclasses.astuple(table) for table in report.tables],
        )
        print_table(
            "Problems",
            ["stream", "mismatch"],
            [(each.stream, text) for each in report.streams for text in each.mismatches],
        )
    if not report.is_fit:
        raise typer.Exit(1)


@source_app.command("pull")
def source_pull(
    stream: Annotated[
        list[str] | None, typer.Option("--stream", help="Only this one; may be given again.")
    ] = None,
    from_start: Annotated[
        bool, typer.Option("--from-start", help="Read everything anew, not only what is new.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Read what is new in the source into the landing folder; `run hourly` does it too."""
    from orchestration.source.pull import pull

    unknown = sorted(set(stream or ()) - set(STREAMS_BY_NAME))
    if unknown:
        raise typer.BadParameter(
            f"{', '.join(unknown)} is no stream; streams are {', '.join(STREAMS_BY_NAME)}",
            param_hint="--stream",
        )
    settings = read_settings()
    settings.source_url()
    with alone(settings, task="source pull") as ledger:
        done = pull(
            settings,
            ledger,
            streams=[each for each in STREAMS if not stream or each.name in stream],
            from_start=from_start,
        )
    if as_json:
        print_json(dataclasses.asdict(done))
    else:
        print_table(
            "Pulled into the landing folder",
            ["stream", "files", "rows", "bytes", "seconds"],
            [dataclasses.astuple(each) for each in done.pulled],
        )
    for problem in done.problems:
        complain(problem)
    if done.problems:
        raise typer.Exit(1)
