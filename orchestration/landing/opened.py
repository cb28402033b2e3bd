"""A dropped file as DuckDB can open it: under a name that is a name, unpacked, of one kind of line.

DuckDB takes characters of a path for a pattern, and folders for columns. So it is never given the
path of a file that somebody dropped, but that of a descriptor, which is made of numbers.
"""

from __future__ import annotations

import csv
import gzip
import io
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import zstandard

from orchestration.landing.files import LandedFile, UnreadableFile

MAX_LINE_BYTES = 32 * 1024 * 1024
MAX_HEADER_BYTES = 1024 * 1024
_CHUNK_BYTES = 1024 * 1024
# Four bytes of zstd can stand for 128 KiB, and all that a part stands for comes at once.
_FRAME_PART_BYTES = 1024

# Nothing but blanks between two quotes.
_QUOTES_APART = re.compile(rb'" +"')

_DESCRIPTORS = "/proc/self/fd" if Path("/proc/self/fd").is_dir() else "/dev/fd"

_PACKINGS = {"gzip": b"\x1f\x8b", "zstd": b"\x28\xb5\x2f\xfd"}
# How files begin that are something else than their name says, and what to do with them.
_OTHER_KINDS = {
    b"\x1f\x8b": "is packed with gzip: add .gz to its name",
    b"\x28\xb5\x2f\xfd": "is packed with zstd: add .zst to its name",
    b"PK\x03\x04": "is a zip archive: drop what is in it",
    b"PAR1": "is a Parquet file: name it .parquet",
    b"\xff\xfe": "is UTF-16: write it as UTF-8",
    b"\xfe\xff": "is UTF-16: write it as UTF-8",
    b"BZh": "is packed with bzip2: unpack it, or pack it with gzip or zstd",
    b"\xfd7zXZ": "is packed with xz: unpack it, or pack it with gzip or zstd",
}


@dataclass(frozen=True)
class OpenText:
    """A text file that is open: `name` for DuckDB, `binary` for Python, where it is at its start.

    `line_end` is the one that all of its lines have; None where they have several.
    `has_odd_quotes` is whether blanks are beside quotes where DuckDB reads a CSV otherwise than we
    do: between two quotes, or several before one.
    """

    name: str
    binary: BinaryIO
    line_end: bytes | None
    has_odd_quotes: bool


@contextmanager
def opened(path: Path) -> Iterator[str]:
    """The file under a name that DuckDB takes as it is."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        yield name_of(descriptor)
    finally:
        os.close(descriptor)


def name_of(descriptor: int) -> str:
    """The name of an open file, whatever it is called in its folder, or is no more."""
    return f"{_DESCRIPTORS}/{descriptor}"


@contextmanager
def scratch_file(scratch: Path) -> Iterator[BinaryIO]:
    """A new file without a name, gone when it is closed."""
    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=scratch) as binary:
        yield binary


@contextmanager
def opened_text(file: LandedFile, scratch: Path, *, unpacked_limit: int) -> Iterator[OpenText]:
    """The text file, unpacked where it is packed.

    Raises `UnreadableFile` for one of more than `unpacked_limit` bytes or with a line of more than
    `MAX_LINE_BYTES`, and what `gzip` and `zstandard` raise where it is damaged.
    """
    with file.path.open("rb") as delivered, scratch_file(scratch) as unpacked:
        binary: BinaryIO = delivered
        lines = _Lines(is_csv=file.file_format == "csv")
        if file.packing:
            for chunk in _bounded_chunks(file, delivered, unpacked_limit):
                lines.read(chunk)
                unpacked.write(chunk)
            unpacked.flush()
            binary = unpacked
        else:
            while chunk := delivered.read(_CHUNK_BYTES):
                lines.read(chunk)
        binary.seek(0)
        _refuse_other_kinds(binary.read(8))
        binary.seek(0)
        yield OpenText(name_of(binary.fileno()), binary, lines.end(), lines.has_odd_quotes)


def packing_of(head: bytes) -> str | None:
    """How a file is packed that begins so."""
    return next((name for name, magic in _PACKINGS.items() if head.startswith(magic)), None)


def unpacked_chunks(packed: BinaryIO, packing: str) -> Iterator[bytes]:
    """What a packed file holds, in parts."""
    yield from _gunzipped(packed) if packing == "gzip" else _unzstandard(packed)


def _bounded_chunks(file: LandedFile, packed: BinaryIO, limit: int) -> Iterator[bytes]:
    """The same of a landing file. Raises `UnreadableFile` for more than `limit` bytes."""
    head = packed.read(4)
    packed.seek(0)
    assert file.packing
    if packing_of(head) != file.packing:
        raise UnreadableFile(
            f"is not packed with {file.packing}, though its name ends in {file.path.suffix}: pack "
            "it, or drop it without that ending"
        )
    size = 0
    for chunk in unpacked_chunks(packed, file.packing):
        size += len(chunk)
        if size > limit:
            raise UnreadableFile(
                f"unpacks to more than {limit / 10**9:g} GB; deliver it in parts, "
                "or raise AGENTSTATS_MAX_UNPACKED_GB"
            )
        yield chunk


def _gunzipped(packed: BinaryIO) -> Iterator[bytes]:
    # It passes over zeros behind the stream, and compares what it unpacked with its checksum.
    with gzip.open(packed, "rb") as binary:
        while chunk := binary.read(_CHUNK_BYTES):
            yield chunk


def _unzstandard(packed: BinaryIO) -> Iterator[bytes]:
    """One frame after the other; zeros behind the last are passed over."""
    left = b""
    while data := left or packed.read(_FRAME_PART_BYTES):
        if not data.strip(b"\0"):
            left = b""
            continue
        frame = zstandard.ZstdDecompressor().decompressobj()
        while True:
            unpacked = frame.decompress(data)
            for start in range(0, len(unpacked), _CHUNK_BYTES):
                yield unpacked[start : start + _CHUNK_BYTES]
            if frame.eof:
                break
            data = packed.read(_FRAME_PART_BYTES)
            if not data:
                raise EOFError("it ends before its end")
        left = frame.unused_data


class _Lines:
    """The ends of a text's lines, whether one of them is too long, and odd quotes where they
    matter."""

    def __init__(self, *, is_csv: bool) -> None:
        self.has_odd_quotes = False
        self._is_csv = is_csv
        self._blanks = b""
        self._length = 0
        self._feeds = self._returns = self._pairs = 0
        self._ended_in_return = False

    def read(self, chunk: bytes) -> None:
        """Take the next part of the text. Raises `UnreadableFile` for a line that is too long."""
        first, last = chunk.find(b"\n"), chunk.rfind(b"\n")
        if b"\r" in chunk:
            at = chunk.find(b"\r")
            first = at if first < 0 else min(first, at)
            last = max(last, chunk.rfind(b"\r"))
        self._length += len(chunk) if first < 0 else first
        if self._length > MAX_LINE_BYTES:
            number = self._feeds + self._returns - self._pairs + 1
            raise UnreadableFile(f"line {number} is longer than {MAX_LINE_BYTES // 1024**2} MiB")
        if first >= 0:
            self._length = len(chunk) - last - 1
        self._feeds += chunk.count(b"\n")
        if b"\r" in chunk:
            self._returns += chunk.count(b"\r")
            self._pairs += chunk.count(b"\r\n")
        if self._is_csv and not self.has_odd_quotes:
            self._find_odd_quotes(self._blanks + chunk)
        self._pairs += self._ended_in_return and chunk.startswith(b"\n")
        self._ended_in_return = chunk.endswith(b"\r")

    def _find_odd_quotes(self, text: bytes) -> None:
        self.has_odd_quotes = b'  "' in text or (
            b'" ' in text and _QUOTES_APART.search(text) is not None
        )
        # They may go on in the next part.
        self._blanks = text[max(0, len(text.rstrip(b" ")) - 1) :]

    def end(self) -> bytes | None:
        """What all lines end in; None where some end otherwise."""
        if self._returns == 0:
            return b"\n"
        if self._feeds == 0:
            return b"\r"
        return b"\r\n" if self._pairs == self._feeds == self._returns else None


def _refuse_other_kinds(head: bytes) -> None:
    for magic, problem in _OTHER_KINDS.items():
        if head.startswith(magic):
            raise UnreadableFile(problem)


def csv_header(text: OpenText) -> list[str]:
    """The names in the first line, without white space around them. Leaves the file at its start.

    Raises `UnreadableFile` where there is none, `UnicodeDecodeError` where it is no UTF-8.
    """
    head = text.binary.read(MAX_HEADER_BYTES + 1)
    text.binary.seek(0)
    first = head.splitlines()[:1]
    if not first or not first[0].strip():
        raise UnreadableFile("is empty: a CSV file starts with a header line")
    if len(first[0]) > MAX_HEADER_BYTES:
        raise UnreadableFile(f"its header is longer than {MAX_HEADER_BYTES // 1024**2} MiB")
    decoded = head.decode("utf-8-sig", errors="surrogateescape")
    lines = io.StringIO(decoded, newline="")
    names = next(csv.reader(lines, strict=False, skipinitialspace=True), [])
    for name in names:
        name.encode()
    return [name.strip() or f"column {number}" for number, name in enumerate(names, start=1)]
