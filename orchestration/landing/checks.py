"""The contract's rules as DuckDB SQL: text (or a Parquet column) in, a typed value or NULL out.

Every expression here is NULL where its rule is broken, so that one shape serves all columns: NULL
in → `missing_<column>`, NULL out → `invalid_<column>`.
"""

from __future__ import annotations

from orchestration.landing.streams import (
    MAX_COUNT,
    MAX_ID_LENGTH,
    MAX_RESPONSE_TIME_MS,
    Column,
    Kind,
    Stream,
)

FUTURE_TOLERANCE = "interval 5 minutes"
MALFORMED = "malformed_row"

# The characters themselves: DuckDB's escapes know no \v, and would read it as the letter.
_WHITE_SPACE = "' \t\n\r\f\v'"
# `12` and `12.0` are integers (tools that know no nullable integer write the latter); `12.5`,
# `1e3`, `0x10` and `1_000` are not, though a plain cast would take them all.
_INTEGER_TEXT = r"'\s*[+-]?[0-9]+(\.0*)?\s*'"
# A plain cast also takes `infinity`, `2026-1-1`, `44-03-15 (BC)` and zone names.
_ISO_8601_TEXT = (
    r"'\s*\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}([.]\d+)?)?\s?(Z|z|[+-]\d{2}(:?\d{2})?)?)?\s*'"
)

# What nearly every producer writes. A time in it is read without the calendar that offsets need,
# at half the cost; both ways give the same instant.
_PLAIN_INSTANT_TEXT = r"'(19|20)\d{2}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}([.]\d{1,6})?Z?'"

_INTEGER_TYPES = {
    "TINYINT",
    "SMALLINT",
    "INTEGER",
    "BIGINT",
    "UTINYINT",
    "USMALLINT",
    "UINTEGER",
}
_WIDE_INTEGER_TYPES = {"UBIGINT", "HUGEINT", "UHUGEINT"}


def quoted(name: str) -> str:
    """`name` as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """`text` as an SQL string."""
    return "'" + text.replace("'", "''") + "'"


def _integer(source: str, source_type: str) -> str:
    if source_type in _INTEGER_TYPES:
        return f"cast({source} as bigint)"
    if source_type in _WIDE_INTEGER_TYPES:
        return f"try_cast({source} as bigint)"
    if source_type in {"FLOAT", "DOUBLE"} or source_type.startswith("DECIMAL"):
        return f"case when {source} = trunc({source}) then try_cast({source} as bigint) end"
    if source_type == "VARCHAR":
        value = f"try_cast({source} as bigint)"
        matches = f"regexp_full_match({source}, {_INTEGER_TEXT})"
        # A number that is written as it was read is one, at less than the cost of the pattern.
        return f"case when cast({value} as varchar) = {source} or {matches} then {value} end"
    return "cast(null as bigint)"


def _number(source: str, source_type: str) -> str:
    if source_type == "BOOLEAN":
        return "cast(null as double)"
    return f"try_cast({source} as double)"


def _text(source: str, source_type: str) -> str:
    return source if source_type == "VARCHAR" else f"cast({source} as varchar)"


def _instant(source: str, source_type: str) -> str:
    if source_type == "VARCHAR":
        matches = f"regexp_full_match({source}, {_ISO_8601_TEXT})"
        is_plain = f"regexp_full_match({source}, {_PLAIN_INSTANT_TEXT})"
        # `try_cast` to timestamptz reads the offset; without one, the session's zone: UTC.
        return (
            f"case when {is_plain} then try_cast({source} as timestamp) "
            f"when {matches} then cast(try_cast({source} as timestamptz) as timestamp) end"
        )
    if source_type.startswith("TIMESTAMP") or source_type == "DATE":
        # A Parquet file may hold `infinity`, which is no time.
        cast = f"try_cast({source} as timestamp)"
        return f"case when isfinite({cast}) then {cast} end"
    return "cast(null as timestamp)"


def _entity_counts(source: str, source_type: str) -> str:
    as_json = (
        f"try_cast({source} as json)"
        if source_type in {"VARCHAR", "JSON"}
        else f"to_json({source})"
    )
    texts = f"try_cast({as_json} as map(varchar, varchar))"
    present = f"map_from_entries(list_filter(map_entries({texts}), lambda e: e.value is not null))"
    are_counts = (
        f"list_bool_and(list_transform(map_values({present}), "
        rf"lambda v: regexp_full_match(v, '[0-9]{{1,13}}(\.0*)?') "
        f"and cast(v as double) <= {MAX_COUNT}))"
    )
    return (
        f"case when {texts} is not null and coalesce({are_counts}, true) "
        f"then try_cast({present} as map(varchar, bigint)) end"
    )


def _trimmed(text: str) -> str:
    """SQL: `text` without white space around it; NULL for nothing else."""
    # To trim is dear. White space sorts before "!", as does whatever else is left to `trim`.
    may_have_some = f"{text} < '!' or right({text}, 1) < '!'"
    return (
        f"nullif(case when {may_have_some} then trim({text}, {_WHITE_SPACE}) else {text} end, '')"
    )


def typed_value(column: Column, source: str, source_type: str) -> str:
    """SQL that gives `column` its lake type, and NULL where `source` breaks the column's rule.

    `source` is an SQL expression of the DuckDB type `source_type`; text formats give VARCHAR.
    """
    integer = _integer(source, source_type)
    number = _number(source, source_type)
    text = _text(source, source_type)
    trimmed = _trimmed(text)
    match column.kind:
        case Kind.KEY:
            return f"case when {integer} > 0 then {integer} end"
        case Kind.IDENTITY:
            return f"case when length({text}) between 1 and {MAX_ID_LENGTH} then {text} end"
        case Kind.LABEL:
            return trimmed
        case Kind.MODEL:
            return f"coalesce({trimmed}, 'unknown')"
        case Kind.COUNT:
            return f"case when {integer} between 0 and {MAX_COUNT} then {integer} end"
        case Kind.INTEGER | Kind.UNTRUSTED_TOTAL:
            return integer
        case Kind.MILLISECONDS:
            in_range = f"{number} between 0 and {MAX_RESPONSE_TIME_MS}"
            return f"case when {in_range} then cast(round({number}) as bigint) end"
        case Kind.SHARE:
            return f"case when {number} between 0 and 1 then {number} end"
        case Kind.FLAG:
            return f"try_cast({text} as boolean)"
        case Kind.STARS:
            return f"case when {integer} between 1 and 5 then {integer} end"
        case Kind.INSTANCES:
            return f"case when {integer} >= 0 then {integer} end"
        case Kind.ENTITY_COUNTS:
            return _entity_counts(source, source_type)
        case Kind.INSTANT:
            return _instant(source, source_type)


def reason_of_rejection(stream: Stream, present: set[str]) -> str:
    """SQL that names the first rule a row breaks, in contract order, and is NULL for a good row.

    It reads the columns `raw_<column>` (as delivered) and `<column>` (typed) of one row, the
    instants `now` and `kept_from` (NULL where nothing expires), and `is_malformed`.
    """
    branches = [f"when is_malformed then '{MALFORMED}'"]
    for column in stream.columns:
        raw, typed = quoted(f"raw_{column.name}"), quoted(column.name)
        if column.required:
            branches.append(f"when {raw} is null then 'missing_{column.name}'")
        if column.name not in present:
            continue
        if column.kind not in {Kind.LABEL, Kind.MODEL}:
            broken = f"{typed} is null"
            if not column.required:
                blank = f"trim(cast({raw} as varchar), {_WHITE_SPACE}) = ''"
                broken = f"{raw} is not null and {typed} is null and not {blank}"
            branches.append(f"when {broken} then 'invalid_{column.name}'")
        elif column.required:
            branches.append(f"when {typed} is null then 'invalid_{column.name}'")
    if not stream.is_reference:
        branches.append(
            f"when occurred_at > now_instant + {FUTURE_TOLERANCE} then 'occurred_in_future'"
        )
        branches.append("when occurred_at < kept_from then 'expired'")
    else:
        # NULL sorts before every time.
        branches.append(
            "when coalesce(updated_at, timestamp '0001-01-01') < kept_from then 'expired'"
        )
    return "case " + " ".join(branches) + " end"
