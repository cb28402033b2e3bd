"""A lake file is read only while it has the bytes that the ledger recorded.

Whoever reads the lake takes its paths from `verified_paths`. A file is hashed once while a ledger
is open, which is one run, and again where its size, its times or its inode have changed since.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal

from orchestration.errors import AgentstatsError
from orchestration.storage.database import pattern_of
from orchestration.storage.ledger import LakeFile, Ledger
from orchestration.storage.ledger.lake import FoundWhole

# hashlib lets go of the interpreter: two files are hashed at once, where that is worth a thread.
_THREADS = 2
_BYTES_WORTH_A_THREAD = 8 * 1024 * 1024
_NAMED = 10

State = Literal["damaged", "missing"]


class LakeDamaged(AgentstatsError):
    """A lake file is not what the ledger recorded; the message says which, and what to do."""


@dataclass(frozen=True)
class Fault:
    """A lake file that must not be read, and why."""

    file: LakeFile
    state: State
    problem: str


def verified_paths(lake: Path, ledger: Ledger, files: Iterable[LakeFile]) -> list[str]:
    """Where the files are, as DuckDB's readers are given it, once each was found to have the bytes
    that the ledger recorded.

    Raises `LakeDamaged`, which names those that have not.
    """
    files = list(files)
    refuse_faults(lake, find_faults(lake, ledger, files))
    return [pattern_of(lake / file.path) for file in files]


def refuse_faults(lake: Path, faults: Sequence[Fault]) -> None:
    """Raise `LakeDamaged` where there are any."""
    if not faults:
        return
    named = "; ".join(f"{lake / fault.file.path} {fault.problem}" for fault in faults[:_NAMED])
    more = f"; and {len(faults) - _NAMED} more" if len(faults) > _NAMED else ""
    raise LakeDamaged(
        f"the lake is not what the ledger recorded: {named}{more}. Nothing was read from it, and "
        "it was left as it is. Restore it from the backup of lake/; where there is none, "
        "`agentstats lake forget FILE` records the loss, and its events may be dropped again. "
        "`agentstats lake verify` lists every such file"
    )


def find_faults(lake: Path, ledger: Ledger, files: Sequence[LakeFile]) -> list[Fault]:
    """Those of the files that are missing, or are not what the ledger recorded."""
    unseen = [file for file in files if not _is_known_whole(lake, ledger, file)]
    if sum(file.bytes for file in unseen) < _BYTES_WORTH_A_THREAD:
        looked_at = [_look(lake, file) for file in unseen]
    else:
        with ThreadPoolExecutor(_THREADS) as threads:
            looked_at = list(threads.map(lambda file: _look(lake, file), unseen))
    faults = []
    for file, found in zip(unseen, looked_at, strict=True):
        if isinstance(found, Fault):
            faults.append(found)
        else:
            ledger.found_whole[file.path] = found
    return faults


def _is_known_whole(lake: Path, ledger: Ledger, file: LakeFile) -> bool:
    known = ledger.found_whole.get(file.path)
    if known is None or known.sha256 != file.sha256:
        return False
    try:
        return known == _seen(file.sha256, (lake / file.path).stat())
    except OSError:
        return False


def _look(lake: Path, file: LakeFile) -> FoundWhole | Fault:
    try:
        with (lake / file.path).open("rb") as opened:
            there = os.fstat(opened.fileno())
            if there.st_size != file.bytes:
                return Fault(
                    file, "damaged", f"has {there.st_size} bytes, and {file.bytes} were recorded"
                )
            if hashlib.file_digest(opened, "sha256").hexdigest() != file.sha256:
                return Fault(file, "damaged", "does not have the bytes that were recorded")
    except (FileNotFoundError, NotADirectoryError):
        return Fault(file, "missing", "is missing")
    except OSError as error:
        return Fault(file, "damaged", f"cannot be read ({error.strerror})")
    return _seen(file.sha256, there)


def _seen(sha256: str, there: os.stat_result) -> FoundWhole:
    return FoundWhole(
        sha256, there.st_size, there.st_mtime_ns, there.st_ctime_ns, there.st_ino, there.st_dev
    )


@dataclass(frozen=True)
class Found:
    """A file that is not as it should be, relative to the lake. `folder`, `occurred_date` and
    `rows` are of what the ledger recorded, and None of a file that it does not know."""

    path: str
    state: Literal["damaged", "missing", "unknown"]
    problem: str
    folder: str | None = None
    occurred_date: date | None = None
    rows: int | None = None


@dataclass(frozen=True)
class Verification:
    """Every file of lake and ledger: `ok` of `files` recorded, and all others by name."""

    files: int
    bytes: int
    ok: int
    found: Sequence[Found]


def verify_lake(lake: Path, ledger: Ledger) -> Verification:
    """Hash every file that the ledger recorded, and look for others. Nothing is changed."""
    files = ledger.lake_files()
    faults = find_faults(lake, ledger, files)
    known = {file.path for file in files}
    unknown = sorted(
        name
        for path in lake.rglob("*")
        if (path.is_file() or path.is_symlink())
        and (name := str(path.relative_to(lake))) not in known
    )
    return Verification(
        len(files),
        sum(file.bytes for file in files),
        len(files) - len(faults),
        [
            *(
                Found(
                    fault.file.path,
                    fault.state,
                    fault.problem,
                    fault.file.folder,
                    fault.file.occurred_date,
                    fault.file.rows,
                )
                for fault in faults
            ),
            *(
                Found(
                    name,
                    "unknown",
                    "is not in the ledger: the next run moves it to quarantine/, or removes what a "
                    "run that was cut off has left",
                )
                for name in unknown
            ),
        ],
    )
