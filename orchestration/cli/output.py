"""What the commands print: reports to standard output, progress and errors to standard error."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Mapping, MutableMapping
from datetime import UTC, datetime
from typing import Annotated, Any

import structlog
import typer
from rich.highlighter import JSONHighlighter
from rich.table import Table
from rich.text import Text

from orchestration.cli.terminal import InertConsole
from orchestration.contract.shown import inert, inert_json, inert_line

out = InertConsole(soft_wrap=True)
err = InertConsole(stderr=True, soft_wrap=True)

AsJson = Annotated[bool, typer.Option("--json", help="Report as JSON.")]


def print_json(report: Any) -> None:
    """Print a report as JSON; times in ISO 8601, UTC."""
    plain = json.loads(json.dumps(report, default=_json_value))
    out.print(JSONHighlighter()(Text(inert_json(plain, indent=2))))


def complain(problem: object, *, about: str = "error") -> None:
    """Print what is wrong, to standard error."""
    err.print(Text.assemble((f"{about}:", "red"), f" {inert(str(problem))}"))


def print_line(text: str) -> None:
    """Print one line, whatever is in the names in it."""
    out.print(inert_line(text))


def _json_value(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return str(value)


def print_table(
    title: str, columns: list[str], rows: list[tuple[Any, ...]], *, unbroken: int = 0
) -> None:
    """Print rows below their columns; nothing where there are none.

    In a narrow window cells are folded, but for those of the first `unbroken` columns.
    """
    if not rows:
        return
    table = Table(title=title, title_justify="left", show_edge=False)
    for number, column in enumerate(columns):
        table.add_column(column, overflow="fold", no_wrap=number < unbroken)
    for row in rows:
        table.add_row(*("" if value is None else inert_line(str(value)) for value in row))
    out.print(table)


def log_to_stderr() -> None:
    """Log lines are for people at a terminal, and for machines everywhere else."""
    is_terminal = sys.stderr.isatty()
    renderer: Callable[..., Any] = (
        structlog.dev.ConsoleRenderer() if is_terminal else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            _inert_values,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def _inert_values(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """What is no text is written by Python, which spells what is unsafe."""
    return {key: inert(value) if isinstance(value, str) else value for key, value in event.items()}
