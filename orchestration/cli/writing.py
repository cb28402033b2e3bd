"""The writer lock, for a command that is no job."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from orchestration.settings import Settings

if TYPE_CHECKING:
    from orchestration.storage.ledger import Ledger


@contextmanager
def alone(settings: Settings, *, task: str) -> Iterator[Ledger]:
    """The ledger, while nothing else writes: a run in the midst of it would change what is looked
    at. `task` is the name of it to those who have to wait. Raises `WriterBusy`."""
    from orchestration.storage.ledger import Ledger
    from orchestration.storage.writer_lock import writer_lock

    with (
        writer_lock(
            settings.home,
            task=task,
            now=settings.clock(),
            wait_seconds=settings.lock_wait_seconds,
        ),
        closing(Ledger(settings.ledger_path)) as ledger,
    ):
        yield ledger
