"""What was dropped, and cannot be loaded until an operator looks after it."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from pathlib import Path

from orchestration.contract.streams import STREAMS
from orchestration.landing.files import links_passed_over, waiting_files


@dataclass(frozen=True)
class PassedOver:
    """A file or folder, by its path below landing/, and why it is left where it is."""

    path: str
    why: str


def find_passed_over(landing: Path) -> list[PassedOver]:
    """Folders that cannot be looked into, links not followed, and files that cannot be opened."""
    found: list[PassedOver] = []

    def closed(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            _add(found, landing, Path(error.filename), error.strerror or str(error))

    for stream in STREAMS:
        for _ in os.walk(landing / stream.name, onerror=closed):
            pass
        for path in waiting_files(landing, stream):
            if path.exists() and not os.access(path, os.R_OK):
                _add(found, landing, path, os.strerror(errno.EACCES))
    for link in links_passed_over(landing):
        _add(found, landing, link, "it leads nowhere, to where another leads, or into the home")
    return found


def _add(found: list[PassedOver], landing: Path, path: Path, why: str) -> None:
    found.append(PassedOver(str(path.relative_to(landing)), why))
