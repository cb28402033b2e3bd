"""What holds for every file that is committed."""

from __future__ import annotations

import re
import subprocess

from published_demo import CHECKOUT

# Python packages, Node.js packages, Debian's, and what knows their vulnerabilities.
REGISTRY = re.compile(
    rb"[a-z0-9.-]*(?:pypi|pythonhosted|npmjs|registry|debian|osv)[a-z0-9.-]*\.(?:org|com|dev|net|io)\b",
    re.IGNORECASE,
)


def test_no_file_names_the_host_of_a_package_registry() -> None:
    """Lock files included: where packages come from is for the machine that installs them."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=CHECKOUT, check=True, capture_output=True
    )
    files = [CHECKOUT / name for name in listed.stdout.decode().split("\0") if name]
    assert CHECKOUT / "requirements.lock" in files
    named = {
        str(file.relative_to(CHECKOUT)): host
        for file in files
        if file.is_file() and (host := REGISTRY.search(file.read_bytes()))
    }
    assert named == {}


def test_every_change_stands_once_in_the_changelog() -> None:
    """Git keeps the lines of both sides where two branches add some, and may double them."""
    changelog = (CHECKOUT / "CHANGELOG.md").read_text().splitlines()
    lines = [line for line in changelog if line]
    assert lines[:3] == ["# Changelog", "## Unreleased", "### Added"]
    assert {line for line in lines if line.startswith("### ")} == {
        "### Added",
        "### Changed",
        "### Fixed",
    }
    changes = [line for line in lines if not line.startswith("#")]
    assert all(line.startswith("- ") for line in changes)
    assert len(changes) == len(set(changes))
