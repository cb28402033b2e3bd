"""Text that others wrote, as it may be shown: nothing in it is obeyed.

Names come from whoever delivers events. One with ESC in it could clear the screen, write to the
clipboard or hide a line of a report; one with a bidirectional override reads as another name.
"""

from __future__ import annotations

import json
import re
from typing import Any

_UNSAFE = re.compile(
    "["
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # controls, but for tab and line feed
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # what sets the direction of writing
    "\u2028\u2029"  # ends of lines that only some see
    "\ud800-\udfff"  # bytes of a file's name that are no text: they cannot be written at all
    "]"
)


_UNSAFE_IN_A_LINE = re.compile(f"[\t\n]|{_UNSAFE.pattern}")


def inert(text: str) -> str:
    """Text of several lines, in which each unsafe character is written as Python writes it."""
    return _UNSAFE.sub(_spelled, text)


def inert_line(text: str) -> str:
    """The same for what stands in one line, such as the cell of a table."""
    return _UNSAFE_IN_A_LINE.sub(_spelled, text)


def one_line(text: str, most: int) -> str:
    """Text of several lines in one of at most so many characters, as `inert_line` writes them.

    A line feed alone ends a line: `split` and `splitlines` also part names at other characters.
    """
    line = inert_line(" ".join(part for each in text.split("\n") if (part := each.strip(" \t"))))
    return line if len(line) <= most else f"{line[: most - 1]}…"


def inert_json(value: Any, *, indent: int | None = None) -> str:
    """JSON that means the same, whatever is in its texts; what JSON has not is a text."""
    written = json.dumps(value, ensure_ascii=False, indent=indent, default=str)
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", written)


def _spelled(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()
