"""A terminal for text that others wrote: nothing in it is obeyed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import IO, Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from orchestration.contract.shown import inert


class InertConsole(Console):
    """A console for text that others wrote: no markup, no emoji, nothing that a terminal obeys."""

    def __init__(self, **options: Any) -> None:
        super().__init__(highlight=False, markup=False, emoji=False, **options)

    def print(self, *objects: Any, **options: Any) -> None:
        """Text is written inert before rich sees it, which leaves some controls out."""
        super().print(
            *(inert(each) if isinstance(each, str) else each for each in objects), **options
        )

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Everything that is printed comes by here, as pieces of text and their styles."""
        for piece in super().render(renderable, options):
            yield piece if piece.control else Segment(inert(piece.text), piece.style)


class InertFile:
    """A file in front of a terminal."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def write(self, text: str) -> int:
        """Write text, inert."""
        return self._file.write(inert(text))

    def flush(self) -> None:
        """Let what was written be seen."""
        self._file.flush()
