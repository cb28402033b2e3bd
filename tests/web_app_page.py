"""The examples of docs/web-app.md, as they stand there."""

from __future__ import annotations

import re

from published_demo import CHECKOUT

PAGE = CHECKOUT / "docs" / "web-app.md"


def examples(language: str) -> list[str]:
    """All blocks of a language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)


def example(language: str, having: str) -> str:
    """The one block of a language that has this text in it."""
    (found,) = [block for block in examples(language) if having in block]
    return found
