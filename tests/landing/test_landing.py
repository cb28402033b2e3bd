"""Landing: what becomes of files and of each row in them."""

from __future__ import annotations

import gzip
import json
import os
import re
from collections.abc import Sequence
from datetime import date
from itertools import product
from pathlib import Path
from typing import Any

import duckdb
import pytest

from installation import Installation, rating, scan, usage_event
from orchestration import pipeline
from orchestration.contract.streams import Column, Kind
from orchestration.landing.checks import typed_value
from orchestration.landing.extra import names_in_lake
from orchestration.storage.ledger import Load


def land(installation: Installation) -> dict[str, Load]:
    """Land what waits; the loads of this landing by source file."""
    with installation.ledger() as ledger:
        return {load.source_file: load for load in pipeline.land(installation.settings, ledger)}


@pytest.mark.parametrize(
    "name",
    ["a.parquet", "a.ndjson", "a.jsonl", "a.ndjson.gz", "a.jsonl.gz", "a.csv", "a.csv.gz"],
)
def test_every_format_lands_the_same_rows(installation: Installation, name: str) -> None:
    """The lake does not show what a row was delivered as."""
    installation.drop("agent_usage_events", name, [usage_event(n) for n in range(3)])
    installation.drop("audit_events", name, [scan(1), scan(2, is_toxic=True, pii_redactions={})])
    installation.drop("feedback_events", name, [rating(1), rating(2, agent_id=None)])
    land(installation)

    (first, *_rest) = sorted(installation.lake("agent_usage_events"), key=lambda r: r["event_id"])
    assert {name: value for name, value in first.items() if value is not None} == {
        "event_id": "event-0",
        "customer_id": 1,
        "agent_id": 11,
        "agent_type_id": 5,
        "model_used": "claude-sonnet-4",
        "input_tokens": 100,
        "output_tokens": 10,
        "is_total_mismatch": False,
        "response_time_ms": 1500,
        "occurred_at": first["occurred_at"],
        "received_at": first["received_at"],
        "processing": "standard",
        "is_repeat": False,
        "load_id": first["load_id"],
    }
    assert first["occurred_at"].isoformat() == "2026-03-01T08:00:00"
    scans = sorted(installation.lake("audit_events"), key=lambda row: row["audit_id"])
    assert [row["pii_redactions"] for row in scans] == [{"PERSON": 1}, {}]
    assert [row["is_toxic"] for row in scans] == [None, True]
    assert sorted(row["agent_id"] or 0 for row in installation.lake("feedback_events")) == [0, 11]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"event_id": None}, "missing_event_id"),
        ({"event_id": "x" * 129}, "invalid_event_id"),
        ({"customer_id": 0}, "invalid_customer_id"),
        ({"customer_id": 2**63}, "invalid_customer_id"),
        ({"customer_id": "one"}, "invalid_customer_id"),
        ({"agent_id": 1.5}, "invalid_agent_id"),
        ({"input_tokens": -1}, "invalid_input_tokens"),
        ({"input_tokens": 10**12 + 1}, "invalid_input_tokens"),
        ({"output_tokens": None}, "missing_output_tokens"),
        ({"model_used": "m" * 257}, "invalid_model_used"),
        ({"model_used": ["m"]}, "invalid_model_used"),
        ({"response_time_ms": -0.1}, "invalid_response_time_ms"),
        ({"response_time_ms": 86_400_000.5}, "invalid_response_time_ms"),
        ({"response_time_ms": "Infinity"}, "invalid_response_time_ms"),
        ({"occurred_at": "infinity"}, "invalid_occurred_at"),
        ({"occurred_at": "2026-02-30T00:00:00Z"}, "invalid_occurred_at"),
        ({"occurred_at": "2026-03-01 08:00:00 America/New_York"}, "invalid_occurred_at"),
        ({"occurred_at": 1772352000}, "invalid_occurred_at"),
        ({"occurred_at": "1970-01-01T00:59:59+01:00"}, "invalid_occurred_at"),
        ({"occurred_at": "2026-03-01T08:00:00+18:01"}, "invalid_occurred_at"),
        ({"received_at": "9999-01-01T00:00:00Z"}, "invalid_received_at"),
        ({"received_at": "soon"}, "invalid_received_at"),
        ({"occurred_at": "2026-03-01T12:05:00.000001Z"}, "occurred_in_future"),
    ],
)
def test_a_row_that_breaks_a_rule_is_kept_with_the_reason(
    installation: Installation, changes: dict[str, Any], reason: str
) -> None:
    """The good row beside it loads; the bad one is in the rejected store with its text."""
    bad = usage_event(2, **changes)
    installation.drop("agent_usage_events", "a.ndjson", [usage_event(1), bad])
    (load,) = land(installation).values()
    assert (load.rows_read, load.accepted, load.rejected_by_reason) == (2, 1, {reason: 1})
    (row,) = installation.lake("rejected_rows")
    assert (row["source_file"], row["row_number"]) == ("agent_usage_events/a.ndjson", 2)
    assert row["reason"] == reason
    assert json.loads(row["original"]) == bad


@pytest.mark.parametrize(
    ("stream", "row", "reason"),
    [
        ("audit_events", scan(1, toxicity_score=1.01), "invalid_toxicity_score"),
        ("audit_events", scan(1, is_toxic="perhaps"), "invalid_is_toxic"),
        ("audit_events", scan(1, pii_redactions={"PERSON": -1}), "invalid_pii_redactions"),
        ("audit_events", scan(1, pii_redactions={"PERSON": 1.5}), "invalid_pii_redactions"),
        ("audit_events", scan(1, pii_redactions=["PERSON"]), "invalid_pii_redactions"),
        ("audit_events", scan(1, pii_redactions="PERSON"), "invalid_pii_redactions"),
        ("audit_events", scan(1, pii_redactions={"PERSON": {"n": 1}}), "invalid_pii_redactions"),
        ("audit_events", scan(1, pii_redactions={"A": 10**12, "B": 1}), "invalid_pii_redactions"),
        ("audit_events", scan(1, pii_redactions={"P" * 257: 1}), "invalid_pii_redactions"),
        ("feedback_events", rating(1, rating=0), "invalid_rating"),
        ("feedback_events", rating(1, rating=-1), "invalid_rating"),
        ("feedback_events", rating(1, rating=4.5), "invalid_rating"),
        ("feedback_events", rating(1, running_instances=-1), "invalid_running_instances"),
        ("customers", {"customer_id": 1, "tier": None}, "missing_tier"),
        (
            "customers",
            {"customer_id": 1, "tier": "pro", "customer_name": "n" * 257},
            "invalid_customer_name",
        ),
        (
            "customers",
            {"customer_id": 1, "tier": "pro", "updated_at": "2026-03-01T12:06:00Z"},
            "updated_in_future",
        ),
        ("agents", {"agent_id": -3, "customer_id": 1, "agent_type_id": 1}, "invalid_agent_id"),
    ],
)
def test_every_stream_has_its_rules(
    installation: Installation, stream: str, row: dict[str, Any], reason: str
) -> None:
    """One bad row of each kind, with the reason that names its column."""
    installation.drop(stream, "a.ndjson", [row])
    (load,) = land(installation).values()
    assert load.rejected_by_reason == {reason: 1}


@pytest.mark.parametrize(
    ("changes", "column", "value"),
    [
        ({"model_used": "  gpt-4o\t"}, "model_used", "gpt-4o"),
        ({"model_used": " "}, "model_used", "unknown"),
        ({"model_used": None}, "model_used", "unknown"),
        ({"response_time_ms": 0.5}, "response_time_ms", 1),
        ({"response_time_ms": 1.4999}, "response_time_ms", 1),
        ({"response_time_ms": None}, "response_time_ms", None),
        ({"response_time_ms": "NaN"}, "response_time_ms", None),
        ({"model_used": "\u2003\u00a0"}, "model_used", "unknown"),
        ({"total_tokens": 1}, "is_total_mismatch", True),
        ({"total_tokens": "many"}, "is_total_mismatch", True),
        ({"total_tokens": 110.5}, "is_total_mismatch", True),
        ({"total_tokens": "NaN"}, "is_total_mismatch", False),
        ({"total_tokens": None}, "is_total_mismatch", False),
        ({"input_tokens": "100.0"}, "input_tokens", 100),
        ({"occurred_at": "2026-03-01 08:00:00"}, "occurred_at", "2026-03-01T08:00:00"),
        ({"occurred_at": "2026-03-01T13:45:00+05:45"}, "occurred_at", "2026-03-01T08:00:00"),
        ({"occurred_at": "2026-03-01 07:00:00-01"}, "occurred_at", "2026-03-01T08:00:00"),
        ({"occurred_at": "2026-03-01 07:00:00 -0100"}, "occurred_at", "2026-03-01T08:00:00"),
        ({"occurred_at": "2026-03-01T08:00:00z"}, "occurred_at", "2026-03-01T08:00:00"),
        ({"occurred_at": "2026-03-01T12:05:00Z"}, "occurred_at", "2026-03-01T12:05:00"),
        (
            {"occurred_at": "2026-03-01T08:00:00.1234567Z"},
            "occurred_at",
            "2026-03-01T08:00:00.123456",
        ),
    ],
)
def test_what_may_be_written_in_several_ways_lands_in_one(
    installation: Installation, changes: dict[str, Any], column: str, value: Any
) -> None:
    """Blanks, fractions, offsets and untrusted totals."""
    installation.drop("agent_usage_events", "a.ndjson", [usage_event(1, **changes)])
    land(installation)
    (row,) = installation.lake("agent_usage_events")
    found = row[column].isoformat() if column == "occurred_at" else row[column]
    assert found == value


def test_a_model_that_is_not_given_is_unknown_in_a_column_of_any_type(
    installation: Installation,
) -> None:
    """A file with no models at all may have the column as a list, a structure or bytes."""
    kinds = ("varchar", "integer[]", "struct(a integer)", "map(varchar, varchar)", "blob", "json")
    for number, kind in enumerate(kinds):
        path = installation.drop_bytes("agent_usage_events", f"{number}.parquet", b"")
        with duckdb.connect() as connection:
            connection.execute(
                f"copy (select 'event-{number}' as event_id, 1 as customer_id, 1 as agent_id, "
                f"1 as agent_type_id, cast(null as {kind}) as model_used, 1 as input_tokens, "
                "1 as output_tokens, timestamp '2026-02-28 08:00:00' as occurred_at) "
                f"to '{path}' (format parquet)"
            )
    land(installation)
    assert [row["model_used"] for row in installation.lake("agent_usage_events")] == [
        "unknown"
    ] * len(kinds)


def test_a_time_of_parquet_with_a_zone_is_read_as_the_instant_it_is(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The zone of the machine does not matter."""
    import duckdb

    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    folder = installation.home / "landing" / "agent_usage_events"
    folder.mkdir(parents=True)
    installation.drop("agent_usage_events", ".rows.ndjson", [usage_event(1)])
    duckdb.connect().execute(
        f"copy (select * replace (timestamptz '2026-03-01 08:00:00+00' as occurred_at, "
        f"timestamp '2026-03-01 08:00:01' as received_at) "
        f"from read_json('{folder}/.rows.ndjson')) to '{folder}/a.parquet'"
    )
    land(installation)
    (row,) = installation.lake("agent_usage_events")
    assert row["occurred_at"].isoformat() == "2026-03-01T08:00:00"
    assert row["received_at"].isoformat() == "2026-03-01T08:00:01"


def test_a_parquet_column_of_json_holds_what_the_same_json_does(installation: Installation) -> None:
    """Written by DuckDB with the logical type JSON: texts without their quotes, null as null."""
    import duckdb

    asked = [
        {column: json.dumps(value, indent=indent) for column, value in row.items()}
        for indent, row in enumerate(
            [
                scan(1, pii_redactions={"EMAIL": 2}, toxicity_score=0.25, note="kept"),
                scan(2, pii_redactions={}, event_id=None, agent_id="7", note={"left": "out"}),
                scan(3, audit_id=["nested"], note=None),
            ]
        )
    ]
    folder = installation.home / "landing" / "audit_events"
    folder.mkdir(parents=True)
    columns = ", ".join(f"{name}::json as {name}" for name in asked[0])
    duckdb.connect().execute(
        f"copy (select {columns} from (values "
        + ", ".join(f"({', '.join(['?'] * len(row))})" for row in asked)
        + f") as asked ({', '.join(asked[0])})) to '{folder}/a.parquet'",
        [value for row in asked for value in row.values()],
    )
    of_parquet = land(installation)["audit_events/a.parquet"]
    in_lake = installation.lake("audit_events")
    assert (of_parquet.accepted, of_parquet.rejected_by_reason) == (2, {"invalid_audit_id": 1})
    assert [row["audit_id"] for row in in_lake] == [scan(1)["audit_id"], scan(2)["audit_id"]]
    lines = [{name: json.loads(text) for name, text in row.items()} for row in asked]
    installation.drop("audit_events", "b.ndjson", lines)
    of_ndjson = land(installation)["audit_events/b.ndjson"]
    assert of_ndjson.duplicates == 2
    assert of_ndjson.rejected_by_reason == of_parquet.rejected_by_reason
    assert of_ndjson.extra_left_out == of_parquet.extra_left_out == 1


def test_the_same_event_counts_once_however_it_is_delivered_again(
    installation: Installation,
) -> None:
    """Twice in a file, the same file again, a renamed copy, and within another file."""
    events = [usage_event(n) for n in range(10)]
    installation.drop("agent_usage_events", "a.ndjson", [*events, events[0]])
    assert land(installation)["agent_usage_events/a.ndjson"].accepted == 10
    lake_before = sorted(installation.settings.lake.rglob("*.parquet"))
    installation.drop("agent_usage_events", "a.ndjson", [*events, events[0]])
    installation.drop("agent_usage_events", "renamed.ndjson", [*events, events[0]])
    installation.drop("agent_usage_events", "b.parquet", [*events[3:], usage_event(99)])

    loads = land(installation)

    counts = {
        name: (load.rows_read, load.accepted, load.duplicates, load.dates_touched)
        for name, load in loads.items()
    }
    assert counts == {
        "agent_usage_events/a.ndjson": (11, 0, 11, ()),
        "agent_usage_events/renamed.ndjson": (11, 0, 11, ()),
        "agent_usage_events/b.parquet": (8, 1, 7, (date(2026, 3, 1),)),
    }
    assert len(installation.lake("agent_usage_events")) == 11
    assert set(lake_before) < set(installation.settings.lake.rglob("*.parquet"))


def test_another_content_under_the_same_id_is_kept_and_counted(installation: Installation) -> None:
    """Staging must be able to choose; only what differs is an anomaly."""
    installation.drop("agent_usage_events", "a.ndjson", [usage_event(1), usage_event(2)])
    land(installation)
    installation.drop(
        "agent_usage_events",
        "b.ndjson",
        [
            usage_event(1, output_tokens=99),
            usage_event(2, received_at="2026-03-01T09:00:00Z"),
            usage_event(2, received_at="2026-03-01T07:00:00Z"),
        ],
    )
    (load,) = land(installation).values()
    assert (load.accepted, load.duplicates, load.conflicting_duplicates) == (0, 3, 1)
    versions = sorted(
        (row["event_id"], row["output_tokens"], str(row["received_at"]))
        for row in installation.lake("agent_usage_events")
    )
    assert versions == [
        ("event-1", 10, "2026-03-01 08:00:01"),
        ("event-1", 99, "2026-03-01 08:00:01"),
        ("event-2", 10, "2026-03-01 08:00:01"),
        ("event-2", 10, "2026-03-01 09:00:00"),
    ]


def test_retention_is_checked_to_the_microsecond(installation: Installation) -> None:
    """A free customer's event lands from 00:00 UTC seven days before today on; none before."""
    installation.drop("customers", "c.csv", [{"customer_id": 1, "tier": "free"}])
    installation.drop(
        "agent_usage_events",
        "a.ndjson",
        [
            usage_event(1, occurred_at="2026-02-22T00:00:00Z"),
            usage_event(2, occurred_at="2026-02-21T23:59:59.999999Z"),
            usage_event(3, customer_id=2, occurred_at="2001-01-01T00:00:00Z"),
        ],
    )
    load = land(installation)["agent_usage_events/a.ndjson"]
    assert (load.accepted, load.rejected_by_reason) == (2, {"expired": 1})
    (row,) = installation.lake("rejected_rows")
    assert row["original"] is None
    assert {row["event_id"] for row in installation.lake("agent_usage_events")} == {
        "event-1",
        "event-3",
    }


def test_files_that_are_still_being_written_are_left_alone(installation: Installation) -> None:
    """By name: a dot or an underscore in front, or .tmp behind, of a file or of its folder."""
    for name in (".a.ndjson", "_a.ndjson", "a.ndjson.tmp", "_part/a.ndjson", ".hidden/a.ndjson"):
        installation.drop_bytes("agent_usage_events", name, b"not all there yet")
    installation.drop("agent_usage_events", "deep/er/b.ndjson", [usage_event(2)])
    assert list(land(installation)) == ["agent_usage_events/deep/er/b.ndjson"]
    waiting = installation.home / "landing" / "agent_usage_events"
    assert len([path for path in waiting.rglob("*") if path.is_file()]) == 5
    archived = installation.home / "landing" / "_loaded" / "agent_usage_events"
    assert (archived / "deep" / "er" / "b.ndjson").exists()


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.parquet", b"PAR1 not really PAR1", "cannot be read as parquet"),
        ("a.csv", b"", "is empty"),
        ("a.csv", b"event_id,event_id\n1,2\n", "names a column twice (event_id)"),
        ("a.csv", b"event_id,customer_id\n1,2\n", "misses the required columns agent_id"),
        ("a.ndjson", b'{"event_id": "e"}\n', "misses the required columns customer_id"),
        ("a.ndjson", b"7\n[1, 2]\n", "no line is a JSON object"),
        ("a.ndjson", b"[1, 2]\n", "is one JSON array"),
        ("a.ndjson", gzip.compress(b"{}", mtime=0), "is packed with gzip: add .gz to its name"),
        ("a.csv", b"PAR1", "is a Parquet file: name it .parquet"),
        ("a.csv", ";".join(usage_event(1)).encode(), "separated by semicolons"),
        ("a.csv", ",".join(usage_event(1)).upper().encode(), "write the names in lower case"),
        ("a.csv", ",".join(f"c{n}" for n in range(16_000)).encode(), "misses the required columns"),
        ("a.ndjson.gz", b"not gzip at all", "is not packed with gzip"),
        ("a.csv.zst", b"not zstd at all", "is not packed with zstd"),
        (
            "a.csv.gz",
            gzip.compress((",".join(usage_event(1)) + "\n").encode() * 9000, mtime=0)[:-60],
            "cut off where it is packed with gzip",
        ),
        ("a.xlsx", b"PK", "has a name without a format"),
    ],
)
def test_a_file_that_cannot_be_read_is_set_aside_and_the_others_load(
    installation: Installation, name: str, content: bytes, reason: str
) -> None:
    """It goes to _failed/ as it was, with the reason beside it, and into the ledger."""
    installation.drop_bytes("agent_usage_events", name, content)
    installation.drop("agent_usage_events", "good.ndjson", [usage_event(1)])
    loads = land(installation)
    assert loads["agent_usage_events/good.ndjson"].accepted == 1
    failed = loads[f"agent_usage_events/{name}"]
    assert failed.status == "failed"
    assert failed.failure is not None and reason in failed.failure
    folder = installation.home / "landing" / "_failed" / "agent_usage_events"
    assert (folder / name).read_bytes() == content
    assert reason in (folder / f"{name}.reason.txt").read_text()
    assert land(installation) == {}


def test_a_record_that_is_not_well_formed_does_not_take_others_with_it(
    installation: Installation,
) -> None:
    """Bad JSON and bad CSV are rejected row by row, under the number they had in the file."""
    lines = [json.dumps(usage_event(n)) for n in range(4)]
    lines[1] = lines[1][:40]
    lines[2] = "[]"
    installation.drop_bytes("agent_usage_events", "a.ndjson", "\n".join(lines).encode())
    header = "feedback_id,customer_id,agent_type_id,rating,occurred_at"
    rows = [
        "f1,1,5,4,2026-03-01T08:00:00Z",
        "f2,1,5",
        "f3,1,5,4,2026-03-01T08:00:00Z,more",
        "f4,1,5,9,2026-03-01T08:00:00Z",
        "f5,1,5,4,2026-03-01T08:00:00Z",
    ]
    installation.drop_bytes("feedback_events", "a.csv", "\n".join([header, *rows]).encode())
    loads = land(installation)
    ndjson, of_csv = loads["agent_usage_events/a.ndjson"], loads["feedback_events/a.csv"]
    assert (ndjson.rows_read, ndjson.accepted) == (4, 2)
    assert ndjson.rejected_by_reason == {"malformed_row": 2}
    assert (of_csv.rows_read, of_csv.accepted) == (5, 2)
    assert of_csv.rejected_by_reason == {"malformed_row": 2, "invalid_rating": 1}
    rejected = {
        (row["source_file"][-6:], row["row_number"]): row["original"]
        for row in installation.lake("rejected_rows")
    }
    assert rejected["ndjson", 2] == lines[1]
    assert rejected["ndjson", 3] == lines[2]
    assert rejected["/a.csv", 2].strip() == rows[1]
    assert rejected["/a.csv", 3].strip() == rows[2]
    assert json.loads(rejected["/a.csv", 4])["feedback_id"] == "f4"


@pytest.mark.parametrize("other", ['["a"]', "null", '"text"', "7"])
def test_a_line_that_is_no_object_is_malformed_wherever_it_stands(
    installation: Installation, other: str
) -> None:
    """Its text is kept under its number; the rows around it, good and bad, are judged as ever."""
    lines = [json.dumps(row) for row in (usage_event(1), usage_event(2, input_tokens=-1))]
    text = "\n".join([lines[0], "", other, lines[1]])
    installation.drop_bytes("agent_usage_events", "a.ndjson", text.encode())
    (load,) = land(installation).values()
    assert (load.rows_read, load.accepted) == (3, 1)
    assert load.rejected_by_reason == {"invalid_input_tokens": 1, "malformed_row": 1}
    rejected = {row["row_number"]: row["original"] for row in installation.lake("rejected_rows")}
    assert rejected == {2: other, 3: lines[1]}


@pytest.mark.parametrize("key", ["input_tokens", "mood"])
@pytest.mark.parametrize("place", [0, 1])
def test_a_record_that_has_a_key_twice_is_malformed(
    installation: Installation, key: str, place: int
) -> None:
    """Which of its values was meant is unknown, of the contract's columns or of another."""
    lines = [json.dumps(usage_event(n, mood=1)) for n in range(3)]
    lines[place] = lines[place].replace("{", f'{{"{key}": 5, ', 1)
    installation.drop_bytes("agent_usage_events", "a.ndjson", "\n".join(lines).encode())
    (load,) = land(installation).values()
    assert (load.accepted, load.rejected_by_reason) == (2, {"malformed_row": 1})


@pytest.mark.parametrize(
    "text",
    [
        *("12", "-0", "+12", " 12 ", "012", "12.0", "12.", "0x10", "1_000", "", " ", "12.5"),
        *("9223372036854775807", "9223372036854775808", "99999999999999999999.0"),
        *(
            "1e3",
            "1e+05",
            "1.5e1",
            "1.55e1",
            "1e18",
            "1e19",
            "1e999",
            "-1E2",
            "e3",
            "\u30001\u2003",
        ),
    ],
)
def test_an_integer_is_read_from_its_text(text: str) -> None:
    """The quick way and the pattern agree: digits, a sign, and nothing but zeros after a point."""
    digits = re.fullmatch(r"\s*([+-]?[0-9]+)(\.0*)?\s*", text)
    expected = int(digits[1]) if digits and abs(int(digits[1])) < 2**63 else None
    column = Column("total_tokens", Kind.UNTRUSTED_TOTAL)
    assert _value_of(column, text) == expected


def test_a_time_is_the_same_instant_with_and_without_an_offset() -> None:
    """What is written plainly is read another way than what has an offset, to the same end."""
    times = [
        (year, clock, f"{year}-02-28T{clock}{fraction}", zone)
        for year, clock, fraction, zone in product(
            ("1582", "1969", "1970", "2026", "2099", "2100", "9998", "9999"),
            ("00:00:00", "23:59:59", "24:00:00", "12:60:00", "12:00:60"),
            ("", ".1", ".123456", ".1234567"),
            ("", "Z"),
        )
    ]
    column = Column("occurred_at", Kind.INSTANT)
    read = _values_of(column, [text + zone for _, _, text, zone in times])
    with_offset = _values_of(column, [f"{text}+00:00" for _, _, text, _ in times])
    with_hours = _values_of(column, [f"{text}+00".replace("T", " ") for _, _, text, _ in times])
    for (year, clock, text, _), *values in zip(times, read, with_offset, with_hours, strict=True):
        assert values == values[:1] * 3, text
        exists = clock in ("00:00:00", "23:59:59") and "1970" <= year <= "9998"
        assert (values[0] is not None) == exists, text


def _value_of(column: Column, text: str) -> Any:
    return _values_of(column, [text])[0]


def _values_of(column: Column, texts: Sequence[str]) -> list[Any]:
    """What the column reads from each text."""
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        rows = connection.execute(
            f"select {typed_value(column, 'cell', 'VARCHAR')} "
            "from (select unnest($texts) as cell, generate_subscripts($texts, 1) as number) "
            "order by number",
            {"texts": list(texts)},
        ).fetchall()
    return [value for (value,) in rows]


@pytest.mark.parametrize("name", ["a.csv", "a.ndjson", "a.parquet"])
def test_what_columns_say_that_the_stream_does_not_have_is_kept_beside_the_row(
    installation: Installation, name: str
) -> None:
    """In the lake alone: the ledger has how many columns there were, and values left out."""
    said = {"mood": "good", "alice@example.com": 1, "prompt": "p" * 257}
    installation.drop("agent_usage_events", name, [usage_event(1, **said)])
    ((source, load),) = land(installation).items()
    assert (load.unknown_columns, load.extra_left_out) == (3, 1)
    (row,) = installation.lake("agent_usage_events")
    assert row["extra"] == {"mood": "good", "alice@example.com": "1"}
    assert row["load_id"] == load.load_id
    assert b"alice" not in installation.settings.ledger_path.read_bytes(), source
    assert unknown_columns(installation) == {"agent_usage_events": ["alice@example.com", "mood"]}


def unknown_columns(installation: Installation) -> dict[str, list[str]]:
    """Their names, as `agentstats status` reads them from the lake."""
    with installation.ledger() as ledger:
        return names_in_lake(installation.settings, ledger)


def test_nested_values_and_all_beyond_sixteen_kilobytes_are_left_out(
    installation: Installation,
) -> None:
    """Whatever the values are, a row's map has its bound; and `drop` keeps none."""
    many = {f"column-{n:03}": "x" * 256 for n in range(100)}
    rows = [usage_event(1, prompt={"a": 1}, answer=[1], ok=True, n=1.5), usage_event(2, **many)]
    installation.drop("agent_usage_events", "a.ndjson", rows)
    (load,) = land(installation).values()
    kept = {row["event_id"]: row["extra"] for row in installation.lake("agent_usage_events")}
    assert kept["event-1"] == {"ok": "true", "n": "1.5"}
    size = sum(len(name) + len(value) for name, value in kept["event-2"].items())
    assert 15 * 1024 < size <= 16 * 1024
    assert load.extra_left_out == 2 + 100 - len(kept["event-2"])
    installation.environment.setenv("AGENTSTATS_EXTRA", "drop")
    installation.drop("agent_usage_events", "b.ndjson", [usage_event(3, mood="good")])
    (load,) = land(installation).values()
    assert (load.unknown_columns, load.extra_left_out) == (1, 0)


def test_a_time_of_receipt_that_is_ahead_is_taken_as_unknown(installation: Installation) -> None:
    """And counted; a row that differs in nothing but such a time is the same row."""
    ahead = [f"2026-03-01T12:0{minute}:00.000001Z" for minute in (5, 6)]
    rows = [usage_event(1, received_at=time) for time in ahead]
    installation.drop("agent_usage_events", "a.ndjson", [*rows, usage_event(2)])
    (load,) = land(installation).values()
    assert (load.accepted, load.duplicates, load.conflicting_duplicates) == (2, 1, 0)
    assert load.received_in_future == 2
    received = {
        row["event_id"]: row["received_at"] for row in installation.lake("agent_usage_events")
    }
    assert received["event-1"] is None and received["event-2"] is not None


def test_what_an_interrupted_load_left_is_cleared_and_loaded_again(
    installation: Installation,
) -> None:
    """A lake file without a ledger entry does not count, and does not stay."""
    installation.drop("agent_usage_events", "a.ndjson", [usage_event(1)])
    land(installation)
    orphan = installation.settings.lake / "agent_usage_events/occurred_date=2026-03-01/cut.parquet"
    orphan.write_bytes(b"half a file")
    unfinished = orphan.with_name(".cut.parquet.tmp")
    unfinished.write_bytes(b"less")
    land(installation)
    assert not orphan.exists() and not unfinished.exists()
    assert len(installation.lake("agent_usage_events")) == 1


def test_a_file_that_was_recorded_but_not_moved_is_not_recorded_twice(
    installation: Installation,
) -> None:
    """A run that ended between the ledger entry and the move leaves the file where it was."""
    path = installation.drop("agent_usage_events", "a.ndjson", [usage_event(1)])
    land(installation)
    archived = installation.home / "landing/_loaded/agent_usage_events/a.ndjson"
    archived.rename(path)
    with installation.ledger() as ledger:
        ledger._connection.execute("update load set is_moved = 0")
    land(installation)
    assert not path.exists()
    assert archived.exists()
    with installation.ledger() as ledger:
        assert len(ledger.loads()) == 1


def test_a_copy_with_the_same_name_and_time_is_a_delivery_of_its_own(
    installation: Installation,
) -> None:
    """`rsync -a` keeps times: the ledger still has an entry for each delivery."""
    path = installation.drop("agent_usage_events", "a.ndjson", [usage_event(1)])
    os.utime(path, ns=(10**18, 10**18))
    content = path.read_bytes()
    land(installation)
    path.write_bytes(content)
    os.utime(path, ns=(10**18, 10**18))
    (load,) = land(installation).values()
    assert (load.rows_read, load.accepted, load.duplicates) == (1, 0, 1)
    with installation.ledger() as ledger:
        assert len(ledger.loads()) == 2


@pytest.mark.parametrize("ending", [b"\n", b"\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_csv_and_ndjson_are_read_as_other_systems_write_them(
    installation: Installation, ending: bytes, mark: bytes
) -> None:
    """Either line ending, a byte order mark, quotes, commas and line breaks inside of quotes."""
    rows = [
        b"feedback_id,customer_id,agent_type_id,rating,occurred_at",
        b'"a ""quoted"", one",1,5,4,2026-03-01T08:00:00Z',
        b'"two' + ending + b'lines",1,5,4,2026-03-01 08:00:00',
        "zażółć,1,5,4,2026-03-01T08:00:00Z".encode(),
    ]
    installation.drop_bytes("feedback_events", "a.csv", mark + ending.join(rows) + ending)
    line = json.dumps(usage_event(1)).encode()
    installation.drop_bytes("agent_usage_events", "a.ndjson", line + ending + line)
    loads = land(installation)
    assert loads["feedback_events/a.csv"].accepted == 3
    ids = {row["feedback_id"].replace("\r\n", "\n") for row in installation.lake("feedback_events")}
    assert ids == {'a "quoted", one', "two\nlines", "zażółć"}
    assert loads["agent_usage_events/a.ndjson"].accepted == 1


def test_loading_again_from_nothing_writes_the_same_bytes(
    installation: Installation, tmp_path: Path
) -> None:
    """A load's id and files follow from the content of the source alone."""
    events = [usage_event(n, occurred_at=f"2026-02-2{n % 8}T08:00:00Z") for n in range(50)]

    def lake_files() -> dict[str, bytes]:
        lake = installation.settings.lake
        return {str(path.relative_to(lake)): path.read_bytes() for path in lake.rglob("*.parquet")}

    installation.drop("agent_usage_events", "a.csv.gz", events)
    land(installation)
    first = lake_files()
    # Of each date its events, and what came of its rows.
    assert len(first) == 16
    again = Installation(tmp_path / "again", installation.environment, installation.now)
    again.drop("agent_usage_events", "b.csv", events)
    source = installation.home / "landing/_loaded/agent_usage_events/a.csv.gz"
    (again.home / "landing/agent_usage_events/b.csv").unlink()
    again.drop_bytes("agent_usage_events", "other-name.csv.gz", source.read_bytes())
    land(again)
    assert lake_files() == first
