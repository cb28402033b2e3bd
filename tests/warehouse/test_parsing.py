"""Parsing the dbt project: ahead, or by the first run of a home folder and who starts beside it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from api.installation import parsed_ahead
from installation import Installation
from orchestration.warehouse import dbt
from published_demo import CHECKOUT

FIRST_RUN = """
import sys
from pathlib import Path
from orchestration.warehouse import dbt

sys.stdout.write(dbt.parse_into(Path(sys.argv[1])).read_text())
"""


def test_processes_that_start_at_once_share_one_whole_manifest(tmp_path: Path) -> None:
    """One of them parses; the others wait for it, and none reads what is half written."""
    started = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", FIRST_RUN, str(tmp_path)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    manifests = [json.loads(process.communicate()[0]) for process in started]
    assert [process.returncode for process in started] == [0, 0, 0]
    assert len({manifest["metadata"]["invocation_id"] for manifest in manifests}) == 1
    assert manifests[0]["nodes"]


@pytest.mark.parametrize("made_by", ["another project dbt-core 1.11.16", None])
def test_what_was_parsed_ahead_of_something_else_is_not_used(
    made_by: str | None,
    installation: Installation,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After a change of a model, and in a wheel beside another dbt, the home folder has its own."""
    assert dbt.manifest_path(installation.settings).parent == parsed_ahead()
    other = tmp_path / "ahead"
    other.mkdir()
    for file in parsed_ahead().iterdir():
        (other / file.name).write_bytes(file.read_bytes())
    if made_by is None:
        (other / "parsed_from").unlink()
    else:
        (other / "parsed_from").write_text(made_by)
    monkeypatch.setattr(dbt, "parsed_ahead", lambda: other)
    expected = installation.home / ".dbt" / "duckdb" / "manifest.json"
    assert dbt.manifest_path(installation.settings) == expected


def test_a_run_parses_into_the_home_folder_where_nothing_was_parsed_ahead(
    installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The manifest is there after it, of this project, and dbt left nothing beside the models."""
    before = set(dbt.PROJECT.iterdir())
    monkeypatch.setattr(dbt, "parsed_ahead", lambda: tmp_path / "nothing")
    manifest = dbt.prepare_manifest(installation.settings)
    assert manifest == dbt.manifest_path(installation.settings)
    assert "model.agentstats.customer_daily" in json.loads(manifest.read_text())["nodes"]
    assert set(dbt.PROJECT.iterdir()) == before


def test_a_dbt_command_by_hand_leaves_the_parsed_project_alone() -> None:
    """It parses with its own arguments, like a relative folder, that no run could go on with."""
    folder = dbt.parse_into(parsed_ahead()).parent
    before = {path.name: path.read_bytes() for path in folder.glob("*.*") if path.is_file()}
    subprocess.run(
        [Path(sys.executable).with_name("dbt"), "parse", "--project-dir", "dbt_project",
         "--profiles-dir", ".", "--no-send-anonymous-usage-stats", "--no-version-check"],
        cwd=CHECKOUT, check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    after = {path.name: path.read_bytes() for path in folder.glob("*.*") if path.is_file()}
    assert before and after == before
