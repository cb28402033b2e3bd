"""What the contract says of one value in one column, in plain Python: the recount's reading of a
cell, and where the contract leaves either end open."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from recount.deliveries import FUTURE_TOLERANCE
from recount.values import (
    STREAMS,
    Column,
    Invalid,
    TwoOfAKey,
    WrittenNumber,
    attributes,
    boolean,
    counts_by_type,
    day,
    identity,
    is_blank,
    is_nan,
    label,
    loads,
    model,
    processing,
    provider,
    time_zone,
    timestamp,
    untrusted_total,
    whole_quarter_hour,
)
from torture.nasty import FAR

ANY = object()
"""Some value, which the contract does not name."""

COLUMNS = {stream: {column.name: column for column in of_it} for stream, of_it in STREAMS.items()}

_TEXTS = (identity, label, model, provider, processing)
NEEDED = "input_includes_cache"
"""Good rows have parts of the input in a cache, and so must tell it."""
_FLAGS = {"0", "1", "t", "f", "y", "n", "yes", "no", "on", "off", "1.0", "0.0", "12.0"}
# ISO 8601 has them, Python has not.
_TIMES_OF_ISO = re.compile(r".*(T24:00:00|:60)(Z|\.|$).*")


@dataclass(frozen=True)
class Result:
    """How a row may end whose other columns are good: accepted with the value, or rejected for one
    of the reasons. More than one end is open where the contract is silent."""

    value: object = None
    is_acceptable: bool = False
    reasons: frozenset[str] = frozenset()

    def or_rejected(self, *reasons: str) -> Result:
        return Result(self.value, self.is_acceptable, self.reasons | set(reasons))

    def or_accepted(self, value: object = ANY) -> Result:
        return self if self.is_acceptable else Result(value, True, self.reasons)


class NotJson:
    """A token that the JSON of most languages has not; `cell` is what others mean by it."""

    def __init__(self, cell: object) -> None:
        self.cell = cell


def cell_of_token(token: str) -> object:
    """What a JSON token says."""
    try:
        return loads(token)
    except TwoOfAKey as problem:
        return problem
    except ValueError:
        # Python writes these; so do other programs that write JSON without a library.
        named = {"NaN": "nan", "nan": "nan", "Infinity": "inf", "-Infinity": "-inf"}
        if token in named:
            return NotJson(float(named[token]))
        return NotJson(json.loads(token) if "NaN" in token else None)


def result_of(stream: str, column: Column, cell: object, now: datetime) -> Result:
    """What may become of the row."""
    invalid, malformed = f"invalid_{column.name}", "malformed_row"
    if isinstance(cell, TwoOfAKey):
        found = Result(reasons=frozenset({malformed, invalid}))
        return _or_passed_over(found, column)
    if isinstance(cell, NotJson):
        if cell.cell is None:
            return Result(reasons=frozenset({malformed, invalid}))
        return result_of(stream, column, cell.cell, now).or_rejected(malformed, invalid)
    if cell is None:
        if column.required or column.name == NEEDED:
            return Result(reasons=frozenset({f"missing_{column.name}"}))
        return Result("unknown" if column.read is model else None, is_acceptable=True)
    if _is_no_text(cell):
        found = Result(reasons=frozenset({malformed, invalid}))
        return _or_passed_over(found, column)
    found = _of_value(stream, column, cell, now)
    if column.name == NEEDED and is_blank(cell):
        return Result(reasons=frozenset({f"missing_{column.name}"}))
    if column.required and (is_blank(cell) or (is_nan(cell) and column.is_number)):
        is_acceptable = found.is_acceptable and column.read is not label
        found = Result(found.value, is_acceptable, found.reasons)
        found = found.or_rejected(f"missing_{column.name}", invalid)
    return _open_ends(column, cell, found, invalid)


def _or_passed_over(found: Result, column: Column) -> Result:
    """A total and a time zone are never a reason to reject, whatever they hold."""
    if column.read is untrusted_total:
        return found.or_accepted(-1)
    return found.or_accepted(None) if column.read is time_zone else found


def _of_value(stream: str, column: Column, cell: object, now: datetime) -> Result:
    try:
        if cell is FAR and column.read is not untrusted_total:
            raise Invalid
        value = column.parsed(cell)
    except Invalid:
        return Result(reasons=frozenset({f"invalid_{column.name}"}))
    latest = now + FUTURE_TOLERANCE
    of_the_past = column.name not in ("created_at", "valid_from", "valid_to")
    if isinstance(value, datetime) and value > latest and of_the_past:
        if column.name == "received_at":
            return Result(None, is_acceptable=True)
        kind = "updated" if column.name == "updated_at" else "occurred"
        return Result(reasons=frozenset({f"{kind}_in_future"}))
    return Result(value, is_acceptable=True)


def _open_ends(column: Column, cell: object, found: Result, invalid: str) -> Result:
    """Where the contract is silent, both ends are right, as long as there is one."""
    if column.read in _TEXTS:
        if isinstance(cell, str) and "\0" in cell:
            return found.or_accepted().or_rejected(invalid, "malformed_row")
        if isinstance(cell, bytes) and len(cell) == 16:
            return found.or_accepted()
        if _has_exponent(cell):
            return Result(ANY, is_acceptable=True, reasons=frozenset({"malformed_row"}))
        if isinstance(cell, (list, dict, bool, float, Decimal, time, timedelta, UUID, datetime)):
            return found.or_accepted().or_rejected(invalid)
        if is_blank(cell) and column.read is identity:
            return found.or_accepted().or_rejected(invalid, f"missing_{column.name}")
    if column.read is boolean and not isinstance(cell, bool):
        written = cell.decode(errors="replace") if isinstance(cell, bytes) else str(cell)
        if written.strip().lower() in _FLAGS or is_nan(cell) or _is_number(cell):
            return found.or_accepted().or_rejected(invalid)
    if column.read is counts_by_type:
        return _open_ends_of_counts(cell, found, invalid)
    if column.read is attributes:
        return _open_ends_of_attributes(cell, found, invalid)
    if (
        column.read in (timestamp, day, whole_quarter_hour)
        and isinstance(cell, str)
        and _TIMES_OF_ISO.fullmatch(cell)
    ):
        return found.or_accepted().or_rejected(invalid)
    if (
        column.name == "running_instances"
        and isinstance(found.value, int)
        and (found.value > 10**12)
    ):
        return found.or_rejected(invalid)
    if _has_exponent(cell) and not found.is_acceptable:
        # A whole number all the same, where it is one.
        found = found.or_rejected("malformed_row")
        return found.or_accepted() if "999" not in str(cell) else found
    return found


def _has_exponent(cell: object) -> bool:
    return isinstance(cell, WrittenNumber) and "e" in cell


def _open_ends_of_counts(cell: object, found: Result, invalid: str) -> Result:
    if isinstance(cell, (str, bytes)) and not isinstance(cell, WrittenNumber):
        written = cell.decode(errors="replace") if isinstance(cell, bytes) else cell
        if written == '{"A": 1, "A": 2}':
            return Result(reasons=frozenset({invalid, "malformed_row"}))
        try:
            cell = json.loads(written)
        except ValueError:
            return found
    if not isinstance(cell, dict):
        return found if cell is not None else found.or_accepted(None).or_rejected(invalid)
    values = list(cell.values())
    if any(is_nan(value) for value in values if isinstance(value, float)) or any(
        str(value) == "1e2" or str(value) == "100.0" for value in values
    ):
        return found.or_accepted().or_rejected(invalid, "malformed_row")
    if any(name == "" or len(name) > 256 for name in map(str, cell)):
        return found.or_rejected(invalid)
    return found


def _open_ends_of_attributes(cell: object, found: Result, invalid: str) -> Result:
    if isinstance(cell, (str, bytes)) and not isinstance(cell, WrittenNumber):
        written = cell.decode(errors="replace") if isinstance(cell, bytes) else cell
        if written == '{"A": 1, "A": 2}':
            return Result(reasons=frozenset({invalid, "malformed_row"}))
        return found
    if not isinstance(cell, dict):
        return found if cell is not None else found.or_accepted(None).or_rejected(invalid)
    if any(_has_exponent(value) or isinstance(value, float) for value in cell.values()):
        # How a number is written that JSON has several ways for, or none.
        return found.or_accepted().or_rejected(invalid, "malformed_row")
    if not all(isinstance(name, str) for name in cell):
        return found.or_accepted().or_rejected(invalid)
    return found


def _is_number(cell: object) -> bool:
    return isinstance(cell, (int, float, Decimal, WrittenNumber))


def _is_no_text(cell: object) -> bool:
    """Whether it holds what is not UTF-8."""
    if isinstance(cell, bytes):
        try:
            cell.decode()
        except UnicodeDecodeError:
            return len(cell) != 16
        return False
    return isinstance(cell, str) and any("\ud800" <= each <= "\udfff" for each in cell)


def is_value(column: Column, expected: object, cell: object, found: Any) -> bool:
    """Whether what the lake has is the value; `found` is as DuckDB gives it to Python."""
    if expected is ANY:
        return True
    is_number = isinstance(cell, WrittenNumber)
    if column.read is processing and not is_number and isinstance(cell, (str, bytes, type(None))):
        return bool(found == (expected or "standard"))
    if column.read in _TEXTS and (
        isinstance(cell, WrittenNumber) or not isinstance(cell, (str, bytes))
    ):
        return expected is not None or found is None
    if column.read in (label,) and expected == "":
        return found in (None, "")
    if column.read is counts_by_type:
        counts = {name: count for name, count in (found or {}).items() if count}
        # What is expected is of no one type; here it is a mapping or nothing.
        return counts == dict(expected or ())  # type: ignore[call-overload,no-any-return]
    if column.read is attributes:
        # As with counts: a mapping or nothing.
        return dict(found or {}) == dict(expected or ())  # type: ignore[call-overload,no-any-return]
    if isinstance(expected, datetime):
        return bool(found == expected.replace(tzinfo=None))
    if column.name == "running_instances" and not expected:
        return not found
    if column.name == "toxicity_score" and expected is not None:
        # Here it is a number.
        return found is not None and abs(float(found) - float(expected)) < 1e-6  # type: ignore[arg-type]
    return bool(found == expected)
