"""The dbt docs are one page that works without a network."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from published_demo import CHECKOUT, PublishedDemo, environment


def test_the_site_is_one_file_that_loads_nothing_from_elsewhere(
    demo: PublishedDemo, tmp_path: Path
) -> None:
    """What `make docs` builds has every description in it, and no script, style or font outside."""
    warehouse = tmp_path / "warehouse.duckdb"
    shutil.copyfile(demo.home / "warehouse.duckdb", warehouse)
    command = re.search(r"docs generate (.*?)\n\t@", (CHECKOUT / "Makefile").read_text(), re.DOTALL)
    assert command
    flags = command[1].replace("\\\n", " ").replace("$(CURDIR)/build/docs/dbt", str(tmp_path))
    done = subprocess.run(
        [sys.executable, "-c", "from dbt.cli.main import cli; cli()", "docs", "generate",
         *flags.split()],
        cwd=CHECKOUT, env={**environment(tmp_path), "WAREHOUSE_PATH": str(warehouse)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    page = (tmp_path / "static_index.html").read_text()
    assert "One row per customer, agent and UTC date" in page
    assert "The endpoints under /api/stats" in page
    loaded = re.findall(r"<(?:script|link|img|iframe)\b[^>]*?(?:src|href)=[\"']?(https?:[^\"'> ]+)",
                        page)  # fmt: skip
    assert loaded == []
    assert "url(http" not in page
