"""The contract's rules as DuckDB SQL: text (or a Parquet column) in, a typed value or NULL out.

Every expression here is NULL where its rule is broken, so that one shape serves all columns: NULL
in → `missing_<column>`, NULL out → `invalid_<column>`. None of them fails, whatever a row holds.

What a type of Parquet does not say by itself is said by its text, so that a row means the same in
every format.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from orchestration.contract.streams import (
    AGENT_USAGE_EVENTS,
    CACHE_PARTS,
    DELETED,
    LAKE_TYPES,
    MAX_ATTRIBUTES,
    MAX_COST_USD,
    MAX_COUNT,
    MAX_ID_LENGTH,
    MAX_PRICE_USD,
    MAX_RESPONSE_TIME_MS,
    MAX_TEXT_LENGTH,
    NOTHING_SAID,
    TOKEN_CLASSES,
    Column,
    Kind,
    Stream,
)
from orchestration.contract.zones import zone_names
from orchestration.storage.sql import literal, quoted

FUTURE_TOLERANCE = "interval 5 minutes"
MALFORMED = "malformed_row"

# Unicode's white space, and the separators that Python takes for it.
_WHITE_SPACE = "".join(
    map(chr, [*range(0x09, 0x0E), *range(0x1C, 0x21), 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B)])
) + "\u2028\u2029\u202f\u205f\u3000"  # fmt: skip

# `12` and `12.0` are integers (tools that know no nullable integer write the latter); `12.5`,
# `1e3`, `0x10` and `1_000` are not, though a plain cast would take them all.
_INTEGER_TEXT = r"'[+-]?[0-9]+(\.0*)?'"
_NUMBER_TEXT = r"'[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?'"
# A plain cast also takes `infinity`, `2026-1-1`, `44-03-15 (BC)` and zone names.
_INSTANT_TEXT = (
    r"'^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2})(?::(\d{2})(?:[.](\d+))?)?"
    r"(?: ?(?:[Zz]|([+-])(\d{2}):?(\d{2})?))?)?$'"
)
# What nearly every producer writes. A time in it is read at a fraction of the cost.
_PLAIN_INSTANT_TEXT = (
    r"'(19[789]|20\d)\d-\d{2}-\d{2}[T ]([01]\d|2[0-3]):\d{2}:\d{2}([.]\d{1,6})?Z?'"
)
_QUARTER_OF_DAY_TEXT = r"'([01]\d|2[0-3]):(00|15|30|45)(:00([.]0+)?)?'"
_FIRST_INSTANT, _LAST_INSTANT = "1970-01-01", "9998-12-31 23:59:59.999999"
_FARTHEST_OFFSET_MINUTES = 18 * 60

# Longer text is no value of any column, and to look at each of its characters is dear.
_MAX_TEXT_BYTES = 4096
_MAX_OBJECT_BYTES = 1024 * 1024
# What stands for a list or an object where text is expected: longer than any text may be.
NESTED = "repeat('{', " + f"{2 * MAX_TEXT_LENGTH})"

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
_FLOAT_TYPES = {"FLOAT", "DOUBLE"}
_NUMBER_KINDS = {
    Kind.KEY,
    Kind.COUNT,
    Kind.REQUESTS,
    Kind.COST,
    Kind.PRICE,
    Kind.INTEGER,
    Kind.UNTRUSTED_TOTAL,
    Kind.MILLISECONDS,
    Kind.SHARE,
    Kind.STARS,
    Kind.INSTANCES,
}
TEXT_KINDS = {
    Kind.IDENTITY,
    Kind.LABEL,
    Kind.MODEL,
    Kind.ZONE,
    Kind.PROVIDER,
    Kind.PROCESSING,
    Kind.TOKEN_CLASS,
    Kind.QUARTER_OF_DAY,
}


def is_nested(source_type: str) -> bool:
    """Whether values of the DuckDB type are made of others: lists, objects and the like."""
    return source_type.endswith("]") or source_type.startswith(
        ("STRUCT", "MAP", "UNION", "VARIANT")
    )


def as_text(source: str, source_type: str) -> str:
    """SQL: what a text format would have in place of `source`; NULL for bytes that are no UTF-8."""
    if source_type == "VARCHAR":
        return source
    if source_type == "BLOB":
        return f"try(decode({source}))"
    if is_nested(source_type):
        return f"cast(to_json({source}) as varchar)"
    if source_type in _FLOAT_TYPES:
        # As JSON and its writers call them.
        return (
            f"case when isnan({source}) then 'NaN' when isinf({source}) then "
            f"case when {source} > 0 then 'Infinity' else '-Infinity' end "
            f"else cast({source} as varchar) end"
        )
    return f"try_cast({source} as varchar)"


def is_blank(text: str) -> str:
    """SQL: whether `text` is nothing but white space; NULL for NULL."""
    return f"(strlen({text}) <= {_MAX_TEXT_BYTES} and {trimmed(text)} is null)"


def trimmed(text: str) -> str:
    """SQL: `text` without white space around it; NULL for nothing else."""
    # To trim is dear.
    return (
        f"case when {_is_visible(text)} and {_is_visible(f'right({text}, 1)')} then {text} "
        f"else nullif(trim({text}, {literal(_WHITE_SPACE)}), '') end"
    )


def _says_something(text: str) -> str:
    """SQL: whether `text` is more than white space."""
    return f"case when {_is_visible(text)} then true else {trimmed(text)} is not null end"


def _is_visible(text: str) -> str:
    """SQL: whether the first character is surely no white space, which sorts before "!", or is not
    ASCII."""
    return f"{text} between '!' and '\x7f'"


def _short(text: str, most_bytes: int = _MAX_TEXT_BYTES) -> str:
    """SQL: `text` where it is short enough to be looked at, and NULL else."""
    return f"case when strlen({text}) <= {most_bytes} then {text} end"


def _integer(source: str, source_type: str, bound: str = "") -> str:
    """SQL: an integer that is within the bound, such as `> 0`."""
    if source_type in _INTEGER_TYPES:
        return _bounded(f"cast({source} as bigint)", bound)
    if source_type in _WIDE_INTEGER_TYPES:
        return _bounded(f"try_cast({source} as bigint)", bound)
    if source_type in _FLOAT_TYPES:
        value = _bounded(f"try_cast({source} as bigint)", bound)
        return f"case when {source} = trunc({source}) then {value} end"
    text = _short(as_text(source, source_type))
    if source_type == "VARCHAR":
        value = f"try_cast({source} as bigint)"
        # A number that is written as it was read is one, at less than the cost of the pattern.
        return (
            f"case when cast({value} as varchar) = {source} then {_bounded(value, bound)} "
            f"else {_integer_of_text(text, bound)} end"
        )
    return _integer_of_text(text, bound)


def _integer_of_text(text: str, bound: str = "") -> str:
    value = _bounded("try_cast(regexp_extract(word, '^[^.]*') as bigint)", bound)
    return _let(
        "word",
        trimmed(text),
        f"case when regexp_full_match(word, {_INTEGER_TEXT}) then {value} end",
    )


def _bounded(value: str, bound: str) -> str:
    return f"case when {value} {bound} then {value} end" if bound else value


def _number(source: str, source_type: str, number_type: str) -> str:
    """SQL: a finite number; of a float, what its shortest text says."""
    if source_type in _INTEGER_TYPES:
        return f"cast({source} as {number_type})"
    if (source_type, number_type) == ("DOUBLE", "double"):
        return f"case when isfinite({source}) then {source} end"
    return _let(
        "word",
        trimmed(_short(as_text(source, source_type))),
        f"case when regexp_full_match(word, {_NUMBER_TEXT}) "
        f"then try_cast(word as {number_type}) end",
    )


def _milliseconds(source: str, source_type: str) -> str:
    range_ = f"between 0 and {MAX_RESPONSE_TIME_MS}"
    rounded = _let(
        "time",
        _number(source, source_type, "decimal(38, 18)"),
        f"case when time {range_} then try_cast(round(time) as bigint) end",
    )
    if source_type in _INTEGER_TYPES:
        return f"case when {source} {range_} then cast({source} as bigint) end"
    if source_type == "VARCHAR":
        whole = f"try_cast({source} as bigint)"
        return (
            f"case when cast({whole} as varchar) <> {source} or {whole} is null then {rounded} "
            f"when {whole} {range_} then {whole} end"
        )
    return rounded


def _cost(source: str, source_type: str) -> str:
    """SQL: an amount of US dollars; of a float, what its shortest text says."""
    # Judged as it was sent, and not as it is rounded.
    is_positive = f"{_number(source, source_type, 'double')} >= 0"
    is_bounded = f"{_number(source, source_type, 'decimal(38, 18)')} <= {MAX_COST_USD}"
    cost = _number(source, source_type, "decimal(38, 12)")
    return f"case when {is_positive} and {is_bounded} then {cost} end"


def _price(source: str, source_type: str) -> str:
    """SQL: an amount of US dollars of at most 6 decimals; of a float, what its text says."""
    is_positive = f"{_number(source, source_type, 'double')} >= 0"
    exact = _number(source, source_type, "decimal(38, 31)")
    price = f"try_cast({exact} as decimal(18, 6))"
    # What is too small for any type is not nothing.
    mantissa = f"regexp_extract({as_text(source, source_type)}, '^[^eE]*')"
    is_nothing = f"not regexp_matches({mantissa}, '[1-9]')"
    is_fit = f"{is_positive} and {exact} <= {MAX_PRICE_USD} and {price} = {exact}"
    return f"case when {is_fit} and ({price} > 0 or {is_nothing}) then {price} end"


def _quarter_hour(source: str, source_type: str) -> str:
    """SQL: an instant that is a whole quarter hour."""
    return _let(
        "instant",
        _instant(source, source_type),
        "case when instant = time_bucket(interval 15 minutes, instant) then instant end",
    )


def _quarter_of_day(source: str, source_type: str) -> str:
    """SQL: a time of day that is a whole quarter hour, as HH:MM."""
    return _let(
        "time",
        trimmed(_short(as_text(source, source_type))),
        f"case when regexp_full_match(time, {_QUARTER_OF_DAY_TEXT}) then left(time, 5) end",
    )


def _let(name: str, value: str, expression: str) -> str:
    """SQL: an expression that names a value more than once, which is worked out once."""
    return f"list_transform([{value}], lambda {name}: {expression})[1]"


def _flag(source: str, source_type: str) -> str:
    if source_type == "BOOLEAN":
        return source
    return f"try_cast({trimmed(_short(as_text(source, source_type)))} as boolean)"


def _instant(source: str, source_type: str) -> str:
    match source_type:
        case "TIMESTAMP" | "TIMESTAMP_S" | "TIMESTAMP_MS" | "DATE" | "TIMESTAMP WITH TIME ZONE":
            # The session is in UTC, which a cast of a time with a zone takes it to.
            return _in_range(f"try_cast({source} as timestamp)")
        case "TIMESTAMP_NS" | "TIMESTAMPTZ_NS":
            # A cast would round.
            return _in_range(f"make_timestamp(epoch_ns({source}) // 1000)")
        case "VARCHAR":
            return (
                f"case when regexp_full_match({source}, {_PLAIN_INSTANT_TEXT}) "
                f"then try_cast({source} as timestamp) "
                f"else {_instant_of_text(_short(source))} end"
            )
    return _instant_of_text(_short(as_text(source, source_type)))


def _in_range(instant: str) -> str:
    return (
        f"case when {instant} between timestamp '{_FIRST_INSTANT}' "
        f"and timestamp '{_LAST_INSTANT}' then {instant} end"
    )


def _instant_of_text(text: str) -> str:
    names = "['day', 'minute', 'second', 'fraction', 'sign', 'hours', 'minutes']"
    offset = (
        "(coalesce(try_cast(part.hours as integer) * 60, 0) "
        "+ coalesce(try_cast(part.minutes as integer), 0))"
    )
    written = (
        "try_cast(part.day || ' ' || coalesce(nullif(part.minute, ''), '00:00') || ':' || "
        "coalesce(nullif(part.second, ''), '00') || '.' || left(part.fraction || '0', 6) "
        "as timestamp)"
    )
    instant = f"{written} - to_minutes(if(part.sign = '-', -1, 1) * {offset})"
    return _let(
        "part",
        f"regexp_extract({trimmed(text)}, {_INSTANT_TEXT}, {names})",
        f"case when part.minute < '24' and part.minutes < '60' "
        f"and {offset} <= {_FARTHEST_OFFSET_MINUTES} then "
        + _let("instant", instant, _in_range("instant"))
        + " end",
    )


def _entity_counts(source: str, source_type: str) -> str:
    """SQL: the object as a map, where each of its values is a count; nulls are left out."""
    is_map = source_type.startswith(("MAP(VARCHAR, ", "MAP(BLOB, "))
    if is_map and source_type[:-1].split(", ")[1] in _INTEGER_TYPES:
        key = as_text("entry.key", source_type[4:].split(", ")[0])
        entries = (
            f"list_transform(list_filter(map_entries({source}), "
            "lambda entry: entry.value is not null), "
            f"lambda entry: {{key: {key}, value: cast(entry.value as bigint)}})"
        )
        # Lists of entries take several times the memory of a map; what is too much needs none.
        sum_of_counts = f"coalesce(list_sum(map_values({source})), 0)"
        entries = f"case when {sum_of_counts} <= {MAX_COUNT} then {entries} end"
    else:
        count = _integer_of_text(_short("entry.value"))
        of_object = (
            "list_transform(list_filter(map_entries(cast(object as map(varchar, varchar))), "
            "lambda entry: entry.value is not null), "
            f"lambda entry: {{key: entry.key, value: {count}}})"
        )
        entries = _let(
            "object",
            f"try_cast({_short(as_text(source, source_type), _MAX_OBJECT_BYTES)} as json)",
            "case when json_type(object) = 'OBJECT' "
            "and len(list_distinct(json_keys(object))) = len(json_keys(object)) "
            f"then {of_object} end",
        )
    is_counted = (
        f"coalesce(entry.value between 0 and {MAX_COUNT} "
        f"and length(entry.key) <= {MAX_TEXT_LENGTH}, false)"
    )
    keys = "list_transform(entries, lambda entry: entry.key)"
    counts = "list_transform(entries, lambda entry: entry.value)"
    return _let(
        "entries",
        entries,
        f"case when len(list_filter(entries, lambda entry: not {is_counted})) = 0 "
        f"and len(list_distinct({keys})) = len(entries) "
        f"and coalesce(list_sum({counts}), 0) <= {MAX_COUNT} "
        "then map_from_entries(list_sort(entries)) end",
    )


def _attributes(source: str, source_type: str) -> str:
    """SQL: the object as a map of texts in the order of its names; nulls are left out."""
    object_ = f"try_cast({_short(as_text(source, source_type), _MAX_OBJECT_BYTES)} as json)"
    entries = (
        "list_filter(map_entries(cast(object as map(varchar, json))), "
        "lambda entry: json_type(entry.value) <> 'NULL')"
    )
    is_fit = (
        "json_type(entry.value) not in ('OBJECT', 'ARRAY') "
        "and (json_type(entry.value) <> 'DOUBLE' or isfinite(try_cast(entry.value as double))) "
        f"and length(entry.key) between 1 and {MAX_ID_LENGTH} "
        f"and length(entry.value ->> '$') <= {MAX_TEXT_LENGTH}"
    )
    of_entries = _let(
        "entries",
        entries,
        f"case when len(entries) <= {MAX_ATTRIBUTES} "
        f"and len(list_filter(entries, lambda entry: {is_fit})) = len(entries) "
        "then map_from_entries(list_sort(list_transform(entries, "
        "lambda entry: {key: entry.key, value: entry.value ->> '$'}))) end",
    )
    return _let(
        "object",
        object_,
        "case when json_type(object) = 'OBJECT' "
        "and len(list_distinct(json_keys(object))) = len(json_keys(object)) "
        f"then {of_entries} end",
    )


def typed_value(column: Column, source: str, source_type: str) -> str:
    """SQL that gives `column` its lake type, and NULL where `source` breaks the column's rule.

    `source` is an SQL expression of the DuckDB type `source_type`; text formats give VARCHAR.
    """
    if column.kind in TEXT_KINDS and is_nested(source_type):
        # No such value is a text; that there is none says the same in any type.
        nothing = NOTHING_SAID.get(column.kind, "cast(null as varchar)")
        return f"case when {source} is null then {nothing} end"
    integer = partial(_integer, source, source_type)
    text = as_text(source, source_type)
    match column.kind:
        case Kind.KEY:
            return integer("> 0")
        case Kind.IDENTITY:
            short = f"strlen({text}) <= 4 * {MAX_ID_LENGTH}"
            return (
                f"case when {short} and length({text}) between 1 and {MAX_ID_LENGTH} "
                f"and {_says_something(text)} then {text} end"
            )
        case Kind.LABEL:
            return f"case when {_fits(text)} then {trimmed(text)} end"
        case Kind.MODEL:
            return (
                f"case when {text} is null and {source} is null then 'unknown' "
                f"when {_fits(text)} then coalesce({trimmed(text)}, 'unknown') end"
            )
        case Kind.ZONE:
            return _zone(_short(text))
        case Kind.PROVIDER:
            return f"case when {_fits(text)} then lower({trimmed(text)}) end"
        case Kind.PROCESSING:
            word = _let(
                "word",
                f"lower({trimmed(text)})",
                "case when word in ('default', 'auto') then 'standard' "
                "else coalesce(word, 'standard') end",
            )
            return (
                f"case when {text} is null and {source} is null then 'standard' "
                f"when {_fits(text)} then {word} end"
            )
        case Kind.COUNT:
            return integer(f"between 0 and {MAX_COUNT}")
        case Kind.REQUESTS:
            return integer(f"between 1 and {MAX_COUNT}")
        case Kind.COST:
            return _cost(source, source_type)
        case Kind.PRICE:
            return _price(source, source_type)
        case Kind.TOKEN_CLASS:
            names = ", ".join(map(literal, TOKEN_CLASSES))
            word = trimmed(_short(text))
            return _let("word", word, f"case when word in ({names}) then word end")
        case Kind.INTEGER | Kind.UNTRUSTED_TOTAL:
            return integer()
        case Kind.MILLISECONDS:
            return _milliseconds(source, source_type)
        case Kind.SHARE:
            number = _number(source, source_type, "double")
            return _let("share", number, "case when share between 0 and 1 then share end")
        case Kind.FLAG:
            return _flag(source, source_type)
        case Kind.STARS:
            return integer("between 1 and 5")
        case Kind.INSTANCES:
            return integer(">= 0")
        case Kind.ENTITY_COUNTS:
            return _entity_counts(source, source_type)
        case Kind.ATTRIBUTES:
            return _attributes(source, source_type)
        case Kind.INSTANT:
            return _instant(source, source_type)
        case Kind.DATE:
            return f"cast({_instant(source, source_type)} as date)"
        case Kind.QUARTER_HOUR:
            return _quarter_hour(source, source_type)
        case Kind.QUARTER_OF_DAY:
            return _quarter_of_day(source, source_type)


def _zone(text: str) -> str:
    names = ", ".join(map(literal, sorted(zone_names())))
    return _let("name", trimmed(text), f"case when name in ({names}) then name end")


def _fits(text: str) -> str:
    """SQL: whether a label is short enough once it is trimmed."""
    return (
        f"(strlen({text}) <= {MAX_TEXT_LENGTH} or strlen({text}) <= {_MAX_TEXT_BYTES} "
        f"and coalesce(length({trimmed(text)}), 0) <= {MAX_TEXT_LENGTH})"
    )


def says_nothing(column: Column, source: str, source_type: str) -> str:
    """SQL: whether a value that is there stands for none: white space, a number that is none."""
    if is_nested(source_type):
        return "false"
    text = as_text(source, source_type)
    words = [is_blank(text)]
    lower = f"lower({trimmed(_short(text))})"
    if column.kind in _NUMBER_KINDS and not column.required:
        words.append(f"{lower} in ('nan', '+nan', '-nan')")
    if column.kind in (Kind.ENTITY_COUNTS, Kind.ATTRIBUTES):
        words.append(f"{lower} = 'null'")
    return f"coalesce({' or '.join(words)}, false)"


def absent_value(column: Column) -> str:
    """SQL: what a column says, in its lake type, where nothing is said."""
    lake_type = LAKE_TYPES.get(column.kind, "bigint")
    return f"cast({NOTHING_SAID.get(column.kind, 'null')} as {lake_type})"


def stored_values(stream: Stream, types: Mapping[str, str]) -> dict[str, str]:
    """SQL of the columns of the lake that are not as they were delivered, over typed columns.

    The input that is stored holds what was read from a prompt cache and written to it, whichever
    way the provider counts. Of a row that withdraws an event nothing is stored but that.
    """
    stored = {}
    if stream == AGENT_USAGE_EVENTS and any(name in types for name in CACHE_PARTS):
        # All writes hold those that live for an hour, which may be all that is reported.
        written = "coalesce(cache_write_input_tokens, cache_write_1h_input_tokens, 0)"
        stored["input_tokens"] = (
            "case when input_includes_cache then input_tokens "
            f"else input_tokens + coalesce(cache_read_input_tokens, 0) + {written} end"
        )
    for column in stream.columns:
        if column.kind is Kind.UNTRUSTED_TOTAL:
            stored["is_total_mismatch"] = _total_mismatch(column, types, stored)
    if DELETED in stream.of_withdrawals and DELETED in types:
        for (name, _), column in zip(stream.lake_columns, stream.columns, strict=True):
            if name not in stream.of_withdrawals:
                nothing = "false" if name == "is_total_mismatch" else absent_value(column)
                said = stored.get(name, quoted(name))
                stored[name] = f"case when {DELETED} then {nothing} else {said} end"
        # That an event is not withdrawn is the same as nothing said of it.
        stored[DELETED] = f"nullif({DELETED}, false)"
    return stored


def _total_mismatch(column: Column, types: Mapping[str, str], stored: Mapping[str, str]) -> str:
    """SQL: whether a row has a total that is the sum of its tokens neither as they were delivered
    nor as they are stored; a total is never wrong enough to reject the row."""
    if column.name not in types:
        return "false"
    raw, total = quoted(f"raw_{column.name}"), quoted(column.name)
    inputs = dict.fromkeys(["input_tokens", stored.get("input_tokens", "input_tokens")])
    is_sum = " or ".join(f"{total} = {each} + output_tokens" for each in inputs)
    nothing = says_nothing(column, raw, types[column.name])
    return f"case when {raw} is null then false when {is_sum} then false else not {nothing} end"


def unknown_time_zone(stream: Stream, types: Mapping[str, str]) -> str:
    """SQL: whether a row names a time zone that there is none of, which is taken as null."""
    for column in stream.columns:
        if column.kind is Kind.ZONE and column.name in types:
            raw = quoted(f"raw_{column.name}")
            nothing = says_nothing(column, raw, types[column.name])
            return f"{raw} is not null and {quoted(column.name)} is null and not {nothing}"
    return "false"


def reason_of_rejection(stream: Stream, types: Mapping[str, str]) -> str:
    """SQL that names the first rule a row breaks, in contract order, and is NULL for a good row.

    It reads the columns `raw_<column>` (as delivered, of the DuckDB `types`) and `<column>` (typed)
    of one row, the instants `now_instant` and `kept_from` (NULL where nothing expires), and
    `is_malformed`.
    """
    branches = [f"when is_malformed then '{MALFORMED}'"]
    for column in stream.columns:
        raw, typed = quoted(f"raw_{column.name}"), quoted(column.name)
        when = "when"
        if DELETED in types and stream.of_withdrawals and column.name not in stream.of_withdrawals:
            when = f"when {DELETED} is not true and"
        if column.kind in (Kind.UNTRUSTED_TOTAL, Kind.ZONE):
            continue
        if column.required_with:
            parts = [name for name in column.required_with if name in types]
            is_needed = " or ".join(f"{quoted(name)} > 0" for name in parts) or "false"
            is_said = "false"
            if column.name in types:
                nothing = says_nothing(column, raw, types[column.name])
                is_said = f"{raw} is not null and not {nothing}"
            branches.append(
                f"{when} ({is_needed}) and not ({is_said}) then 'missing_{column.name}'"
            )
        if column.name not in types:
            if column.required:
                branches.append(f"{when} true then 'missing_{column.name}'")
            continue
        nothing = says_nothing(column, raw, types[column.name])
        if column.required:
            branches.append(
                f"{when} {typed} is null then case when {raw} is null or {nothing} "
                f"then 'missing_{column.name}' else 'invalid_{column.name}' end"
            )
        else:
            branches.append(
                f"{when} {typed} is null and {raw} is not null and not {nothing} "
                f"then 'invalid_{column.name}'"
            )
    if stream.is_reference:
        branches.append(
            f"when updated_at > now_instant + {FUTURE_TOLERANCE} then 'updated_in_future'"
        )
        # NULL sorts before every time.
        branches.append(
            "when coalesce(updated_at, timestamp '0001-01-01') < kept_from then 'expired'"
        )
    else:
        branches.append(
            f"when occurred_at > now_instant + {FUTURE_TOLERANCE} then 'occurred_in_future'"
        )
        branches.append("when occurred_at < kept_from then 'expired'")
    return "case " + " ".join(branches) + " end"
