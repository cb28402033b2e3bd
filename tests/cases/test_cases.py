"""Inputs that went wrong once, each as it came, and what is right: one home, one hourly run.

The files lie beside this one, in a folder for each kind; `made` makes those that are too large, or
need no file.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cases.made import ERASED, PERSON, TIED, drop_made
from installation import Installation
from orchestration.erase import erase
from orchestration.lake.policy import policy_files, read_policies
from orchestration.publication.export import export
from orchestration.retention.search import Proof
from orchestration.storage.database import connect
from orchestration.warehouse.reconciliation import reconcile
from retention.searching import files_that_hold

HERE = Path(__file__).parent
NOW = "2026-05-01T12:00:00Z"
OLD = datetime(2025, 2, 5, tzinfo=UTC).timestamp()
USAGE = "agent_usage_events"

# Files of audit events; all others are of usage.
_AUDIT = {"one_bad_redaction_count"}
# Delivered under another name than they have here, where every checkout and editor can have it.
_NAMES = {
    "name_is_not_a_pattern/usage-eu.csv": "name_is_not_a_pattern/usage-[exu].csv",
    "name_is_not_a_pattern/other.csv": "name_is_not_a_pattern/usage-x.csv",
    "folder_is_not_a_column/event.parquet": "customer_id=1/part-0.parquet",
    "folder_is_not_a_column/event.csv": "customer_id=1/part-1.csv",
    "messages/packed.ndjson.gz": "messages/packed.ndjson",
}

Row = Mapping[str, Any]
Counts = tuple[int, int, int, dict[str, int]]
"""Of one file: rows read, accepted, duplicate, and rejected by reason."""


@dataclass
class Delivered:
    """What came of everything: after the hourly run, and after all that follows it."""

    installation: Installation
    loads: dict[str, Counts] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    unknown_columns: dict[str, int] = field(default_factory=dict)
    events: dict[str, Row] = field(default_factory=dict)
    messages: dict[int, tuple[int, int]] = field(default_factory=dict)
    redactions: dict[tuple[int, str], int] = field(default_factory=dict)
    tiers_in_mart: dict[int, str] = field(default_factory=dict)
    tiers_in_policy: dict[int, str] = field(default_factory=dict)
    customers_expired: set[int] = field(default_factory=set)
    customers_deleted: set[int] = field(default_factory=set)
    still_waiting: list[str] = field(default_factory=list)
    exported: set[str] = field(default_factory=set)
    differences: list[object] = field(default_factory=list)
    proof: Proof | None = None


@pytest.fixture(scope="module")
def delivered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Delivered]:
    """All cases in one home: hourly, nightly, export, reconcile and erase, each once.

    The home's own path looks like two columns, which nothing may take it for.
    """
    home = tmp_path_factory.mktemp("cases") / "customer_id=9" / "occurred_at=x[1]*" / "home"
    with pytest.MonkeyPatch.context() as environment:
        installation = Installation(home, environment, NOW)
        _drop(installation)
        done = Delivered(installation)
        installation.run()
        _look(done)
        before = {row["customer_id"] for row in installation.lake(USAGE)} & set(TIED)
        installation.run("nightly")
        done.customers_deleted = before - {row["customer_id"] for row in installation.lake(USAGE)}
        done.exported = {
            file.table for file in export(installation.settings, home / "exported").files
        }
        with installation.ledger() as ledger:
            proof = reconcile(installation.settings, ledger)
            done.differences = [*proof.differences, *proof.file_differences]
            done.proof = erase(installation.settings, ledger, ERASED, run_id="erase").proof
        yield done


def _drop(installation: Installation) -> None:
    for path in sorted(HERE.rglob("*")):
        name = path.relative_to(HERE).as_posix()
        if not path.is_file() or "/" not in name or "__pycache__" in name:
            continue
        kind = name.split("/")[0]
        if kind == "linked_folder":
            continue
        stream = "audit_events" if kind in _AUDIT else USAGE
        installation.drop_bytes(stream, _NAMES.get(name, name), path.read_bytes())
    installation.drop("customers", "customers.ndjson", [
        {"customer_id": 1, "customer_name": "One", "tier": "pro", "updated_at": "2026-01-01"},
        {"customer_id": 2, "customer_name": "Two", "tier": "pro", "updated_at": "2026-01-01"},
    ])  # fmt: skip
    elsewhere = installation.home.parent / "elsewhere"
    shutil.copytree(HERE / "linked_folder", elsewhere)
    (installation.home / "landing" / USAGE / "partner").symlink_to(elsewhere)
    reason = installation.drop_bytes(USAGE, "export.csv.reason.txt", b"a note of somebody's\n")
    os.utime(reason, (OLD, OLD))
    drop_made(installation)


def _look(done: Delivered) -> None:
    installation = done.installation
    for name, load in installation.loads().items():
        _, _, name = name.partition("/")
        rejected = dict(load.rejected_by_reason)
        done.loads[name] = (load.rows_read, load.accepted, load.duplicates, rejected)
        done.unknown_columns[name] = _count_of(load.unknown_columns)
        if load.failure:
            done.failures[name] = load.failure
            beside = installation.settings.landing / "_failed" / f"{load.source_file}.reason.txt"
            done.reasons[name] = beside.read_text()
        if set(rejected) == {"expired"} and name.startswith("tie-"):
            done.customers_expired.add(int(name.removeprefix("tie-").removesuffix(".ndjson")))
    for row in installation.lake(USAGE):
        done.events.setdefault(f"{row['customer_id']}/{row['event_id']}", row)
    for row in installation.marts(
        "select customer_id, sum(message_count)::bigint as messages, "
        "sum(total_tokens)::bigint as tokens from marts.usage_quarter_hourly group by 1"
    ):
        done.messages[row["customer_id"]] = (row["messages"], row["tokens"])
    for row in installation.marts(
        "select customer_id, entity_type, sum(pii_redactions)::bigint as redactions "
        "from marts.pii_daily group by all"
    ):
        done.redactions[row["customer_id"], row["entity_type"]] = row["redactions"]
    for row in installation.marts("select customer_id, tier from marts.customers"):
        done.tiers_in_mart[row["customer_id"]] = row["tier"]
    with closing(connect(installation.settings)) as connection, installation.ledger() as ledger:
        paths = policy_files(installation.settings, ledger)
        for policy in read_policies(connection, paths).of_customers:
            done.tiers_in_policy[policy.customer_id] = policy.tier
    landing = installation.home / "landing"
    done.still_waiting = [
        str(path.relative_to(landing))
        for path in landing.rglob("*")
        if path.is_file() and not path.relative_to(landing).parts[0].startswith("_")
    ]


def _count_of(unknown: Any) -> int:
    return unknown if isinstance(unknown, int) else len(unknown)


def test_a_name_is_no_pattern(delivered: Delivered) -> None:
    """Two files, one of which is called what a pattern of the other would be: each is read."""
    assert delivered.loads["name_is_not_a_pattern/usage-[exu].csv"] == (1, 1, 0, {})
    assert delivered.loads["name_is_not_a_pattern/usage-x.csv"] == (1, 1, 0, {})
    assert delivered.events["1/E-1"]["input_tokens"] == 100
    assert delivered.events["1/E-2"]["input_tokens"] == 1


def test_a_time_before_year_1_is_one_rows_fault(delivered: Delivered) -> None:
    """Its offset takes it out of every calendar; the good file beside it is loaded."""
    assert delivered.loads["time_before_year_1/zero-time.ndjson"] == (
        1, 0, 0, {"invalid_occurred_at": 1},
    )  # fmt: skip
    assert delivered.loads["time_before_year_1/good.ndjson"] == (1, 1, 0, {})


def test_a_folder_is_no_column(delivered: Delivered) -> None:
    """Neither one below landing/ nor one above the home folder; a column that only a folder has
    is missing."""
    more = "folder_is_not_a_column/more"
    for name in ("customer_id=1/part-0.parquet", "customer_id=1/part-1.csv"):
        assert delivered.loads[name] == (1, 1, 0, {}), name
    for suffix in ("csv", "ndjson", "parquet"):
        assert delivered.loads[f"{more}/customer_id=77/h.{suffix}"] == (1, 1, 0, {}), suffix
    assert delivered.messages[2] == (2, 1005)
    assert str(delivered.events["2/H-1"]["occurred_at"]) == "2026-03-09 22:30:00"
    assert delivered.messages[70] == (3, 45)
    assert "customer_id" in delivered.failures[f"{more}/customer_id=78/nocol.parquet"]
    assert delivered.loads[f"{more}/event_id=all/x.csv"] == (2, 2, 0, {})
    assert {"3/d", "3/e"} <= set(delivered.events)
    assert not {9, 77, 78} & set(delivered.messages)


def test_a_redaction_count_that_is_none_rejects_its_row(delivered: Delivered) -> None:
    """Nested, a word in JSON, and a word in a Parquet map of texts."""
    bad = {"invalid_pii_redactions": 1}
    folder = "one_bad_redaction_count"
    assert delivered.loads[f"{folder}/audit.ndjson"] == (3, 2, 0, bad)
    assert delivered.loads[f"{folder}/b1.ndjson"] == (2, 1, 0, bad)
    assert delivered.loads[f"{folder}/one_bad.parquet"] == (2, 1, 0, bad)
    assert delivered.redactions[1, "EMAIL"] == 3
    assert delivered.redactions[1, "P"] == 2


def test_line_ends_of_three_kinds_are_line_ends(delivered: Delivered) -> None:
    """CRLF and LF in one file, and CR alone."""
    assert delivered.loads["line_ends/mixed.csv"] == (3, 3, 0, {})
    assert delivered.loads["line_ends/cr.csv"] == (1, 1, 0, {})
    assert {f"1/M-{number}" for number in (1, 2, 3, 4)} <= set(delivered.events)


def test_byte_strings_are_text(delivered: Delivered) -> None:
    """Of any length UTF-8, and the same event as in text; sixteen fixed bytes are a UUID."""
    text, packed = "byte_strings/same-event.ndjson", "byte_strings/binary-strings.parquet"
    assert _added(delivered, text, packed) == (2, 1, 1, {})
    assert delivered.events["1/café-1"]["model_used"] == "modèle"
    text, packed = "byte_strings/uuid_text2.csv", "byte_strings/uuid_fixed.parquet"
    assert _added(delivered, text, packed) == (2, 1, 1, {})
    assert delivered.messages[93] == (1, 15)
    assert "93/05b2d0a4-31f3-f3ae-8850-2d82648c44b2" in delivered.events


def test_a_time_may_be_written_in_several_ways(delivered: Delivered) -> None:
    """A blank before the offset and a small z are fine; an offset of 99 hours is none."""
    assert delivered.loads["writings_of_a_time/times.ndjson"] == (
        4, 3, 0, {"invalid_occurred_at": 1},
    )  # fmt: skip
    times = {str(delivered.events[f"1/T-{n}"]["occurred_at"]) for n in (1, 3, 4)}
    assert times == {"2026-03-09 10:00:00"}


def test_what_pads_a_gzip_stream_is_passed_over(delivered: Delivered) -> None:
    """As `gzip` itself does, of files that come from tapes and object stores."""
    assert delivered.loads["padded_gzip/padded.csv.gz"] == (1, 1, 0, {})


def test_a_column_may_be_called_what_a_reader_calls_its_own(delivered: Delivered) -> None:
    """`file_row_number` is an unknown column like any other."""
    name = "file_row_number/extra-column.parquet"
    assert delivered.loads[name] == (1, 1, 0, {})
    assert delivered.unknown_columns[name] == 1


@pytest.mark.parametrize(
    ("file", "word"),
    [
        ("semicolon.csv", "semicolon|;"),
        ("upper.csv", "case|upper|lower"),
        ("empty.csv", "empty"),
        ("packed.ndjson", "gz"),
        ("array.ndjson", "array|list"),
    ],
)
def test_a_reason_says_what_is_wrong_with_a_file(
    delivered: Delivered, file: str, word: str
) -> None:
    """In one line, without the name of an exception or a place in the code."""
    reason = delivered.failures[f"messages/{file}"]
    assert any(part in reason.lower() for part in word.split("|")), reason
    assert "\n" not in reason and "Error" not in reason and "Traceback" not in reason
    assert reason in delivered.reasons[f"messages/{file}"]


def test_a_linked_folder_is_followed(delivered: Delivered) -> None:
    """What a partner's folder holds is landed as if it lay there; the partner keeps its folder."""
    assert delivered.loads["partner/event.csv"] == (1, 1, 0, {})
    assert "1/L-1" in delivered.events


def test_a_column_may_first_appear_far_down(delivered: Delivered) -> None:
    """In row 10,001 of NDJSON: its model, time and total count, and one column is unknown."""
    name = "late_column/late_model.ndjson.gz"
    assert delivered.loads[name] == (10_001, 10_001, 0, {})
    assert delivered.unknown_columns[name] == 1
    last = delivered.events["5/m10000"]
    assert (last["model_used"], last["response_time_ms"]) == ("gpt-x", 1234)
    (mart,) = delivered.installation.marts(
        "select sum(message_count)::bigint as messages, sum(response_time_ms_sum)::bigint as ms "
        "from marts.usage_quarter_hourly where customer_id = 5 and model = 'gpt-x'"
    )
    assert mart == {"messages": 1, "ms": 1234}
    assert delivered.installation.loads()[f"{USAGE}/{name}"].total_mismatches == 1


def test_nanoseconds_with_a_zone_are_times(delivered: Delivered) -> None:
    """In an event's own time, in when it was received, and as pandas writes them."""
    for name in ("ns_utc", "ns_received_at"):
        assert delivered.loads[f"nanoseconds_with_a_zone/{name}.parquet"] == (1, 1, 0, {}), name
    assert str(delivered.events["1/ns_utc"]["occurred_at"]) == "2026-04-20 23:59:59.999999"
    read, accepted, _, rejected = delivered.loads["nanoseconds_with_a_zone/pandas_ns_utc.parquet"]
    assert (accepted, rejected) == (read, {})


def test_a_column_without_a_name_is_an_unknown_one(delivered: Delivered) -> None:
    """In front, as pandas writes its index, and behind, where lines end in a comma."""
    for name in ("unnamed_column/pandas_index.csv", "unnamed_column/trailing_comma.csv"):
        assert delivered.loads[name] == (1, 1, 0, {}), name
        assert delivered.unknown_columns[name] == 1, name


@pytest.mark.parametrize(
    ("text", "packed"), [("ns_text.csv", "ns_naive.parquet"), ("nsdup.csv", "nsdup.parquet")]
)
def test_nanoseconds_are_cut_off_in_every_format(
    delivered: Delivered, text: str, packed: str
) -> None:
    """So the same event in two formats is one event, on the day that it was on."""
    folder = "nanoseconds_cut_off"
    assert _added(delivered, f"{folder}/{text}", f"{folder}/{packed}") == (2, 1, 1, {})
    assert str(delivered.events["1/ns_naive"]["occurred_at"]) == "2026-04-20 23:59:59.999999"
    assert str(delivered.events["94/nsdup"]["occurred_at"]) == "2026-04-20 01:00:00.123456"


def test_a_total_rejects_no_row(delivered: Delivered) -> None:
    """What is no number is a mismatch, like a number that is not the sum; NaN is nothing."""
    assert delivered.loads["total_tokens/total_odd.ndjson"] == (2, 2, 0, {})
    assert delivered.loads["total_tokens/nan_total.parquet"] == (1, 1, 0, {})
    mismatches = {key: row["is_total_mismatch"] for key, row in delivered.events.items()}
    assert mismatches["1/e5"] and mismatches["1/e6"] and not mismatches["95/nan_total"]


def test_a_key_that_comes_twice_rejects_its_row(delivered: Delivered) -> None:
    """It is not said which of two customers was meant."""
    assert delivered.loads["json_keys_and_offsets/dupkey.ndjson"] == (
        1, 0, 0, {"malformed_row": 1},
    )  # fmt: skip
    assert delivered.loads["json_keys_and_offsets/offset99.csv"] == (
        1, 0, 0, {"invalid_occurred_at": 1},
    )  # fmt: skip


def test_redactions_beyond_every_sum_are_rejected_by_row(delivered: Delivered) -> None:
    """A thousand types of the greatest count each; one of it is a count, and rolls up."""
    assert delivered.loads["beyond_every_sum.parquet"] == (
        95, 1, 0, {"invalid_pii_redactions": 94},
    )  # fmt: skip
    assert delivered.redactions[33, "E"] == 10**12


def test_times_outside_of_the_calendar_are_rejected(delivered: Delivered) -> None:
    """4000 BC in Parquet; the last second there is, before its offset."""
    assert delivered.loads["before_christ.parquet"] == (2, 1, 0, {"invalid_occurred_at": 1})
    assert delivered.loads["last_offset.ndjson"] == (3, 1, 0, {"invalid_updated_at": 2})
    assert delivered.tiers_in_mart[21] == "starter"


def test_a_name_from_the_future_does_not_win(delivered: Delivered) -> None:
    """It is rejected, so that the row that corrects it counts."""
    assert delivered.loads["future.ndjson"] == (
        2, 0, 0, {"invalid_updated_at": 1, "updated_in_future": 1},
    )  # fmt: skip
    assert delivered.loads["future_corrected.ndjson"] == (1, 1, 0, {})
    assert delivered.tiers_in_mart[22] == "starter"


@pytest.mark.parametrize("customer", TIED)
def test_one_tier_wins_everywhere(delivered: Delivered, customer: int) -> None:
    """Where two rows are equally new: in the mart, on landing, and for the nightly deletion."""
    tier = delivered.tiers_in_mart[customer]
    assert delivered.tiers_in_policy[customer] == tier
    is_short = tier == "free"
    assert (customer in delivered.customers_expired) == is_short
    assert customer not in delivered.customers_deleted


def test_of_a_streamed_answer_the_longest_version_counts(delivered: Delivered) -> None:
    """Three versions of one id, equally new: 427 output tokens, whatever order they came in."""
    assert delivered.loads["streaming.jsonl"] == (3, 1, 2, {})
    assert delivered.messages[32] == (1, 100 + 427)


def test_an_old_note_is_deleted_like_any_other_file(delivered: Delivered) -> None:
    """What is no landing file is set aside, and goes when files of its age go."""
    assert "export.csv.reason.txt" in delivered.failures
    landing = delivered.installation.home / "landing"
    assert not list(landing.rglob("export.csv.reason.txt*"))


def test_nothing_of_an_erased_customer_stays_of_unknown_columns(delivered: Delivered) -> None:
    """Neither of a name nor of a value, nor of what a rejected row had: in no file, packed or
    not."""
    assert delivered.proof is not None and not delivered.proof.hits
    assert files_that_hold(delivered.installation.home, [PERSON]) == {}


def test_every_file_had_its_end_and_every_sum_is_right(delivered: Delivered) -> None:
    """No file waits; the marts hold what the cases say, by hand, and reconcile with the lake."""
    assert delivered.still_waiting == []
    assert delivered.differences == []
    assert "usage_quarter_hourly" in delivered.exported
    tokens_of_customer_1 = {
        "a name": 101, "before year 1": 2, "line ends": 4, "bytes": 10, "writings": 3,
        "padded": 1, "file_row_number": 1, "linked": 1, "with a zone": 30, "unnamed": 30,
        "cut off": 15, "totals": 4,
    }  # fmt: skip
    assert delivered.messages[1] == (21, sum(tokens_of_customer_1.values()))
    assert delivered.messages[3] == (2, 4)
    assert delivered.messages[5] == (10_001, 20_002)
    assert delivered.messages[94] == delivered.messages[95] == (1, 15)


def _added(delivered: Delivered, *names: str) -> Counts:
    """The counts of several files, of which one came first."""
    counts = [delivered.loads[name] for name in names]
    rejected = {reason: rows for count in counts for reason, rows in count[3].items()}
    return (
        sum(count[0] for count in counts),
        sum(count[1] for count in counts),
        sum(count[2] for count in counts),
        rejected,
    )
