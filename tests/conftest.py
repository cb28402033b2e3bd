"""What every test may use."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from api.installation import parsed_ahead
from built_ahead import build_ahead
from first_run import Drop, FirstRun, copy_first_run
from installation import Installation
from orchestration.warehouse import dbt
from published_demo import PublishedDemo, make_published_demo

NOW = "2026-03-01T12:00:00Z"

# What needs more than the checkout, by marker; what runs whole jobs, demos and processes that are
# killed, by path; and what does not, beside it.
NEEDS_MORE = {
    "bench",
    "browser",
    "clients",
    "daemon",
    "postgres",
    "spark",
    "traces",
    "versions",
    "wheel",
}
SLOW = {
    "cases",
    "cli",
    "clock",
    "dbt_project",
    "demo",
    "docs",
    "golden_day",
    "lake",
    "landing",
    "monitoring",
    "orchestration",
    "publication",
    "retention",
    "storage",
    "torture",
    "warehouse",
    "zones",
}
LONGEST = {"torture"}
QUICK = {
    "docs/test_everything_is_documented.py",
    "golden_day/test_golden_day_by_recount.py",
    "landing/test_landing.py",
    "storage/test_ledger_transactions.py",
    "landing/test_line_lengths.py",
}


# Memory that Linux lets a folder be in. What a run commits to a disk it waits for, which takes a
# test of a small job longer than all that it computes.
IN_MEMORY = Path("/dev/shm")
ROOM_NEEDED = 4 * 2**30


def pytest_configure() -> None:
    """Have the tests' folders in memory, where it has room for them."""
    if IN_MEMORY.is_dir() and shutil.disk_usage(IN_MEMORY).free >= ROOM_NEEDED:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(IN_MEMORY))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what `make test-fast` leaves out, and begin with the longest: one of them at the end
    would run alone."""
    for item in items:
        path = item.path.relative_to(Path(__file__).parent)
        takes_jobs = path.parts[0] in SLOW and str(path) not in QUICK
        if takes_jobs or any(item.get_closest_marker(name) for name in NEEDS_MORE):
            item.add_marker("slow")
    items.sort(key=lambda item: item.path.parent.name not in LONGEST)


@pytest.fixture
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installation:
    """An empty installation, at noon of 1 March 2026."""
    monkeypatch.chdir(tmp_path)
    return Installation(tmp_path / "home", monkeypatch, NOW)


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all test processes of this session share: what is made in it is made once."""
    # Each of them has a folder of its own below the one that they share.
    folder = tmp_path_factory.getbasetemp()
    return folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder


@pytest.fixture(scope="session", autouse=True)
def project_parsed_ahead() -> None:
    """The dbt project is parsed once, and not in the home folder of each test."""
    dbt.parse_into(parsed_ahead())


@pytest.fixture(scope="session", autouse=True)
def warehouse_built_ahead(shared_folder: Path, project_parsed_ahead: None) -> None:
    """Installations begin with tables that are built, but for those that ask for none."""
    folder = shared_folder / "built_ahead"
    Installation.warehouse_built_ahead = staticmethod(lambda: build_ahead(folder, NOW))


@pytest.fixture(scope="session")
def first_run(shared_folder: Path) -> FirstRun:
    """Lets an empty installation have had its first run: `first_run(installation, drop)`."""

    def first_run_of(installation: Installation, drop: Drop) -> None:
        copy_first_run(shared_folder / "first_runs", installation, drop)

    return first_run_of


@pytest.fixture(scope="session")
def demo(shared_folder: Path) -> PublishedDemo:
    """The demo, run to its end and published; to be read only."""
    return make_published_demo(shared_folder / "published_demo")
