"""What a row says in columns that the contract does not have: kept in the lake as one map, `extra`.

Numbers, booleans and short texts are kept, so that they can be used later. What is longer or nested
may be a prompt or an answer: it is left out, and counted.
"""

from __future__ import annotations

from contextlib import closing

from orchestration.contract.streams import MAX_TEXT_LENGTH, STREAMS
from orchestration.lake.verified import verified_paths
from orchestration.settings import Settings
from orchestration.storage.database import connect
from orchestration.storage.ledger import Ledger

# Of the names and values of a row, together.
_MAX_ROW_BYTES = 16 * 1024


def kept(entries: str) -> str:
    """SQL: the map of what is kept of a list of {key, value}; NULL where that is nothing."""
    size = "strlen(entry.key) + strlen(entry.value)"
    before = f"list_sum(list_transform(kept[1:place], lambda entry: {size}))"
    return (
        f"list_transform([list_filter({entries}, lambda entry: {_is_kept('entry')})], "
        f"lambda kept: case when len(kept) > 0 then map_from_entries("
        f"case when list_sum(list_transform(kept, lambda entry: {size})) <= {_MAX_ROW_BYTES} "
        f"then kept else list_filter(kept, lambda entry, place: {before} <= {_MAX_ROW_BYTES}) end"
        ") end)[1]"
    )


def given(entries: str) -> str:
    """SQL: how many of the values of a list of {key, value} say something."""
    return f"len(list_filter({entries}, lambda entry: coalesce(entry.value <> '', false)))"


def _is_kept(entry: str) -> str:
    short = " and ".join(
        f"strlen({each}) <= {4 * MAX_TEXT_LENGTH} and length({each}) <= {MAX_TEXT_LENGTH}"
        for each in (f"{entry}.value", f"{entry}.key")
    )
    return f"coalesce({entry}.value <> '' and {short}, false)"


def names_in_lake(settings: Settings, ledger: Ledger) -> dict[str, list[str]]:
    """The names of unknown columns, by stream, of which the lake has a value: they are nowhere
    else, and go with the rows that have them."""
    names: dict[str, list[str]] = {}
    with closing(connect(settings)) as connection:
        for stream in STREAMS:
            paths = verified_paths(settings.lake, ledger, ledger.lake_files_of(stream.name))
            if paths:
                found = connection.execute(
                    "select distinct unnest(map_keys(extra)) as name from read_parquet($paths, "
                    "hive_partitioning = false) where extra is not null order by name",
                    {"paths": paths},
                ).fetchall()
                if found:
                    names[stream.name] = [name for (name,) in found]
    return names
