"""Commands that show that it adds up: the recount, and what was run, waits and was rejected."""

from __future__ import annotations

import dataclasses
import json

import typer

from orchestration.cli.output import AsJson, err, out, print_json, print_table
from orchestration.settings import read_settings


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
        print_json({"adds_up": proof.adds_up, **dataclasses.asdict(proof)})
    elif proof.adds_up:
        out.print(
            f"It adds up: {proof.events} events in {proof.groups} groups of stream, customer and "
            f"date, from {proof.files} files; no difference."
        )
    else:
        print_table(
            "Groups that differ",
            ["stream", "customer_id", "occurred_date", "accepted", "in_marts"],
            [dataclasses.astuple(difference) for difference in proof.differences],
        )
        print_table(
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


def status(as_json: AsJson = False) -> None:
    """Say what was run, how fresh the data is, what waits and what was rejected."""
    from orchestration.status import gather

    report = gather(read_settings())
    if as_json:
        print_json(dataclasses.asdict(report))
        return
    out.print(f"Home          {report.home}")
    out.print(f"Now           {report.now:%Y-%m-%d %H:%M:%S} UTC")
    out.print(f"Data as of    {report.data_as_of or 'nothing loaded yet'}")
    out.print(f"Snapshot      {report.snapshot or 'none published yet'}")
    out.print(f"Files waiting {report.files_waiting}, failed {report.files_failed}")
    for each in report.freshness:
        out.print(f"{each.check:<25}{each.problem or f'yes, {each.age_hours:g} hours old'}")
    for row_source in report.streams:
        out.print(
            f"{row_source.stream:<20} {row_source.files} files: {row_source.rows_read} read = "
            f"{row_source.accepted} accepted + {row_source.duplicates} duplicates + "
            f"{row_source.rejected} rejected"
        )
    print_table(
        "Rejected rows by reason",
        ["stream", "reason", "rows"],
        [dataclasses.astuple(reason) for reason in report.rejected],
    )
    print_table(
        "Last runs",
        ["job", "started_at", "ended_at", "status", "detail"],
        [
            (run.job, run.started_at, run.ended_at, run.status, json.dumps(run.detail))
            for run in report.runs
        ],
    )
