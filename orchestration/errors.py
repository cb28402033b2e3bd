"""What may go wrong and says so itself, and what the command line ends with then."""

from __future__ import annotations

from typing import ClassVar

FAILED = 1
WRONG_SETTINGS = 2
# Some of it was set aside, and all else is published.
PUBLISHED_WITHOUT = 3
# What a shell says of a program that SIGTERM ended.
STOPPED_BY_SIGNAL = 143


class AgentstatsError(Exception):
    """The base of errors whose message says what is wrong and what to do."""

    exit_code: ClassVar[int] = FAILED
    about: ClassVar[str] = "error"
