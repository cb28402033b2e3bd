"""`agentstats erase`: everything of one customer, everywhere, and the proof of it.

The erasure is recorded first, so that from then on landing refuses whatever is delivered again;
each part after that can be done twice, so one that was cut off is finished by asking again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from api.auth.keys import KeyStore
from orchestration import pipeline
from orchestration.errors import AgentstatsError
from orchestration.lake.deletion import Progress, delete_from_lake
from orchestration.lake.deletion_plan import FOREVER, erasure_rule, make_plan
from orchestration.lake.policy import midnight
from orchestration.landing.files import FAILED_FOLDER, LOADED_FOLDER
from orchestration.landing.leftovers import clear_unknown
from orchestration.retention import search
from orchestration.retention.leftovers import remove_exports
from orchestration.retention.quarantine import clean_quarantine
from orchestration.settings import Settings
from orchestration.storage.ledger import Deletion, Ledger
from orchestration.warehouse import reconciliation, warehouse_file

EVERYTHING = "customer"
KEYS = "api_keys"

log = structlog.get_logger()


class ErasureIncomplete(AgentstatsError):
    """The erasure could not be finished or proved; the message says what is left to do."""


class LegalHold(AgentstatsError):
    """The customer is under a legal hold, so nothing of it may go; the message says since when."""


@dataclass(frozen=True)
class Erasure:
    """What went, and the proof. `files_deleted`, or written anew, are below the home folder."""

    run_id: str
    customer_id: int
    rows_deleted: int
    keys_deleted: int
    files_deleted: Sequence[str]
    snapshot_id: str | None
    proof: search.Proof


def erase(
    settings: Settings,
    ledger: Ledger,
    customer_id: int,
    *,
    run_id: str,
    report: Callable[[str], None] = lambda line: None,
) -> Erasure:
    """Remove the customer from every file below the home folder.

    Whatever waits in the landing folder is landed first. The rest of this UTC date belongs to the
    erasure: what occurred before the next midnight is refused from now on, and so is a name that
    was updated before then; later data of the customer is accepted again.

    Raises `LegalHold` before anything is erased, `ErasureIncomplete` where a part cannot be done.
    """
    now = settings.clock()
    ledger.start_run(run_id=run_id, job="erase", pid=os.getpid(), at=now)
    succeeded = False
    try:
        done = _erase(settings, ledger, customer_id, run_id, report)
        succeeded = not done.proof.hits
    finally:
        ledger.end_run(run_id, succeeded=succeeded, at=settings.clock())
    return done


def _erase(
    settings: Settings,
    ledger: Ledger,
    customer_id: int,
    run_id: str,
    report: Callable[[str], None],
) -> Erasure:
    needles = search.words_of(settings, ledger, customer_id)
    pipeline.clear_scratch(settings)
    pipeline.land(settings, ledger)
    hold_from = pipeline.policies(settings, ledger).hold_from.get(customer_id)
    if hold_from is not None:
        raise LegalHold(
            f"nothing was erased: customer {customer_id} is under a legal hold from {hold_from} "
            "on, by its row in the stream legal_holds. When the hold has ended, drop a row of the "
            "customer with released true and a later updated_at, and run this again"
        )
    clear_unknown(settings, ledger)
    kept_from = midnight(settings.clock()) + timedelta(days=1)
    announced = _recorded(settings, customer_id, EVERYTHING, kept_from, run_id, rows=0)
    ledger.record_deletions([announced])

    def say(progress: Progress) -> None:
        where = f"{progress.folder} {progress.occurred_date or ''}".strip()
        report(f"lake: {progress.step}/{progress.steps} {where}: {progress.rows} rows")

    rule = erasure_rule(customer_id, kept_from)
    plan = make_plan(settings, ledger, rule)
    rows = delete_from_lake(settings, ledger, plan, run_id=run_id, report=say)
    ledger.delete_event_times(customer_id)
    keys = KeyStore(settings.keys_path).remove_customer(customer_id)
    if keys:
        ledger.record_deletions([replace(announced, table_name=KEYS, rows=keys)])
    report(f"keys: {keys} deleted")
    report("rebuilding the marts")
    built = pipeline.roll_up(settings, ledger)
    if built.failed:
        raise ErasureIncomplete(
            "the lake is free of the customer, but the marts could not be rebuilt: "
            + "; ".join(str(node.message) for node in built.failed)
            + ". Run this again when that is mended"
        )
    proof_of_sums = reconciliation.reconcile(settings, ledger)
    if not proof_of_sums.adds_up:
        raise ErasureIncomplete(
            "the lake is free of the customer, but the marts do not add up, so nothing was "
            "published; `agentstats reconcile` lists what differs. Run this again after that"
        )
    files = _delete_files(settings, customer_id)
    files += clean_quarantine(settings, ledger, rule, run_id=run_id)
    for path in files:
        report(f"file deleted: {path}")
    warehouse_file.rewrite(settings, ledger)
    snapshot = pipeline.publish_if_changed(settings, ledger, run_id=run_id)
    ledger.vacuum()
    report("searching every file for what may be left")
    proof = search.search(settings, customer_id, needles)
    return Erasure(
        run_id,
        customer_id,
        rows,
        keys,
        files,
        snapshot.snapshot_id if snapshot else None,
        proof,
    )


def _recorded(
    settings: Settings,
    customer_id: int,
    table: str,
    kept_from: datetime,
    run_id: str,
    *,
    rows: int,
) -> Deletion:
    return Deletion(
        run_id, customer_id, table, "erasure", kept_from, rows, 0, None, None, settings.clock()
    )


def _delete_files(settings: Settings, customer_id: int) -> list[str]:
    """Delete what holds the customer, or may: landed files, files set aside, exports, the demo's
    note. Landed files are in the lake; whose rows are in files set aside cannot be said."""
    deleted = []
    for folder in (LOADED_FOLDER, FAILED_FOLDER):
        for path in sorted((settings.landing / folder).rglob("*")):
            if path.is_file():
                path.unlink()
                deleted.append(str(path.relative_to(settings.home)))
    note = settings.home / "demo.json"
    if note.exists() and json.loads(note.read_text()).get("customer_id") == customer_id:
        note.unlink()
        deleted.append(note.name)
    return deleted + remove_exports(settings, {customer_id: FOREVER})
