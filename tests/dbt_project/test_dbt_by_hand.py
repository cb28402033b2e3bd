"""dbt commands that somebody gives in the checkout: refused, or harmless."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from installation import Installation, usage_event
from orchestration.warehouse.dbt import PROJECT, project_fingerprint
from published_demo import CHECKOUT


def dbt(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the real dbt from the checkout, with the home folder and no other setting."""
    return subprocess.run(
        [
            str(Path(sys.executable).with_name("dbt")),
            *("--quiet", *arguments, "--project-dir", str(PROJECT), "--no-use-colors"),
            *("--log-path", str(home / ".dbt")),
        ],
        cwd=CHECKOUT,
        env={
            **{name: value for name, value in os.environ.items() if "WAREHOUSE" not in name},
            "AGENTSTATS_HOME": str(home),
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        },
        capture_output=True,
        text=True,
        check=False,
    )


def test_what_would_build_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No date is lost, and the next run rebuilds what a file touched, and no more."""
    installation = Installation(tmp_path / "home", monkeypatch, "2026-03-01T12:00:00Z")
    installation.drop("agent_usage_events", "a.ndjson", [
        usage_event(1), usage_event(2, occurred_at="2026-02-27T08:00:00Z"),
    ])  # fmt: skip
    installation.run()
    before = installation.fingerprints()
    fingerprint = project_fingerprint()

    refused = [
        dbt(installation.home, "build", "--full-refresh"),
        dbt(installation.home, "run-operation", "drop_tables_built_whole"),
    ]
    for command in refused:
        assert command.returncode != 0
        assert "`agentstats run hourly` builds and tests" in command.stdout

    # What dbt leaves in the project's folder changes no model.
    (PROJECT / "target").mkdir(exist_ok=True)
    (PROJECT / "target" / "by_hand.sql").write_text("select 1")
    assert project_fingerprint() == fingerprint
    (PROJECT / "target" / "by_hand.sql").unlink()
    installation.drop("agent_usage_events", "b.ndjson", [usage_event(3)])
    installation.run()
    detail = installation.last_run()
    assert (detail["full_refresh"], detail["dates_rebuilt"]["agent_usage_events"]) == (False, 1)
    assert installation.marts("select sum(message_count) as n from marts.customer_daily") == [
        {"n": 3}
    ]
    assert installation.fingerprints().keys() == before.keys()
