"""Which PostgreSQL types can hold a column of the contract, and the SQL that reads each.

Types that Arrow carries as they are stay what they are; all others travel as text, which landing
judges row by row like the text of a CSV file.
"""

from __future__ import annotations

from orchestration.contract.streams import Column, Kind
from orchestration.storage.sql import quoted

_INTEGERS = frozenset({"int2", "int4", "int8"})
_NUMBERS = _INTEGERS | {"float4", "float8", "numeric"}
_TEXTS = frozenset({"text", "varchar", "bpchar", "citext", "name"})
_TIMES = frozenset({"timestamp", "timestamptz", "date"})
_AS_THEY_ARE = _INTEGERS | {"float4", "float8", "bool", "text", "varchar"}

# Stands for a type that CREATE TYPE … AS ENUM made, whatever its name.
ENUM = "enum"

# Text fits everywhere: whether it is a number or a time is for each row to show.
_ACCEPTED: dict[Kind, frozenset[str]] = {
    Kind.KEY: _NUMBERS | _TEXTS,
    Kind.IDENTITY: _INTEGERS | _TEXTS | {"numeric", "uuid", ENUM},
    Kind.LABEL: _INTEGERS | _TEXTS | {"numeric", "uuid", ENUM},
    Kind.MODEL: _INTEGERS | _TEXTS | {"numeric", "uuid", ENUM},
    Kind.ZONE: _TEXTS | {ENUM},
    Kind.PROVIDER: _INTEGERS | _TEXTS | {"numeric", "uuid", ENUM},
    Kind.PROCESSING: _INTEGERS | _TEXTS | {"numeric", "uuid", ENUM},
    Kind.COUNT: _NUMBERS | _TEXTS,
    Kind.REQUESTS: _NUMBERS | _TEXTS,
    Kind.COST: _NUMBERS | _TEXTS,
    Kind.PRICE: _NUMBERS | _TEXTS,
    Kind.TOKEN_CLASS: _TEXTS | {ENUM},
    Kind.INTEGER: _NUMBERS | _TEXTS,
    Kind.UNTRUSTED_TOTAL: _NUMBERS | _TEXTS,
    Kind.MILLISECONDS: _NUMBERS | _TEXTS,
    Kind.SHARE: _NUMBERS | _TEXTS,
    Kind.FLAG: _INTEGERS | _TEXTS | {"bool"},
    Kind.STARS: _NUMBERS | _TEXTS,
    Kind.INSTANCES: _NUMBERS | _TEXTS,
    Kind.ENTITY_COUNTS: _TEXTS | {"json", "jsonb"},
    Kind.ATTRIBUTES: _TEXTS | {"json", "jsonb"},
    Kind.INSTANT: _TIMES | _TEXTS,
    Kind.DATE: _TIMES | _TEXTS,
    Kind.QUARTER_HOUR: _TIMES | _TEXTS,
    Kind.QUARTER_OF_DAY: _TEXTS | {"time"},
}

# PostgreSQL's times reach further than Arrow's, and `infinity` would be an overflow: whatever is
# outside years 1 to 9999 is sent as this one instant, and written as `infinity`, which no rule
# lets pass.
_NO_TIME = "290000-01-01 00:00:00"


def accepted_types(column: Column) -> list[str]:
    """PostgreSQL's names of the types that the column may have."""
    return sorted(_ACCEPTED[column.kind])


def fits(column: Column, source_type: str) -> bool:
    """Whether values of the PostgreSQL type can be values of the column at all."""
    return source_type in _ACCEPTED[column.kind]


def is_time(source_type: str) -> bool:
    """Whether the type is one that `sent` guards, and `received` has to take back."""
    return source_type in _TIMES


def sent(column: Column, source_name: str, source_type: str) -> str:
    """SQL for PostgreSQL: the source's column under the contract's name, in a type for Arrow."""
    name = quoted(source_name)
    if is_time(source_type):
        # A date has no offset and no time; midnight, UTC, is what landing makes of it too.
        time = "timestamptz" if source_type == "timestamptz" else "timestamp"
        offset = "+00" if source_type == "timestamptz" else ""
        value = (
            f"case when {name} between '0001-01-01 00:00:00{offset}'::{time} "
            f"and '9999-12-31 00:00:00{offset}'::{time} then {name}::{time} "
            f"when {name} is not null then '{_NO_TIME}{offset}'::{time} end"
        )
    elif source_type in _AS_THEY_ARE:
        value = name
    else:
        value = f"{name}::text"
    return f"{value} as {quoted(column.name)}"


def received(column: Column, source_type: str) -> str:
    """SQL for DuckDB: what `sent` sent, as it is written to the file."""
    name = quoted(column.name)
    if not is_time(source_type):
        return name
    time, offset = ("timestamptz", "+00") if source_type == "timestamptz" else ("timestamp", "")
    no_time = f"{time} '{_NO_TIME}{offset}'"
    return f"case when {name} = {no_time} then 'infinity' else {name} end as {name}"
