"""What the commands print: reports to standard output, progress and errors to standard error."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any

import structlog
import typer
from rich.console import Console
from rich.table import Table

out = Console(soft_wrap=True, highlight=False)
err = Console(stderr=True, soft_wrap=True, highlight=False)

AsJson = Annotated[bool, typer.Option("--json", help="Report as JSON.")]


def print_json(report: Any) -> None:
    """Print a report as JSON; times in ISO 8601, UTC."""
    out.print_json(json.dumps(report, default=_json_value))


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
        table.add_row(*("" if value is None else str(value) for value in row))
    out.print(table)


def log_to_stderr() -> None:
    """Log lines are for people at a terminal, and for machines everywhere else."""
    is_terminal = sys.stderr.isatty()
    renderer: Callable[..., Any] = (
        structlog.dev.ConsoleRenderer() if is_terminal else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
