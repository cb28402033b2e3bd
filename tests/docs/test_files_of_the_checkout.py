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
