"""Values that a sender may write where the contract wants another, in each format's own way.

`TOKENS` are pieces of JSON; CSV has the text of each. `TYPED` are values of Parquet's types, as
DuckDB writes them, each with what a reader in Python makes of it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from uuid import UUID

LONG = "x" * 1_000_000
FAR = datetime.max.replace(tzinfo=UTC)
"""Stands for a time that Python has no calendar for."""

_STRINGS = (
    *("", " ", "\u2003\u00a0", "x", "null", "None", "NaN", "Infinity", "-Infinity", "true"),
    *("FALSE", "yes", "t", "12.0", " 12 ", "\u00a012\u2003", "+12", "012", "12.", "1e3", "0x10"),
    *("1_000", "-1", "1.5", "9" * 30, "1e999", "0.5", "١٢", "1,5"),
    *("a\0b", "\ud800", "a\udcff", "🙂é", LONG, "x" * 128, "x" * 129, "x" * 256, "x" * 257),
    *("*?[a-z]{1}'\";--", "../../etc/passwd", "=1+1", "\x1b[2J", "a\nb", "a\tb,c"),
    *("{}", "[]", '{"A": 1}', '{"A": "x"}', '{"A": -1}', '{"A": 1, "A": 2}', '{"A": [1]}'),
    *("2026-02-28", "2026-02-28T08:00", "2026-02-28 08:00:00", "2026-02-28T08:00:00Z"),
    *("2026-02-28T08:00:00z", "2026-02-28 08:00:00 +0100", "2026-02-28T08:00:00.123456789+01:00"),
    *("2026-02-28T08:00:00+18:00", "2026-02-28T08:00:00-18:00", "2026-02-28T08:00:00+18:01"),
    *("2026-02-28T08:00:00+99:00", "2026-02-28T08:00:00+00:60", "2026-02-30T00:00:00Z"),
    *("2026-2-8", "2026-02-28T24:00:00Z", "2026-02-28T23:59:60Z", "28/02/2026", "1772265600"),
    *("0000-01-01T00:00:00Z", "0001-01-01T00:00:00+01:00", "0001-01-01T00:00:00Z"),
    *("1969-12-31T23:59:59.999999Z", "1970-01-01T00:00:00Z", "1970-01-01T00:30:00+01:00"),
    *("9998-12-31T23:59:59.999999Z", "9999-01-01T00:00:00Z", "9999-12-31T23:59:59-23:59"),
    *("10000-01-01T00:00:00Z", "-0044-03-15T00:00:00Z", "0044-03-15 (BC)", "infinity", "-infinity"),
    *("2026-03-01T12:05:00Z", "2026-03-01T12:05:00.000001Z", "2027-01-01T00:00:00Z", "now"),
    *("2026-02-28T08:00:00 Europe/Paris", "290000-01-01", "05b2d0a4-31f3-f3ae-8850-2d82648c44b2"),
)  # fmt: skip
_OTHERS = (
    *("null", "true", "false", "0", "-0", "1", "5", "6", "-1", "1.5", "12.0", "0.5", "1e3"),
    *("1e999", "-1e999", "9" * 30, "1000000000000", "1000000000001", "9223372036854775807"),
    *("86400000", "9223372036854775808", "-9223372036854775809", "86400000.5", "0.1e-400", "1e-7"),
    *("NaN", "Infinity", "-Infinity", "nan", "undefined", "'x'"),
    *("[]", "{}", "[1]", "[[]]", '[{"a": 1}]', '{"a": {"b": [1, 2]}}', '{"A": 1}', '{"A": 2.0}'),
    *('{"A": null}', '{"A": -1}', '{"A": 1.5}', '{"A": "x"}', '{"A": "3"}', '{"A": true}'),
    *('{"A": 1000000000001}', '{"A": 1000000000000, "B": 1}', '{"A": NaN}', '{"A": 1, "A": 2}'),
    *('{"": 1}', '{"A": []}', '{"A": {"B": 1}}', '{"' + "k" * 1000 + '": 1}', '{"A": 1e2}'),
)  # fmt: skip


def _token(text: str) -> str:
    # A lone half of a pair is escaped, which JSON allows; a byte that is no UTF-8 stays one.
    return json.dumps(text, ensure_ascii="\udcff" not in text)


TOKENS = (*(_token(text) for text in _STRINGS), *_OTHERS)
TEXTS = (*_STRINGS, *(token for token in _OTHERS if token != "null"))
"""The same as CSV has them; an empty cell says nothing."""

_NUMBERS = (-1, 0, 1, 5, 6, 12, 100)
_AS_TEXT = tuple(text for text in TEXTS if "\udcff" not in text and text != "\ud800")
_TIMES = {
    "timestamp '2026-02-28 08:00:00.123456'": datetime(2026, 2, 28, 8, 0, 0, 123456, UTC),
    "timestamp '1970-01-01 00:00:00'": datetime(1970, 1, 1, tzinfo=UTC),
    "timestamp '1969-12-31 23:59:59.999999'": datetime(1969, 12, 31, 23, 59, 59, 999999, UTC),
    "timestamp '2026-03-01 12:05:00.000001'": datetime(2026, 3, 1, 12, 5, 0, 1, UTC),
    "timestamp '9998-12-31 23:59:59.999999'": datetime(9998, 12, 31, 23, 59, 59, 999999, UTC),
    "timestamp '9999-01-01 00:00:00'": datetime(9999, 1, 1, tzinfo=UTC),
    "timestamp '0001-01-01 00:00:00'": datetime(1, 1, 1, tzinfo=UTC),
    "timestamp '4000-06-01 (BC) 00:00:00'": FAR,
    "timestamp '290000-01-01 00:00:00'": FAR,
    "timestamp 'infinity'": FAR,
    "timestamp '-infinity'": FAR,
}
_SHORT_TIMES = dict(list(_TIMES.items())[:4])


def _as(type_name: str, values: Mapping[str, object]) -> dict[str, object]:
    return {f"cast({sql} as {type_name})": cell for sql, cell in values.items()}


def _text(value: str) -> str:
    return "'" + value.replace("'", "''").replace("\0", "' || chr(0) || '") + "'"


_WHOLE: dict[str, object] = {str(number): number for number in _NUMBERS}

TYPED: Mapping[str, Mapping[str, object]] = {
    "boolean": {"true": True, "false": False, "null": None},
    "tinyint": _as("tinyint", _WHOLE),
    "integer": _as("integer", {**_WHOLE, "2147483647": 2**31 - 1}),
    "ubigint": _as("ubigint", {"7": 7, str(2**64 - 1): 2**64 - 1}),
    "bigint": _as(
        "bigint",
        {
            **_WHOLE,
            **{str(n): n for n in (10**12, 10**12 + 1, 2**63 - 1, 86_400_000)},
            "-9223372036854775807": -(2**63) + 1,
            "null": None,
        },
    ),
    "double": {
        **_as("double", {"7": 7.0, "12.0": 12.0, "1.5": 1.5, "0.5": 0.5, "-1": -1.0, "-0.0": -0.0}),
        **_as("double", {"1e12": 1e12, "1e30": 1e30, "1e300": 1e300, "9.3e18": 9.3e18}),
        "'nan'::double": float("nan"),
        "'inf'::double": float("inf"),
        "'-inf'::double": float("-inf"),
        "null": None,
    },
    "float": {
        **_as("float", {"7": 7.0, "1.5": 1.5, "0.5": 0.5, "-1": -1.0}),
        "'nan'::float": float("nan"),
        "'inf'::float": float("inf"),
    },
    "decimal(38, 10)": _as(
        "decimal(38, 10)",
        {"7": Decimal(7), "1.5": Decimal("1.5"), "0.5": Decimal("0.5"), "-1": Decimal(-1),
         "86400000.5": Decimal("86400000.5"), "9" * 28: Decimal("9" * 28)},
    ),
    "decimal(6, 2)": _as("decimal(6, 2)", {"7": Decimal(7), "0.25": Decimal("0.25")}),
    "varchar": {_text(text): text for text in _AS_TEXT},
    "blob": {
        **{
            f"encode({_text(text)})": text.encode()
            for text in ("", " ", "7", "12.0", "x", "true", "NaN", "0.5", '{"A": 1}', "é🙂",
                         "2026-02-28T08:00:00Z", "x" * 129, "x" * 257)
        },
        r"'\xFF\xFE'::blob": b"\xff\xfe",
        r"'\xED\xA0\x80'::blob": b"\xed\xa0\x80",
    },
    "date": {
        "date '2026-02-28'": date(2026, 2, 28),
        "date '9999-12-31'": date(9999, 12, 31),
        "date '0001-01-01'": date(1, 1, 1),
        "date '4000-01-01 (BC)'": FAR,
        "date 'infinity'": FAR,
        "null": None,
    },
    "timestamp": _TIMES,
    "timestamptz": {
        sql.replace("timestamp '", "timestamptz '").replace("'infinity'", "'infinity'"): cell
        for sql, cell in _TIMES.items()
    },
    "timestamp_ns": {
        **_as("timestamp_ns", _SHORT_TIMES),
        "timestamp_ns '2026-02-28 08:00:00.123456789'": datetime(2026, 2, 28, 8, 0, 0, 123456, UTC),
        "timestamp_ns '2026-02-28 23:59:59.999999999'": datetime(
            2026, 2, 28, 23, 59, 59, 999999, UTC
        ),
    },
    "timestamp_ms": _as(
        "timestamp_ms",
        {"timestamp '2026-02-28 08:00:00.123'": datetime(2026, 2, 28, 8, 0, 0, 123000, UTC),
         "timestamp '9999-01-01 00:00:00'": datetime(9999, 1, 1, tzinfo=UTC)},
    ),
    "timestamp_s": _as(
        "timestamp_s",
        {"timestamp '2026-02-28 08:00:00'": datetime(2026, 2, 28, 8, tzinfo=UTC)},
    ),
    "time": {"time '08:00:00'": time(8)},
    "interval": {"interval '1' day": timedelta(1)},
    "uuid": {"uuid '05b2d0a4-31f3-f3ae-8850-2d82648c44b2'": UUID(
        "05b2d0a4-31f3-f3ae-8850-2d82648c44b2")},
    "integer[]": {"[1, 2]": [1, 2], "[]::integer[]": [], "null": None},
    "struct": {"{'A': 1}": {"A": 1}, "{'A': -1}": {"A": -1}, "{'A': null::integer}": {"A": None}},
    "struct of text": {"{'A': 'x'}": {"A": "x"}, "{'A': '3'}": {"A": "3"}},
    "nested": {"{'A': {'B': [1]}}": {"A": {"B": ["1"]}}},
    "map": {
        "map {'A': 1, 'B': 2}": {"A": 1, "B": 2},
        "map {'A': 1000000000001}": {"A": 10**12 + 1},
        "map {'A': 1000000000000, 'B': 1}": {"A": 10**12, "B": 1},
        "map {'A': null::bigint}": {"A": None},
        "map {}::map(varchar, bigint)": {},
    },
    "map of doubles": {
        "map {'A': 1.0::double}": {"A": 1.0},
        "map {'A': 1.5::double}": {"A": 1.5},
        "map {'A': 'nan'::double}": {"A": float("nan")},
        "map {'A': 'inf'::double}": {"A": float("inf")},
        "map {'A': 1e300::double}": {"A": 1e300},
    },
    "map of numbers": {"map {1: 2}": {"1": 2}},
    "enum": {f"'{text}'::enum ('x', '7', 'true')": text for text in ("x", "7", "true")},
    "null only": {"null": None},
}  # fmt: skip
