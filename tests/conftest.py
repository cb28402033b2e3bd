"""What every test may use."""

from __future__ import annotations

from pathlib import Path

import pytest

from installation import Installation

NOW = "2026-03-01T12:00:00Z"


@pytest.fixture
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installation:
    """An empty installation, at noon of 1 March 2026."""
    monkeypatch.chdir(tmp_path)
    return Installation(tmp_path / "home", monkeypatch, NOW)
