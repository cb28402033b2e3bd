"""What lies in the lake and does not count.

What is provably of our own work that was cut off is removed. Everything else is moved to
`quarantine/`, below the same path, and never unlinked: to a ledger that is older than the lake,
good files are unknown.
"""

from __future__ import annotations

import re
import time
from pathlib import Path

import structlog

from orchestration.contract.streams import STREAMS
from orchestration.lake.quarantine import move_to_quarantine
from orchestration.lake.verified import find_faults
from orchestration.landing.files import content_of, waiting_files
from orchestration.settings import Settings
from orchestration.storage.ledger import Ledger

# The last part of a name that landing gives: of the delivery's content, and its number.
_LOAD_ID = re.compile(r"[/-]([0-9a-f]{20})(?:-\d+)?\.parquet$")

log = structlog.get_logger()


def clear_unknown(settings: Settings, ledger: Ledger) -> list[Path]:
    """Leave in the lake only what the ledger knows. Returns what was moved to the quarantine."""
    lake = settings.lake
    known = ledger.lake_paths()
    unknown = {
        str(path.relative_to(lake)): path
        for path in sorted(lake.rglob("*"))
        if (path.is_file() or path.is_symlink()) and str(path.relative_to(lake)) not in known
    }
    ours = _of_work_cut_off(settings, ledger, unknown) if unknown else set()
    quarantined = []
    for name, path in unknown.items():
        if name in ours:
            log.info("leftover_removed", path=name)
            path.unlink()
        else:
            quarantined.append(move_to_quarantine(settings, name))
    ledger.forget_rewrites()
    return quarantined


def _of_work_cut_off(settings: Settings, ledger: Ledger, unknown: dict[str, Path]) -> set[str]:
    """Those of the unknown files that are ours, and hold nothing that is not elsewhere."""
    rewrites = ledger.rewrites()
    load_ids = {found.group(1) for name in unknown if (found := _LOAD_ID.search(name))}
    waiting = _contents_that_wait(settings, load_ids)
    ours = set()
    for name, path in unknown.items():
        if path.name.startswith(".") and path.name.endswith(".parquet.tmp"):
            # Never renamed to the name under which it would count.
            ours.add(name)
        elif name in rewrites:
            # One that was taken out; or one whose rows are all in the files that it was made of.
            sources = [ledger.lake_file(source) for source in rewrites[name]]
            files = [file for file in sources if file]
            if len(files) == len(sources) and not find_faults(settings.lake, ledger, files):
                ours.add(name)
        elif (found := _LOAD_ID.search(name)) and any(
            # Of a load that was cut off: its file still waits, and will be landed again.
            stream in name and sha256.startswith(found.group(1))
            for stream, sha256 in waiting
        ):
            ours.add(name)
    return ours


def _contents_that_wait(settings: Settings, load_ids: set[str]) -> set[tuple[str, str]]:
    """(stream, SHA-256) of the files in the landing folder that loads with these ids were made of.

    Small files come first, and all of it takes no longer than the reading of one file may: some
    have terabytes of nothing.
    """
    found = set()
    missing = load_ids
    deadline = time.monotonic() + settings.landing_timeout_seconds
    files = [
        (path, stream) for stream in STREAMS for path in waiting_files(settings.landing, stream)
    ]
    for path, stream in sorted(files, key=lambda each: _size(each[0])):
        if not missing:
            break
        try:
            sha256 = content_of(path, deadline).sha256
        except OSError:
            continue
        found.add((stream.name, sha256))
        missing = {load_id for load_id in missing if not sha256.startswith(load_id)}
    return found


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
