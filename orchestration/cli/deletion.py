"""Commands that delete: what retention would take, and the erasure of a customer."""

from __future__ import annotations

import dataclasses
import uuid
from typing import Annotated

import typer

from orchestration.cli.output import AsJson, complain, err, out, print_json, print_table
from orchestration.cli.writing import alone
from orchestration.contract.shown import inert_line
from orchestration.contract.streams import MAX_KEY
from orchestration.settings import read_settings


def retention(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only list what would be deleted.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say what the next nightly run would delete, by customer and table."""
    if not dry_run:
        complain(
            "this command deletes nothing: `agentstats retention --dry-run` says what would "
            "go, `agentstats run nightly` deletes it",
        )
        raise typer.Exit(2)
    from orchestration.retention.nightly import plan_retention

    settings = read_settings()
    with alone(settings, task="retention --dry-run") as ledger:
        plan = plan_retention(settings, ledger)
    allowed = settings.retention_max_delete_fraction
    if as_json:
        print_json(
            {
                "now": settings.clock(),
                "rows": plan.rows,
                "rows_in_lake": plan.rows_in_lake,
                "rows_at_stake": plan.rows_at_stake,
                "share": round(plan.share, 6),
                "allowed_share": allowed,
                "is_allowed": plan.share <= allowed,
                "customers_without_policy": list(plan.customers_without_policy),
                "invalid_policies": dict(plan.invalid_policies),
                "legal_holds": dict(plan.hold_from),
                "groups": [dataclasses.asdict(group) for group in plan.groups],
            }
        )
        return
    print_table(
        "Rows that would be deleted",
        ["customer_id", "table", "older than (UTC)", "rows"],
        [
            (group.customer_id, group.table_name, f"{group.cutoff:%Y-%m-%d %H:%M}", group.rows)
            for group in plan.groups
        ],
    )
    out.print(
        f"{plan.rows} of {plan.rows_in_lake} rows would be deleted; {plan.refused} of them were "
        f"rejected as expired when they landed. Without those that is {plan.share:.1%}."
    )
    if plan.share > allowed:
        err.print(
            "The nightly run would delete nothing: that is more than "
            f"AGENTSTATS_RETENTION_MAX_DELETE_FRACTION={allowed:g} allows.",
        )
    for customer_id in plan.customers_without_policy:
        err.print(f"Customer {customer_id} has no row in customers: nothing of it is deleted.")
    for customer_id, problem in plan.invalid_policies.items():
        err.print(f"Customer {customer_id}: {problem}: nothing of it is deleted.")
    for customer_id, hold_from in plan.hold_from.items():
        err.print(
            f"Customer {customer_id} is under a legal hold: its rows from {hold_from} on stay."
        )


def erase(
    customer: Annotated[int, typer.Option("--customer", min=1, max=MAX_KEY, help="Who is erased.")],
    as_json: AsJson = False,
) -> None:
    """Remove one customer from every file, and prove it by a search. Ends with 1 if any is left."""
    from orchestration.erase import erase as erase_customer

    settings = read_settings()
    with alone(settings, task=f"erase --customer {customer}") as ledger:
        done = erase_customer(
            settings,
            ledger,
            customer,
            run_id=str(uuid.uuid4()),
            report=lambda line: err.print(line),
        )
    proof = done.proof
    if as_json:
        print_json(dataclasses.asdict(done))
    else:
        out.print(
            f"Customer {customer} is erased: {done.rows_deleted} rows, {done.keys_deleted} keys, "
            f"{len(done.files_deleted)} files."
        )
        out.print(
            f"Proof: {proof.files_searched} files ({proof.bytes_searched} bytes) searched for rows "
            f"of the customer and {proof.words_searched} words of its own; "
            f"{len(proof.hits)} hits."
        )
        print_table(
            "Places that still name the customer",
            ["file", "where", "found"],
            [dataclasses.astuple(h) for h in proof.hits],
        )
    for path in proof.unfinished:
        err.print(f"Check by hand, because its producer has not finished it: {inert_line(path)}")
    if proof.hits:
        complain(
            "something of the customer is left: delete the files listed, or run this again",
        )
        raise typer.Exit(1)
