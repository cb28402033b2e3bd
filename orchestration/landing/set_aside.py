"""Files in `landing/_failed/`, and the reasons beside them.

A reason has the name of its file with `.reason.txt` after it. A file that was dropped under such a
name is one like any other, and has a reason of its own.
"""

from __future__ import annotations

from pathlib import Path

from orchestration.contract.shown import inert_line

_REASON = ".reason.txt"
_SAID = " was set aside and nothing of it was loaded: "


def reason_beside(path: Path) -> Path:
    """Where the reason of a file is."""
    return path.with_name(f"{path.name}{_REASON}")


def written_reason(source_file: str, failure: str) -> str:
    """What stands beside a file, in whose name any character may be."""
    said = f"{source_file}{_SAID}{failure}"
    return f"{inert_line(said)}\nMend it and drop it again under landing/.\n"


def first_line_of(reason: str) -> str:
    """Why a file was set aside, of what stands beside it."""
    line = reason.partition("\n")[0]
    return line.partition(_SAID)[2] or line


def is_set_aside(path: Path) -> bool:
    """Whether this is a file that was set aside, and no reason of one."""
    return path.is_file() and (not path.name.endswith(_REASON) or reason_beside(path).exists())


def is_left_alone(path: Path) -> bool:
    """Whether this is the reason of a file that is there no more."""
    is_reason = path.is_file() and path.name.endswith(_REASON)
    return is_reason and not path.with_name(path.name[: -len(_REASON)]).exists()
