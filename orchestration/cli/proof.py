"""Commands that prove and report: the recount, and what was run, waits and was rejected."""

from __future__ import annotations

import dataclasses
import shlex

import typer

from orchestration.cli.output import AsJson, err, out, print_json, print_line, print_table
from orchestration.cli.writing import alone
from orchestration.contract.shown import one_line
from orchestration.monitoring.problems import what_was_done
from orchestration.settings import read_settings
from orchestration.storage.ledger import Run
from orchestration.storage.ledger.losses import LostFile
from orchestration.warehouse.reconciliation import (
    Difference,
    FileDifference,
    IdOnTwoDates,
    Reconciliation,
    SumDifference,
)

# Of a terminal that was not widened.
_NAMES_SHOWN = 20
_WIDTH = 80


def reconcile(as_json: AsJson = False) -> None:
    """Recount marts, lake and deliveries. Ends with 1 and a table where they differ."""
    from orchestration import pipeline
    from orchestration.warehouse import reconciliation

    settings = read_settings()
    with alone(settings, task="reconcile") as ledger:
        pipeline.clear_scratch(settings)
        proof = reconciliation.reconcile(settings, ledger)
    if as_json:
        print_json({"adds_up": proof.adds_up, **dataclasses.asdict(proof)})
    else:
        _print_proof(proof)
    if not proof.adds_up:
        raise typer.Exit(1)


def _print_proof(proof: Reconciliation) -> None:
    if proof.adds_up:
        out.print(
            f"It adds up: {proof.events - proof.withdrawn_in_lake} events in {proof.groups} groups "
            f"of stream, customer and date, from {proof.files} files; no difference."
        )
        out.print(
            f"{proof.delivered} rows of event streams delivered = {proof.events + proof.lost} "
            f"accepted + {proof.duplicates} duplicates + {proof.rejected} rejected"
        )
    if proof.withdrawn:
        out.print(f"{proof.withdrawn} of the accepted rows withdraw an event")
    if proof.lost_files:
        out.print(f"{proof.lost} accepted events are lost with lake files that were given up")
    out.print(
        f"Anomalies: {proof.total_mismatches} total_mismatch, "
        f"{proof.conflicting_duplicates} conflicting_duplicate, "
        f"{proof.received_in_future} received_in_future, "
        f"{proof.ids_on_two_dates} id_on_two_dates"
    )
    print_table(
        "Ids delivered with two dates (the first of them)",
        [field.name for field in dataclasses.fields(IdOnTwoDates)],
        [dataclasses.astuple(each) for each in proof.on_two_dates],
    )
    print_table(
        "Lake files that were given up",
        [field.name for field in dataclasses.fields(LostFile)],
        [dataclasses.astuple(each) for each in proof.lost_files],
    )
    print_table(
        "Sums that differ between landing, lake and marts",
        [field.name for field in dataclasses.fields(SumDifference)],
        [dataclasses.astuple(difference) for difference in proof.sum_differences],
        unbroken=4,
    )
    print_table(
        "Counts of events that differ between lake and marts",
        [field.name for field in dataclasses.fields(Difference)],
        [dataclasses.astuple(difference) for difference in proof.differences],
        unbroken=3,
    )
    print_table(
        "Files whose counts do not add up",
        [field.name for field in dataclasses.fields(FileDifference)],
        [dataclasses.astuple(difference) for difference in proof.file_differences],
    )
    if not proof.adds_up:
        err.print(
            "If files were loaded since the last hourly run, run that first; "
            "`agentstats run hourly --full-refresh` rebuilds every mart from the lake."
        )


def one_line_of(run: Run) -> str:
    """A run in a line of a window: when it began, how it ended, and why or with what."""
    if run.status == "running":
        what = f"process {run.pid}"
    elif run.status == "succeeded":
        what = what_was_done(run.detail)
    else:
        what = str(run.detail.get("failure", "its process ended before it could say why"))
    return one_line(f"{run.started_at:%Y-%m-%d %H:%M} {run.job} {run.status}: {what}", _WIDTH)


def status(as_json: AsJson = False) -> None:
    """Say what was run, how fresh the data is, what waits and what was rejected."""
    from orchestration.monitoring.status import gather

    report = gather(read_settings())
    if as_json:
        print_json(dataclasses.asdict(report))
        return
    print_line(f"Home          {report.home}")
    if report.open_to_others:
        opened = shlex.join(report.open_to_others)
        print_line(f"Permissions   other users can open it; run: chmod go-rwx {opened}")
    print_line(f"Now           {report.now:%Y-%m-%d %H:%M:%S} UTC")
    print_line(f"Data as of    {report.data_as_of or 'nothing loaded yet'}")
    print_line(f"Snapshot      {report.snapshot or 'none published yet'}")
    print_line(f"Files waiting {report.files_waiting}, failed {report.files_failed}")
    for each in report.freshness:
        print_line(f"{each.check:<25}{each.problem or f'yes, {each.age_hours:g} hours old'}")
    for row_source in report.streams:
        withdrawn = f" ({row_source.withdrawn} withdrawn)" if row_source.withdrawn else ""
        print_line(
            f"{row_source.stream:<20} {row_source.files} files: {row_source.rows_read} read = "
            f"{row_source.accepted} accepted{withdrawn} + {row_source.duplicates} duplicates + "
            f"{row_source.rejected} rejected ({row_source.rejected_share:.1%})"
        )
    print_table(
        "Rejected rows by reason",
        ["stream", "reason", "rows"],
        [dataclasses.astuple(reason) for reason in report.rejected],
    )
    for file in report.set_aside:
        print_line(f"Set aside     {file.path}: {file.why}")
    for stream, names in report.unknown_columns.items():
        shown = ", ".join(names[:_NAMES_SHOWN])
        more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
        print_line(f"Unknown columns of {stream}: {shown}{more}")
    for each_file in report.passed_over:
        print_line(f"Skipped        {each_file.path}: {each_file.why}")
    for customer_id, problem in report.invalid_policies.items():
        print_line(f"Policy        of customer {customer_id}: {problem}")
    for customer_id, hold_from in report.legal_holds.items():
        print_line(f"Legal hold    of customer {customer_id}: its rows from {hold_from} on stay")
    if report.unknown_time_zones:
        print_line(
            f"Time zones    {report.unknown_time_zones} rows of customers name none that there is: "
            "taken as null"
        )
    for unpriced in report.unpriced_models[:_NAMES_SHOWN]:
        print_line(
            f"No price      {unpriced.provider} {unpriced.model}: {unpriced.unpriced_tokens} tokens"
        )
    if len(report.unpriced_models) > _NAMES_SHOWN:
        others = len(report.unpriced_models) - _NAMES_SHOWN
        print_line(f"No price      {others} more names, in marts.unpriced_models")
    for overlap in report.overlapping_prices:
        print_line(f"Prices        {overlap}")
    if report.runs:
        print_line("Last runs")
    for run in report.runs:
        print_line(one_line_of(run))
