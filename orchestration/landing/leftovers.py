"""What lies in the lake and does not count.

What is provably of our own work that was cut off is removed. Everything else is moved to
`quarantine/`, below the same path, and never unlinked: to a ledger that is older than the lake,
good files are unknown.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
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
    """Leave in the lake only what is in the ledger. Returns what was moved to the quarantine."""
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
    ledger.delete_rewrites()
    return quarantined


def _of_work_cut_off(settings: Settings, ledger: Ledger, unknown: dict[str, Path]) -> set[str]:
    """Those of the unknown files that are ours, and hold nothing that is not elsewhere."""
    rewrites = ledger.rewrites()
    of_loads = {name: found.group(1) for name in unknown if (found := _LOAD_ID.search(name))}
    will_be_landed = _of_files_that_wait(settings, of_loads)
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
        elif name in will_be_landed:
            # Of a load that was cut off.
            ours.add(name)
    return ours


def _of_files_that_wait(settings: Settings, of_loads: Mapping[str, str]) -> set[str]:
    """Those of the lake files, by name with the id of its load, whose load was made of a file that
    waits in the landing folder.

    Small files come first, and all of it takes no longer than the reading of one file may: some
    have terabytes of nothing.
    """
    found: set[str] = set()
    deadline = time.monotonic() + settings.landing_timeout_seconds
    files = [
        (path, stream) for stream in STREAMS for path in waiting_files(settings.landing, stream)
    ]
    for path, stream in sorted(files, key=lambda each: _size(each[0])):
        if len(found) == len(of_loads):
            break
        try:
            sha256 = content_of(path, deadline).sha256
        except OSError:
            continue
        found |= {
            name
            for name, load_id in of_loads.items()
            if stream.name in name and sha256.startswith(load_id)
        }
    return found


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
