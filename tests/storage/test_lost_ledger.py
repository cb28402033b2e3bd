"""A ledger that is damaged or gone: the lake, which only it can tell about, is left alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from first_run import FirstRun
from installation import Installation, usage_event
from orchestration.cli import app
from orchestration.storage.ledger import Ledger, LedgerUnusable


def drop_one_event(installation: Installation) -> None:
    """One good event."""
    installation.drop("agent_usage_events", "a.ndjson", [usage_event(1)])


@pytest.fixture
def installation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first_run: FirstRun
) -> Installation:
    """One event in the lake, and another that waits."""
    installed = Installation(tmp_path / "home", monkeypatch, "2026-03-01T12:00:00Z")
    first_run(installed, drop_one_event)
    installed.drop("agent_usage_events", "b.ndjson", [usage_event(2)])
    return installed


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "missing or empty"),
        (b"", "missing or empty"),
        (b"garbage" * 1000, "damaged"),
    ],
)
def test_runs_stop_and_say_what_to_restore(
    installation: Installation, content: bytes | None, problem: str
) -> None:
    """Every time, not only the first; with the ledger back, the next run goes on."""
    path = installation.settings.ledger_path
    kept = path.read_bytes()
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    lake = {file: file.read_bytes() for file in installation.settings.lake.rglob("*.parquet")}
    assert lake
    for job in ("hourly", "nightly", "hourly"):
        outcome = installation.try_run(job)
        assert not outcome.succeeded
        assert problem in str(outcome.problem) and "Backup and restore" in str(outcome.problem)
    with pytest.raises(LedgerUnusable, match=problem):
        Ledger(path)
    assert {file: file.read_bytes() for file in lake} == lake
    path.write_bytes(kept)
    installation.run()
    assert installation.marts("select sum(message_count) as n from marts.customer_daily") == [
        {"n": 2}
    ]


@pytest.mark.parametrize("number", ["0", str(2**63), "99999999999999999999", "one"])
@pytest.mark.parametrize(
    "command", [["erase"], ["export", "--to", "never"], ["keys", "create", "--name", "a"]]
)
def test_a_number_that_no_customer_can_have_is_refused(command: list[str], number: str) -> None:
    """By the option itself, before anything is done."""
    refused = CliRunner().invoke(app, [*command, "--customer", number])
    assert refused.exit_code == 2
    assert "--customer" in refused.output
