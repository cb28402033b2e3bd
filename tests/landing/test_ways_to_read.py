"""A record means the same whichever way its file is read: that depends on its neighbours."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import product
from pathlib import Path
from typing import Any

import duckdb
import pytest

from orchestration.contract.streams import CUSTOMERS
from orchestration.landing import opened
from orchestration.landing.files import detect_format
from orchestration.landing.rows import ways_to_read

Records = list[tuple[Any, ...]]


@pytest.fixture
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    """An empty one, closed in the end."""
    with closing(duckdb.connect()) as connection:
        yield connection


def found_by_each_way(
    connection: duckdb.DuckDBPyConnection, path: Path, content: bytes
) -> list[Records]:
    """What each way finds that neither fails nor finds records strange; the last does neither.

    Of a record: whether it is malformed, its columns, and its unknown ones.
    """
    path.write_bytes(content)
    found = []
    file = detect_format(path, CUSTOMERS)
    with ways_to_read(connection, file, path.parent, unpacked_limit=10**9) as ways:
        for way in ways:
            try:
                rows = way()
                if rows is None:
                    continue
                columns = ", ".join(
                    f'"raw_{each.name}"' if each.name in rows.types else "null"
                    for each in CUSTOMERS.columns
                )
                records = connection.execute(
                    f"select is_malformed, {columns}, {rows.entries}, {rows.is_strange} "
                    f"from ({rows.relation}) order by row_number"
                ).fetchall()
            except duckdb.Error:
                continue
            if not any(is_strange for *_, is_strange in records):
                # Nothing of a malformed record is read but its text.
                found.append([record[:1] if record[0] else record for record in records])
    return found


SHORT_RECORDS = ["".join(each) for size in range(1, 5) for each in product('a," ', repeat=size)]
LONGER_RECORDS = (
    *('"1" ,2', ' "1",2', '  "1",2', '2,  "', '"a" "b",2', '"a"  "b",2', '"a" , "b"', '"a""" ,2'),
    *('"a" """,2', '"1"\t,2', '\t"1",2', '"a\nb" ,2', '"" "",2', '\\"a",2', '"a\\"b",2', "'a' ,2"),
    *('"a\0b" ,2', '"1"x,2', '"1" x,2', '"1"  ,  "2"  ', '"a" ,"b" ', 'a "" "",2', "1,2,a"),
    *("1,2,", '1,2,,"" ', "1,2, "),
)


@pytest.mark.parametrize(
    ("records", "at_once"), [((*SHORT_RECORDS, *LONGER_RECORDS), 2**20), (LONGER_RECORDS, 3)]
)
def test_quotes_blanks_and_commas_of_csv_mean_the_same_in_every_way(
    database: duckdb.DuckDBPyConnection,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    records: Sequence[str],
    at_once: int,
) -> None:
    """All short records of them and a letter, and some that are longer."""
    monkeypatch.setattr(opened, "_CHUNK_BYTES", at_once)
    compared = 0
    for record in records:
        content = f"customer_id,tier\n0,0\n{record}\n9,9\n".encode()
        *cheaper, last = found_by_each_way(database, tmp_path / "a.csv", content)
        assert all(each == last for each in cheaper), record
        compared += len(cheaper)
    assert compared >= len(records) // 4


def test_blanks_around_quotes_are_no_part_of_a_field(
    database: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    """A record of three fields makes it a file that is read record by record."""
    content = b'"customer_id" , "tier"\n"1" , "free",\n2,3,4\n"5" "6",7\n"8,""9""" ,0\n'
    (found,) = found_by_each_way(database, tmp_path / "a.csv", content)
    assert [(record[1], record[3]) if len(record) > 1 else None for record in found] == [
        ("1", "free"),
        None,
        None,
        ('8,"9"', "0"),
    ]


@pytest.mark.parametrize(
    "values",
    [
        {"customer_id": 1, "tier": "free"},
        {"tier": "x\u00e9\"'\\\n", "customer_id": "12", "retention_days": 1.50},
        {"customer_id": None, "tier": "", "customer_name": None, "why": None, "how": ""},
        {
            "customer_id": {"a": [1, 2]},
            "tier": ["free"],
            "customer_name": "[free]",
            "updated_at": 0,
        },
        {
            "customer_id": True,
            "tier": 1e3,
            "a/b~c": [1],
            "x": {"y": 1},
            "'": '"',
            "é": 1.50,
            "n": 10**30,
        },
        {"customer_id": float("nan"), "tier": float("-inf"), "extra": "{", "Extra 2": "é\n"},
    ],
)
def test_a_record_of_json_means_the_same_whatever_keys_the_others_have(
    database: duckdb.DuckDBPyConnection, tmp_path: Path, values: dict[str, Any]
) -> None:
    """A file of records with the same keys is read in a way of its own, as the first of them is."""
    line = json.dumps(values) + "\n"
    every = found_by_each_way(database, tmp_path / "a.ndjson", line.encode())
    assert len(every) == 4
    # One key more makes the file one that is not uniform.
    other = json.dumps({**values, "other": 1}) + "\n"
    mixed = found_by_each_way(database, tmp_path / "b.ndjson", (line + other).encode())
    assert len(mixed) == 3
    meant = [_without_silent(records[0]) for records in (*every, *mixed)]
    assert all(each == meant[0] for each in meant), meant


@pytest.mark.parametrize(
    "line",
    [
        '{"customer_id": 1, "tier": "a", "x": 2}',
        '{"customer_id": 1}',
        "null",
        "{",
        '{"customer_id": 1, "tier": "a", "tier": "b"}',
        "[1, 2]",
        '{"customer_id": 1, "x": 2}',
    ],
)
def test_a_later_record_with_other_keys_is_noticed(
    database: duckdb.DuckDBPyConnection, tmp_path: Path, line: str
) -> None:
    """Those that are asked for their keys are all alike."""
    alike = '{"customer_id": 1, "tier": "a"}\n' * 20_000
    found = found_by_each_way(database, tmp_path / "a.ndjson", f"{alike}{line}\n".encode())
    assert all(each == found[-1] for each in found)
    (last,) = found[-1][20_000:]
    assert last[0] or last != found[-1][0]


def _without_silent(record: tuple[Any, ...]) -> tuple[Any, ...]:
    """Without those of the unknown columns that say nothing: a file may have them or not."""
    if len(record) == 1:
        return record
    *columns, entries, is_strange = record
    said = sorted((each["key"], each["value"]) for each in entries if each["value"])
    return (*columns, said, is_strange)


@pytest.mark.parametrize("size", [0, 1, 170, 171, 300])
def test_of_a_long_map_the_beginning_of_its_json_is_kept(
    database: duckdb.DuckDBPyConnection, tmp_path: Path, size: int
) -> None:
    """The same, whether all of the JSON was made for it or not."""
    path = tmp_path / "a.parquet"
    database.execute(
        "copy (select 1 as customer_id, 'free' as tier, map_from_entries(list_transform("
        f"range({size}), lambda n: ('é\"' || n, case when n % 3 <> 1 then n end))) as more) "
        f"to '{path}' (format parquet)"
    )
    text = json.dumps(
        {f'é"{n}': None if n % 3 == 1 else n for n in range(size)},
        separators=(",", ":"),
        ensure_ascii=False,
    )
    with ways_to_read(database, detect_format(path, CUSTOMERS), tmp_path, unpacked_limit=1) as ways:
        for way in ways:
            rows = way()
            assert rows
            ((original,),) = database.execute(
                f"select {rows.original} from ({rows.relation})"
            ).fetchall()
            kept = json.loads(original)["more"]
            assert kept == (text[:1024] + "…" if size > 100 else json.loads(text))
