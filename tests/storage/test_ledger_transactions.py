"""What a signal leaves of the ledger that comes while something is recorded."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from orchestration.storage.ledger import Ledger

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Interrupted:
    """A connection with a signal just before a statement, or right after it."""

    def __init__(self, connection: Any, statement: str, *, after: bool) -> None:
        self._connection = connection
        self._statement = statement
        self._after = after

    def execute(self, statement: str, *values: Any) -> Any:
        """As the connection does, but for that statement."""
        if statement == self._statement and not self._after:
            raise KeyboardInterrupt
        done = self._connection.execute(statement, *values)
        if statement == self._statement:
            raise KeyboardInterrupt
        return done

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


@pytest.mark.parametrize("statement", ["begin immediate", "commit"])
@pytest.mark.parametrize("after", [False, True])
def test_a_signal_leaves_no_transaction_open(tmp_path: Path, statement: str, after: bool) -> None:
    """So that the run can still be recorded as interrupted."""
    ledger = Ledger(tmp_path / "ledger.db")
    ledger.start_run(run_id="a", job="hourly", pid=1, at=NOW)
    whole = ledger._connection
    ledger._connection = cast(Any, Interrupted(whole, statement, after=after))
    with pytest.raises(KeyboardInterrupt):
        ledger.note_in_run("a", {"files": 3})
    ledger._connection = whole
    ledger.end_run("a", succeeded=False, at=NOW, interrupted=True)
    (run,) = ledger.runs(1)
    noted = {"files": 3} if statement == "commit" and after else {}
    assert (run.status, run.detail) == ("interrupted", noted)
    ledger.close()
