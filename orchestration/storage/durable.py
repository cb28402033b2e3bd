"""What survives a power cut: files and folders whose names are on the disk, not bytes alone."""

from __future__ import annotations

import os
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Make a rename in the folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Make the folder, and what is missing above it, so that all of it survives a power cut."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for made in reversed(missing):
        sync_folder(made.parent)


def make_home(home: Path) -> None:
    """Make the home folder, for its owner alone: names, events and keys are below it.

    One that is there keeps the permissions that it was given.
    """
    make_folder(home.parent)
    if not home.is_dir():
        home.mkdir(mode=0o700, exist_ok=True)
        sync_folder(home.parent)
