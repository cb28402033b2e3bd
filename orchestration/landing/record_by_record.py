"""Text files taken apart record by record, where DuckDB would give up a whole file for one of them.

What is well formed is written to another file, in a form that DuckDB reads whatever is in it; what
is not goes with it as text.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

_CHUNK_BYTES = 1024 * 1024
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# A field in quotes goes over so many lines at most; a quote that is never closed spoils its own.
_MOST_LINES_OF_A_RECORD = 1000
# A record of more bytes, as JSON, is not well formed, whatever it says.
_MOST_BYTES = 64 * 1024 * 1024
_KEPT_OF_MALFORMED = 16 * 1024
# Blanks around quotes are not part of a field; a quote after anything else is a character like any
# other.
_FIELD = re.compile(r' *+"([^"]*+(?:""[^"]*+)*+)" *+(?:,|\Z)|(?! *")([^,\r\n]*+)(?:,|\Z)')


@dataclass(frozen=True)
class TakenApart:
    """What was written: the bytes of the longest record."""

    longest: int


def take_ndjson_apart(delivered: BinaryIO, line_end: bytes | None, into: BinaryIO) -> TakenApart:
    """Write a {"text": …} for each line that is not blank; "is_malformed" where it is no UTF-8.

    Whether it is JSON is not looked at.
    """
    delivered.seek(0)
    lines = _split(delivered, b"\r" if line_end == b"\r" else b"\n")
    return _write((_ndjson_record(line) for line in lines if line.strip()), into)


def take_csv_apart(delivered: BinaryIO, width: int, into: BinaryIO) -> TakenApart:
    """Write a {"fields": […]} for each record after the header that has `width` fields, and for
    each other line its {"text": …}, with "is_malformed"."""
    delivered.seek(0)
    lines = _Lines(_any_lines(delivered))
    _record(lines, width)
    records = iter(lambda: _record(lines, width), None)
    return _write((record for record in records if record), into)


def _write(records: Iterable[dict[str, Any]], into: BinaryIO) -> TakenApart:
    into.seek(0)
    into.truncate()
    longest = 0
    for record in records:
        line = json.dumps(record, ensure_ascii=False).encode()
        if len(line) > _MOST_BYTES:
            line = json.dumps(_malformed(line), ensure_ascii=False).encode()
        longest = max(longest, len(line))
        into.write(line + b"\n")
    into.flush()
    return TakenApart(longest)


def _malformed(line: bytes) -> dict[str, Any]:
    text = line[:_KEPT_OF_MALFORMED].decode(errors="replace")
    return {"text": text, "is_malformed": True}


def _ndjson_record(line: bytes) -> dict[str, Any]:
    try:
        return {"text": line.decode().strip()}
    except UnicodeDecodeError:
        return _malformed(line)


def _split(delivered: BinaryIO, end: bytes) -> Iterator[bytes]:
    """The text's lines, without their ends."""
    rest = b""
    is_first = True
    while chunk := delivered.read(_CHUNK_BYTES):
        *lines, rest = (rest + chunk).split(end)
        if is_first and lines:
            lines[0] = lines[0].removeprefix(_BYTE_ORDER_MARK)
            is_first = False
        yield from lines
    yield rest.removeprefix(_BYTE_ORDER_MARK) if is_first else rest


def _any_lines(delivered: BinaryIO) -> Iterator[bytes]:
    """The text's lines with their ends, whichever of the three each has."""
    rest = b""
    while chunk := delivered.read(_CHUNK_BYTES):
        lines = (rest + chunk).splitlines(keepends=True)
        # Its end may be a pair, of which the chunk has the first half.
        rest = lines.pop()
        yield from lines
    if rest:
        yield from rest.splitlines(keepends=True)


class _Lines:
    """Lines of which some can be put back, to be taken again."""

    def __init__(self, lines: Iterator[bytes]) -> None:
        self._lines = lines
        self._put_back: deque[bytes] = deque()

    def take(self) -> bytes | None:
        return self._put_back.popleft() if self._put_back else next(self._lines, None)

    def put_back(self, lines: list[bytes]) -> None:
        self._put_back.extendleft(reversed(lines))


def _record(lines: _Lines, width: int) -> dict[str, Any] | None:
    """The next record; an empty one for a blank line, None at the end."""
    first = lines.take()
    if first is None:
        return None
    if not first.rstrip(b"\r\n"):
        return {}
    taken = [first]
    fields = _fields(first, width)
    quotes = first.count(b'"')
    if fields is None and quotes % 2:
        # A field in quotes may go on in the next line.
        while quotes % 2 and len(taken) < _MOST_LINES_OF_A_RECORD:
            line = lines.take()
            if line is None:
                break
            taken.append(line)
            quotes += line.count(b'"')
        fields = _fields(b"".join(taken), width)
    if fields is None or len(fields) != width:
        lines.put_back(taken[1:])
        return _malformed(first.rstrip(b"\r\n"))
    return {"fields": [field or None for field in fields]}


def _fields(record: bytes, width: int) -> list[str] | None:
    """The record's fields, without empty ones beyond `width`; None where it is not clear what
    they are."""
    if record.endswith(b"\r\n"):
        record = record[:-2]
    elif record.endswith((b"\n", b"\r")):
        record = record[:-1]
    try:
        text = record.decode()
    except UnicodeDecodeError:
        return None
    fields = text.split(",") if '"' not in text else _fields_with_quotes(text)
    while fields and len(fields) > width and not fields[-1]:
        fields.pop()
    return fields


def _fields_with_quotes(text: str) -> list[str] | None:
    fields, place = [], 0
    while found := _FIELD.match(text, place):
        in_quotes, plain = found.groups()
        fields.append(plain if in_quotes is None else in_quotes.replace('""', '"'))
        place = found.end()
        if not found.group().endswith(","):
            return fields
    return None
