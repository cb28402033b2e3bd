"""The book of what was done: one row for each file delivered, and what came of it.

`ledger.db` is SQLite, because it must take a row at a time, survive `kill -9`, and be there when
the warehouse is not: the warehouse can be rebuilt from the lake, the ledger cannot. Whatever is
written to the lake counts only once the ledger says so, in one transaction.
"""

from __future__ import annotations

from orchestration.storage.ledger.attempts import AttemptBook
from orchestration.storage.ledger.book import LedgerUnusable
from orchestration.storage.ledger.customers import CustomerBook, EventTimes
from orchestration.storage.ledger.deletions import Deletion
from orchestration.storage.ledger.lake import LakeBook, LakeFile
from orchestration.storage.ledger.loads import Load, LoadBook
from orchestration.storage.ledger.losses import LossBook
from orchestration.storage.ledger.runs import Run, RunBook
from orchestration.storage.ledger.source import SourceBook

__all__ = ["Deletion", "EventTimes", "LakeFile", "Ledger", "LedgerUnusable", "Load", "Run"]


class Ledger(AttemptBook, LoadBook, LakeBook, CustomerBook, LossBook, RunBook, SourceBook):
    """Open `ledger.db` under the home folder, made if it is not there."""
