"""Commands that show that it adds up: the recount, and what was run, waits and was rejected."""

from __future__ import annotations

import dataclasses
import json

import typer

from orchestration.cli.output import AsJson, err, out, print_json, print_table
from orchestration.reconciliation import Difference, FileDifference, IdOnTwoDates, Reconciliation
from orchestration.settings import read_settings


def reconcile(as_json: AsJson = False) -> None:
    """Recount marts, lake and deliveries. Ends with 1 and a table where they differ."""
    from orchestration import pipeline, reconciliation
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
            proof = reconciliation.reconcile(settings, ledger)
        finally:
            ledger.close()
    if as_json:
        print_json({"adds_up": proof.adds_up, **dataclasses.asdict(proof)})
    else:
        _print_proof(proof)
    if not proof.adds_up:
        raise typer.Exit(1)


def _print_proof(proof: Reconciliation) -> None:
    if proof.adds_up:
        out.print(
            f"It adds up: {proof.events} events in {proof.groups} groups of stream, customer and "
            f"date, from {proof.files} files; no difference."
        )
        out.print(
            f"{proof.delivered} rows of event streams delivered = {proof.events} accepted + "
            f"{proof.duplicates} duplicates + {proof.rejected} rejected"
        )
    out.print(
        f"Anomalies: {proof.total_mismatches} total_mismatch, "
        f"{proof.conflicting_duplicates} conflicting_duplicate, "
        f"{proof.ids_on_two_dates} id_on_two_dates"
    )
    print_table(
        "Ids on two dates (the first of them)",
        [field.name for field in dataclasses.fields(IdOnTwoDates)],
        [dataclasses.astuple(each) for each in proof.on_two_dates],
    )
    print_table(
        "Groups that differ",
        [field.name for field in dataclasses.fields(Difference)],
        [dataclasses.astuple(difference) for difference in proof.differences],
        unbroken=3,
    )
    print_table(
        "Files that do not add up",
        [field.name for field in dataclasses.fields(FileDifference)],
        [dataclasses.astuple(difference) for difference in proof.file_differences],
    )
    if not proof.adds_up:
        err.print(
            "If files were loaded since the last hourly run, run that first; "
            "`agentstats run hourly --full-refresh` rebuilds every mart from the lake."
        )


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
