"""The commands that there are."""

from __future__ import annotations

from typing import Any


def commands_of(command: Any, words: tuple[str, ...] = ()) -> dict[str, Any]:
    """Commands by their words; a group, which is made of others, is none itself."""
    inner = getattr(command, "commands", None)
    if inner is None:
        return {" ".join(words): command}
    return {
        name: each
        for word, part in inner.items()
        for name, each in commands_of(part, (*words, word)).items()
    }
