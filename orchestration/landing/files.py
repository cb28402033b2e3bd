"""What was dropped: which files are whole, of which format, and what they hold as bytes."""

from __future__ import annotations

import errno
import hashlib
import math
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from orchestration.contract.streams import STREAMS_BY_NAME, Stream

LOADED_FOLDER = "_loaded"
FAILED_FOLDER = "_failed"

_CHUNK_BYTES = 1024 * 1024
_PACKING = {".gz": "gzip", ".zst": "zstd"}
_TEXT_SUFFIXES = {".ndjson": "ndjson", ".jsonl": "ndjson", ".csv": "csv"}


class UnreadableFile(Exception):
    """The file as a whole cannot be loaded; the message says why, for the reason beside it."""


@dataclass(frozen=True)
class LandedFile:
    """One file as dropped into `landing/<stream>/`, of a format that can be read."""

    path: Path
    stream: Stream
    file_format: str  # parquet, ndjson or csv
    packing: str | None  # gzip or zstd


@dataclass(frozen=True)
class Content:
    """Which bytes a file had when it was read; `sha256` in hexadecimal, times in nanoseconds."""

    sha256: str
    size_bytes: int
    modified_ns: int


def is_finished(path: Path) -> bool:
    """Whether the producer is done with the file, by the contract's naming rule."""
    return not path.name.startswith((".", "_")) and not path.name.endswith(".tmp")


def waiting_files(landing: Path, stream: Stream) -> list[Path]:
    """Finished files of a stream, by path; folders named like unfinished files are left alone.

    A folder that is linked there from elsewhere is a folder; see `links_passed_over`.
    """
    return sorted(path for path, is_file in _entries(landing, stream) if is_file)


def links_passed_over(landing: Path) -> list[Path]:
    """Links in the streams' folders that are not followed: those that lead into the home folder, to
    where another leads too, or nowhere."""
    return sorted(
        path
        for stream in STREAMS_BY_NAME.values()
        for path, is_file in _entries(landing, stream)
        if not is_file
    )


def _entries(landing: Path, stream: Stream) -> Iterator[tuple[Path, bool]]:
    """Each finished file, and each link that is passed over; and whether it is a file."""
    home = landing.parent.resolve()
    seen: set[Path] = set()
    folders = [landing / stream.name]
    while folders:
        for path in sorted(_listed(folders.pop())):
            if not is_finished(path):
                continue
            if path.is_symlink() and not path.is_file():
                target = path.resolve()
                if target in seen or home in (target, *target.parents) or not path.is_dir():
                    yield path, False
                    continue
            if path.is_dir():
                seen.add(path.resolve())
                folders.append(path)
            elif path.is_file():
                yield path, True


def _listed(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        # There is none, or it is not ours to read.
        return []


def unknown_entries(landing: Path) -> list[Path]:
    """What lies in the landing folder but belongs to no stream, for a warning."""
    if not landing.is_dir():
        return []
    known = set(STREAMS_BY_NAME) | {LOADED_FOLDER, FAILED_FOLDER}
    return sorted(
        path for path in landing.iterdir() if path.name not in known and is_finished(path)
    )


def detect_format(path: Path, stream: Stream) -> LandedFile:
    """The file's format, by its name. Raises `UnreadableFile` for a name without one."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    packing = _PACKING.get(suffixes[-1]) if suffixes else None
    suffix = (suffixes[-2] if len(suffixes) > 1 else "") if packing else (suffixes or [""])[-1]
    if suffix == ".parquet" and not packing:
        return LandedFile(path, stream, "parquet", None)
    if suffix in _TEXT_SUFFIXES:
        return LandedFile(path, stream, _TEXT_SUFFIXES[suffix], packing)
    raise UnreadableFile(
        "has a name without a format: it must end in .parquet, .ndjson, .jsonl or .csv (the "
        "text formats also with .gz or .zst)"
    )


def content_of(path: Path, deadline: float = math.inf) -> Content:
    """Hash the file's bytes. Raises OSError, `TimeoutError` at `deadline`, of the monotonic clock,
    among them."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            if time.monotonic() > deadline:
                raise TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT), str(path))
            digest.update(chunk)
            size += len(chunk)
    return Content(digest.hexdigest(), size, path.stat().st_mtime_ns)


def without_content(error: BaseException, path: Path) -> str:
    """What went wrong with a file, without the values that messages quote.

    Reasons are kept for longer than a row may be, in the ledger, beside the file and in logs.
    """
    line = (str(error).strip() or type(error).__name__).split("\n")[0]
    return re.sub(r"[\"'`].*[\"'`]", "…", line.replace(str(path), path.name))
