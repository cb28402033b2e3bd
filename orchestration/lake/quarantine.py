"""Where a file of the lake goes that does not count: never away."""

from __future__ import annotations

import shutil
from pathlib import Path

import structlog

from orchestration.settings import Settings
from orchestration.storage.durable import make_folder, sync_folder

log = structlog.get_logger()


def move_to_quarantine(settings: Settings, name: str, *, below: str = "") -> Path:
    """Move a file of the lake to the same path below `quarantine/`, or below a folder there; its
    new path."""
    first = target = settings.quarantine / below / name
    number = 1
    while target.exists() or target.is_symlink():
        number += 1
        target = first.with_suffix(f".{number}{first.suffix}")
    make_folder(target.parent)
    shutil.move(settings.lake / name, target)
    sync_folder(target.parent)
    sync_folder((settings.lake / name).parent)
    log.warning("moved_to_quarantine", path=name, to=str(target))
    return target
