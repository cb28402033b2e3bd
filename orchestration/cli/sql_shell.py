"""`agentstats sql`: questions to the published snapshot, one at a time or at a prompt."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from typing import IO, Any, Literal

import duckdb
from rich.table import Table

from api.stats.responses import inert
from orchestration.cli import terminal
from orchestration.contract import shown
from orchestration.publication.reading import OpenSnapshot, ReadingProblem

ROWS_SHOWN = 1000
_BATCH = 10_000
FILE_WIDTH = 10_000  # a terminal folds what is too wide for it; a file has room
_PROMPT, _PROMPT_GOES_ON = "agentstats> ", "       ...> "

_READS = {
    duckdb.StatementType.SELECT,
    duckdb.StatementType.EXPLAIN,
    duckdb.StatementType.RELATION,
}

# How an answer is written.
OutputFormat = Literal["table", "csv", "json"]

HELP = """\
Type SQL and end it with ; — the marts are in schema marts, which need not be named.
.marts          what there is, and what one row of it is
.columns MART   the columns of a mart, with units and whether they may be summed
.metrics        the ratios and averages that can be called
.help           this
.quit           leave (or Ctrl-D)
"""

_MARTS = """
select table_name as mart, estimated_size as rows, split_part(comment, '. ', 1) as one_row
from duckdb_tables() where schema_name = 'marts' order by table_name
"""
_COLUMNS = """
select column_name as "column", lower(data_type) as type, comment as meaning
from duckdb_columns() where schema_name = 'marts' and table_name = $mart order by column_index
"""
_METRICS = """
select function_name || '(' || array_to_string(parameters, ', ') || ')' as metric,
    comment as meaning
from duckdb_functions() where schema_name = 'marts' order by function_name
"""


class Shell:
    """Answers queries over one open snapshot, on `out`."""

    def __init__(self, snapshot: OpenSnapshot, out: IO[str], written_as: OutputFormat) -> None:
        self._snapshot = snapshot
        self._connection = snapshot.connection
        self._console = terminal.InertConsole(file=out, width=None if out.isatty() else FILE_WIDTH)
        # What goes on to a program is written as it is.
        self._out = terminal.InertFile(out) if out.isatty() else out
        self._format = written_as

    def answer(self, query: str, parameters: dict[str, Any] | None = None) -> None:
        """Write the rows of each statement in `query`.

        Raises `ReadingProblem` where it is wrong, and where it would write: before any of it runs.
        """
        try:
            for statement in self._statements(query):
                cursor = self._connection.execute(statement, parameters)
                names = [column[0] for column in cursor.description or ()]
                self._write(names, _batches(cursor))
        except duckdb.InterruptException:
            raise ReadingProblem("interrupted") from None
        except duckdb.PermissionException as error:
            raise ReadingProblem(
                "refused: a query reads the published snapshot and no other file. "
                "To join data of your own, attach "
                f"{self._snapshot.link} (read_only) in DuckDB itself"
            ) from error
        except duckdb.Error as error:
            raise ReadingProblem(str(error)) from error

    def converse(self, read_line: Callable[[str], str]) -> None:
        """Answer what is typed until it ends. `read_line` gets the prompt and returns a line."""
        data_as_of = self._snapshot.data_as_of
        self._say(
            f"Snapshot {self._snapshot.snapshot_id}, "
            + (f"data as of {data_as_of:%Y-%m-%d %H:%M:%S} UTC" if data_as_of else "no data yet")
            + ". Read-only. .help helps, .quit quits."
        )
        typed = ""
        while True:
            try:
                line = read_line(_PROMPT_GOES_ON if typed else _PROMPT)
            except EOFError:
                self._say("")
                return
            except KeyboardInterrupt:
                typed = ""
                self._say("")
                continue
            if not typed and line.strip().startswith("."):
                if line.strip() in {".quit", ".exit"}:
                    return
                self._try(partial(self._command, line.split()))
                continue
            typed = f"{typed}\n{line}".strip()
            if typed.endswith(";"):
                query, typed = typed, ""
                self._try(partial(self.answer, query))

    def _try(self, step: Callable[[], None]) -> None:
        try:
            step()
        except ReadingProblem as problem:
            self._say(str(problem))
        except KeyboardInterrupt:
            self._say("interrupted")

    def _command(self, words: Sequence[str]) -> None:
        match words:
            case [".marts"]:
                self.answer(_MARTS)
            case [".columns", mart]:
                self.answer(_COLUMNS, {"mart": mart.removeprefix("marts.")})
            case [".metrics"]:
                self.answer(_METRICS)
            case _:
                self._say(HELP)

    def _statements(self, query: str) -> list[duckdb.Statement]:
        statements = self._connection.extract_statements(query)
        if not statements:
            raise ReadingProblem("there is no query in that")
        for statement in statements:
            if statement.type not in _READS:
                raise ReadingProblem(
                    f"refused: {statement.type.name} is no question, and the published snapshot is "
                    "read-only. SELECT, WITH, FROM, DESCRIBE, SHOW, SUMMARIZE and EXPLAIN are "
                    "answered; `--format csv` and `agentstats export` make files"
                )
        return list(statements)

    def _write(self, names: list[str], batches: Iterator[list[tuple[Any, ...]]]) -> None:
        match self._format:
            case "table":
                self._write_table(names, batches)
            case "csv":
                writer = csv.writer(self._out, lineterminator="\n")
                writer.writerow(names)
                for rows in batches:
                    writer.writerows([inert(value) for value in row] for row in rows)
            case "json":
                self._write_json(names, batches)

    def _write_table(self, names: list[str], batches: Iterator[list[tuple[Any, ...]]]) -> None:
        rows: list[tuple[Any, ...]] = []
        total = 0
        for batch in batches:
            total += len(batch)
            rows += batch[: ROWS_SHOWN - len(rows)]
        table = Table(show_edge=False)
        for place, name in enumerate(names):
            are_numbers = all(isinstance(row[place], int | float | Decimal) for row in rows)
            table.add_column(
                shown.inert_line(name),
                justify="right" if rows and are_numbers else "left",
                overflow="fold",
            )
        for row in rows:
            table.add_row(*("" if value is None else shown.inert(str(value)) for value in row))
        self._console.print(table)
        more = f"{total} rows" if total != 1 else "1 row"
        if total > ROWS_SHOWN:
            more += f", the first {ROWS_SHOWN} shown; --format csv writes all"
        self._console.print(more)

    def _write_json(self, names: list[str], batches: Iterator[list[tuple[Any, ...]]]) -> None:
        self._out.write("[")
        separator = "\n"
        for rows in batches:
            for row in rows:
                values = {name: _plain(value) for name, value in zip(names, row, strict=True)}
                self._out.write(separator + shown.inert_json(values))
                separator = ",\n"
        self._out.write("\n]\n")

    def _say(self, text: str) -> None:
        self._out.write(text + "\n")
        self._out.flush()


def read_line_from_terminal(prompt: str) -> str:
    """A line that is typed, with the line editing of the terminal where there is one."""
    with suppress(ImportError):
        import readline  # noqa: F401  # being imported is what it is for
    return input(prompt)


def _batches(cursor: duckdb.DuckDBPyConnection) -> Iterator[list[tuple[Any, ...]]]:
    """All rows: a result that is not read to its end blocks the connection."""
    while rows := cursor.fetchmany(_BATCH):
        yield rows


def _plain(value: Any) -> Any:
    """A value as JSON has it; NaN and infinities, which it has not, become null. A decimal with
    decimals is a text, as the API has money: most readers make a double of a number."""
    if isinstance(value, Decimal):
        return f"{value:f}" if value.as_tuple().exponent else int(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value
