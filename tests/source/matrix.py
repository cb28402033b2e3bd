"""The matrix of nasty values once more, from tables of every type that may hold a column."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID

from installation import Installation
from orchestration.contract.streams import STREAMS_BY_NAME
from orchestration.source.columns import accepted_types
from recount.deliveries import IDENTITIES
from source.platform_rows import pull_and_land
from source.server import Server
from torture.matrix import COLUMNS, Delivered, Matrix, Trial, good_cells
from torture.nasty import FAR, TEXTS
from torture.results import cell_of_token

# PostgreSQL has neither NUL nor halves of characters in its texts.
_TEXT = {text: text for text in TEXTS if "\0" not in text and text.isprintable()}
_JSON = (
    *("null", "{}", "[]", "[1]", "7", '"x"', "true", '{"A": 1}', '{"A": 2.0}', '{"A": -1}'),
    *('{"A": 1.5}', '{"A": "x"}', '{"A": "3"}', '{"A": null}', '{"A": [1]}', '{"A": {"B": 1}}'),
    *('{"A": 1000000000001}', '{"A": 1000000000000, "B": 1}', '{"A": true}'),
)
_TIMES: dict[str, object] = {
    "2026-02-28 08:00:00.123456": datetime(2026, 2, 28, 8, 0, 0, 123456, UTC),
    "1970-01-01 00:00:00": datetime(1970, 1, 1, tzinfo=UTC),
    "1969-12-31 23:59:59.999999": datetime(1969, 12, 31, 23, 59, 59, 999999, UTC),
    "2026-03-01 12:05:00.000001": datetime(2026, 3, 1, 12, 5, 0, 1, UTC),
    "9998-12-31 23:59:59.999999": datetime(9998, 12, 31, 23, 59, 59, 999999, UTC),
    "9999-01-01 00:00:00": datetime(9999, 1, 1, tzinfo=UTC),
    "0001-01-01 00:00:00": datetime(1, 1, 1, tzinfo=UTC),
    "4000-06-01 00:00:00 BC": FAR,
    "290000-01-01 00:00:00": FAR,
    "infinity": FAR,
    "-infinity": FAR,
}
_WHOLE: dict[str, object] = {str(n): n for n in (-1, 0, 1, 5, 6, 12, 100)}
_NUMBERS: dict[str, object] = {
    **{text: float(text) for text in ("-1", "0", "1", "1.5", "0.5", "7", "12.0", "1e-7")},
    "NaN": float("nan"),
    "Infinity": float("inf"),
    "-Infinity": float("-inf"),
}
VALUES: Mapping[str, Mapping[str, object]] = {
    "text": _TEXT,
    "varchar": {text: text for text in list(_TEXT)[::3]},
    "bpchar": {"7": "7", "x": "x"},
    "name": {"7": "7", "x": "x", "": ""},
    "int2": _WHOLE,
    "int4": {**_WHOLE, "2147483647": 2**31 - 1},
    "int8": {**_WHOLE, **{str(n): n for n in (10**12, 10**12 + 1, 2**63 - 1, -(2**63))}},
    "float4": _NUMBERS,
    "float8": {**_NUMBERS, "1e300": 1e300},
    "numeric": {
        **{text: Decimal(text) for text in ("-1", "0", "1", "5", "1.5", "0.5", "7", "12.0")},
        **{text: Decimal(text) for text in ("9" * 30, "86400000.5", "0.0000001")},
        "NaN": Decimal("NaN"), "Infinity": Decimal("Infinity"),
    },
    "bool": {"true": True, "false": False},
    "uuid": {"05b2d0a4-31f3-43ae-8850-2d82648c44b2": UUID("05b2d0a4-31f3-43ae-8850-2d82648c44b2")},
    "timestamptz": {f"{text}{'' if 'inf' in text else '+00'}".replace(" BC+00", "+00 BC"): cell
                    for text, cell in _TIMES.items()},
    "timestamp": _TIMES,
    "date": {"2026-02-28": date(2026, 2, 28), "9999-12-31": date(9999, 12, 31),
             "4000-01-01 BC": FAR, "infinity": FAR},
    "json": {text: cell_of_token(text) for text in (*_JSON, '{"A": 1, "A": 2}')},
    "jsonb": {text: cell_of_token(text) for text in _JSON},
}  # fmt: skip
_WHOLE_TYPES = ("int2", "int4", "int8", "numeric", "float4", "float8")


class PostgresMatrix(Matrix):
    """Tables of one type after the other for each column, each pulled and landed."""

    def pull_all(self, server: Server, installation: Installation) -> None:
        """As many rounds as the column that may have most types; no value of a type comes twice."""
        # Optional streams are read from a source only where a setting names their tables.
        types = {
            stream: {name: _types_of(stream, name) for name in COLUMNS[stream]}
            for stream in COLUMNS
            if not STREAMS_BY_NAME[stream].is_optional
        }
        rounds = max(len(names) for of_stream in types.values() for names in of_stream.values())
        for number in range(rounds):
            files = [
                self._fill(server, stream, of_stream, number) for stream, of_stream in types.items()
            ]
            server.run("grant select on all tables in schema public to reader")
            pulled, loads = pull_and_land(installation)
            assert not pulled.problems, pulled.problems
            named = {load.stream: load.source_file for load in loads}
            assert len(named) == len(loads) == len(files), [load.source_file for load in loads]
            for file in files:
                file.name = named[file.stream].removeprefix(f"{file.stream}/")
            self.files += files

    def _fill(
        self, server: Server, stream: str, types: Mapping[str, Sequence[str]], number: int
    ) -> Delivered:
        """Make the table anew, with a row for each value of each column's type of this round."""
        kinds = {name: of_it[number % len(of_it)] for name, of_it in types.items()}
        columns = ", ".join(f"{name} {kind}" for name, kind in kinds.items())
        server.run(
            f"drop table if exists {stream}",
            f"create table {stream} ({columns}, place serial)",
        )
        file = Delivered("", stream)
        trials: list[Trial] = []
        for column, of_it in types.items():
            if number < len(of_it):
                for written, cell in {**VALUES[kinds[column]], "null": None}.items():
                    trials.append(self.trial(stream, column, written, cell))
        trials.append(self.good_trial(stream))
        places = ", ".join(f"%s::text::{kind}" for kind in kinds.values())
        with server.connect() as session, session.cursor() as cursor:
            cursor.executemany(
                f"insert into {stream} values ({places})",
                [_texts(trial, kinds) for trial in trials],
            )
        # They are read page by page, and a small row may be put before a large one.
        read = server.rows(f"select place from {stream} order by ctid")
        for row_number, (place,) in enumerate(read, start=1):
            trial = trials[place - 1]
            if trial.column:
                file.trials[row_number] = trial
        return file


def _types_of(stream: str, name: str) -> list[str]:
    (column,) = (each for each in STREAMS_BY_NAME[stream].columns if each.name == name)
    kinds = [kind for kind in accepted_types(column) if kind in VALUES]
    # The customers here have numbers of seven digits, and so have what rows are called by.
    is_long = name in ("customer_id", *IDENTITIES.values()) or name.endswith("_name")
    return [kind for kind in kinds if not is_long or kind not in ("int2", "float4")]


def _texts(trial: Trial, kinds: Mapping[str, str]) -> list[str | None]:
    """The row, each value as a text that PostgreSQL takes for its column's type."""
    good = good_cells(trial)
    row: list[str | None] = []
    for name, kind in kinds.items():
        if name == trial.column:
            row.append(None if trial.cell is None else trial.written)
        elif kind == "uuid":
            row.append(str(UUID(int=_number_in(good[name]))))
        elif kind in _WHOLE_TYPES:
            row.append(str(_number_in(good[name])))
        elif isinstance(good[name], (dict, bool)):
            row.append(json.dumps(good[name]))
        else:
            row.append(str(good[name]))
    return row


def _number_in(value: object) -> int:
    """A whole number to stand for the value in a column of a type that has no texts."""
    if isinstance(value, bool):
        return int(value)
    digits = "".join(character for character in str(value).split(".")[0] if character.isdigit())
    return int(digits or 0)
