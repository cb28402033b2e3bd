"""Parsing the dbt project, by the first run on a fresh checkout and whoever starts beside it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from orchestration.settings import CHECKOUT
from orchestration.warehouse.dbt import prepare_manifest

FIRST_RUN = """
import sys
from pathlib import Path
from orchestration.warehouse import dbt

dbt.TARGET = Path(sys.argv[1])
dbt.MANIFEST = dbt.TARGET / "manifest.json"
sys.stdout.write(dbt.prepare_manifest().read_text())
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


def test_a_dbt_command_by_hand_leaves_the_parsed_project_alone() -> None:
    """It parses with its own arguments, like a relative folder, that no run could go on with."""
    folder = prepare_manifest().parent
    before = {path.name: path.read_bytes() for path in folder.glob("*.*") if path.is_file()}
    subprocess.run(
        [Path(sys.executable).with_name("dbt"), "parse", "--project-dir", "dbt_project",
         "--profiles-dir", ".", "--no-send-anonymous-usage-stats", "--no-version-check"],
        cwd=CHECKOUT, check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    after = {path.name: path.read_bytes() for path in folder.glob("*.*") if path.is_file()}
    assert before and after == before
