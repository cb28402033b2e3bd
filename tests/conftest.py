"""What every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from installation import Installation
from published_demo import PublishedDemo, make_published_demo

NOW = "2026-03-01T12:00:00Z"


@pytest.fixture
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installation:
    """An empty installation, at noon of 1 March 2026."""
    monkeypatch.chdir(tmp_path)
    return Installation(tmp_path / "home", monkeypatch, NOW)


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> PublishedDemo:
    """The demo, run to its end and published; to be read only."""
    # Each test process has a folder of its own below the one that all of them share.
    folder = tmp_path_factory.getbasetemp()
    shared = folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder
    return make_published_demo(shared / "published_demo")
