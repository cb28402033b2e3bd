"""What every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from first_run import Drop, FirstRun, copy_first_run
from installation import Installation
from published_demo import PublishedDemo, make_published_demo

NOW = "2026-03-01T12:00:00Z"


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
