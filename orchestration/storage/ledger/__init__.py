"""The record of what was done: one row for each file delivered, and what came of it.

`ledger.db` is SQLite, because it must take a row at a time, survive `kill -9`, and be there when
the warehouse is not: the warehouse can be rebuilt from the lake, the ledger cannot. Whatever is
written to the lake counts only once the ledger says so, in one transaction.
"""

from __future__ import annotations

from orchestration.storage.ledger.attempts import AttemptRecords
from orchestration.storage.ledger.connection import LedgerUnusable
from orchestration.storage.ledger.customers import CustomerRecords, EventTimes
from orchestration.storage.ledger.deletions import Deletion
from orchestration.storage.ledger.lake import LakeFile, LakeRecords
from orchestration.storage.ledger.loads import Load, LoadRecords
from orchestration.storage.ledger.losses import LossRecords
from orchestration.storage.ledger.runs import Run, RunRecords
from orchestration.storage.ledger.source import SourceRecords

__all__ = ["Deletion", "EventTimes", "LakeFile", "Ledger", "LedgerUnusable", "Load", "Run"]


class Ledger(
    AttemptRecords,
    LoadRecords,
    LakeRecords,
    CustomerRecords,
    LossRecords,
    RunRecords,
    SourceRecords,
):
    """Open `ledger.db` under the home folder, made if it is not there."""
