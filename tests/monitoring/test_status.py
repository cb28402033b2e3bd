"""What `agentstats status` shows: names as they are, and what others may get at."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from installation import Installation
from orchestration import pipeline
from orchestration.cli import app
from orchestration.contract.shown import one_line
from orchestration.monitoring.problems import files_set_aside
from orchestration.monitoring.status import gather

# What some function of Python or of a terminal takes for the end of a line.
LINE_ENDS = ["\n", "\r", "\r\n", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"]


def shown() -> list[str]:
    """The lines of `agentstats status`."""
    return CliRunner().invoke(app, ["status"], catch_exceptions=False).stdout.split("\n")


def test_a_name_with_any_end_of_line_is_shown_whole_with_its_reason(
    installation: Installation,
) -> None:
    """Spelled as Python does: what was set aside or passed over, and what a run says of it."""
    names = [f"a{end}b" for end in LINE_ENDS]
    spelled = [name.encode("unicode_escape").decode() for name in names]
    for name in names:
        installation.drop_bytes("agent_usage_events", f"{name}.parquet", b"garbage")
        (installation.settings.landing / "audit_events").mkdir(exist_ok=True)
        (installation.settings.landing / "audit_events" / f"{name}.csv").symlink_to("/nowhere")
    with installation.ledger() as ledger:
        loads = pipeline.land(installation.settings, ledger)
        reason = loads[0].failure
        assert reason and {load.failure for load in loads} == {reason}
    report = gather(installation.settings)
    in_folder = {f"agent_usage_events/{name}.parquet" for name in names}
    assert {file.path for file in report.set_aside} == in_folder
    assert {file.why for file in report.set_aside} == {reason}
    lines = shown()
    for name in spelled:
        assert f"Set aside     agent_usage_events/{name}.parquet: {reason}" in lines
        assert any(line.startswith(f"Skipped        audit_events/{name}.csv: ") for line in lines)
    of_the_run = {one_line(problem, 500) for problem in files_set_aside(loads)}
    assert of_the_run == {
        f"agent_usage_events/{name}.parquet was set aside: {reason}" for name in spelled
    }


def test_lines_become_one_and_nothing_else_does() -> None:
    """Several lines with their indentation, as dbt writes; a long one is cut."""
    several = "dbt build: Error\n  in a\u2028b\r\n\n"
    assert one_line(several, 99) == "dbt build: Error in a\\u2028b\\r"
    assert one_line("  twelve signs", 11) == "twelve sig…"


@pytest.mark.parametrize(
    ("home", "keys", "ledger", "named"),
    [
        (0o700, 0o644, 0o666, []),
        (0o750, 0o604, 0o600, ["."]),
        (0o710, 0o640, 0o604, [".", "keys.db"]),
        (0o701, 0o640, 0o604, [".", "ledger.db"]),
        (0o744, 0o644, 0o644, ["."]),
        (0o755, 0o644, 0o640, [".", "keys.db", "ledger.db"]),
    ],
)
def test_what_other_users_may_open_is_named_with_what_to_run(
    installation: Installation,
    home: int,
    keys: int,
    ledger: int,
    named: list[str],
) -> None:
    """The home folder, and what is in it as far as group or others may enter that."""
    settings = installation.settings
    with installation.ledger():
        settings.keys_path.touch()
    for path, mode in (
        (settings.home, home),
        (settings.keys_path, keys),
        (settings.ledger_path, ledger),
    ):
        path.chmod(mode)
    opened = [str(settings.home / name) for name in named]
    assert gather(settings).open_to_others == opened
    lines = [line for line in shown() if line.startswith("Permissions")]
    assert lines == (
        [f"Permissions   other users can open it; run: chmod go-rwx {' '.join(opened)}"]
        if named
        else []
    )
