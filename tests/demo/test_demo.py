"""The demo sample: what it promises about its files, its flaws and its believable parts."""

from __future__ import annotations

import re
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from math import sqrt
from pathlib import Path
from statistics import mean, pvariance
from typing import Any

import duckdb
import pytest

from orchestration.demo import DemoSample, generate

NOW = datetime(2026, 11, 22, 14, 5, tzinfo=UTC)
EVENTS = 20_000
CONTRACT_COLUMNS = {
    "agent_usage_events": {
        "event_id", "customer_id", "agent_id", "agent_type_id", "model_used", "input_tokens",
        "output_tokens", "total_tokens", "response_time_ms", "cache_read_input_tokens",
        "reasoning_output_tokens", "input_includes_cache", "provider", "processing", "error_type",
        "time_to_first_token_ms", "tool_calls", "session_id", "end_user_id", "attributes",
        "occurred_at", "received_at",
    },
    "audit_events": {
        "audit_id", "customer_id", "agent_id", "agent_type_id", "event_id", "model_used",
        "toxicity_score", "is_toxic", "pii_redactions", "occurred_at", "received_at",
    },
    "feedback_events": {
        "feedback_id", "customer_id", "agent_id", "agent_type_id", "event_id", "model_used",
        "rating", "running_instances", "occurred_at", "received_at",
    },
    "customers": {"customer_id", "customer_name", "tier", "retention_days", "updated_at"},
    "agents": {"agent_id", "customer_id", "agent_type_id", "agent_name", "updated_at"},
    "agent_types": {"agent_type_id", "customer_id", "agent_type_name", "model", "updated_at"},
}  # fmt: skip
RETENTION_DAYS = {"free": 7, "starter": 30, "pro": 90, "enterprise": 365}

Row = dict[str, Any]


@pytest.fixture(scope="module")
def landing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder that the module's sample is written to."""
    return tmp_path_factory.mktemp("demo") / "it's landing"


@pytest.fixture(scope="module")
def sample(landing: Path) -> DemoSample:
    """Write the module's sample."""
    return generate(landing, now=NOW, events=EVENTS)


@pytest.fixture(scope="module")
def usage(sample: DemoSample) -> list[Row]:
    """Return every readable usage row, repeated and broken ones too."""
    return _rows_of(sample, "agent_usage_events")


@pytest.fixture(scope="module")
def customers(sample: DemoSample) -> dict[int, Row]:
    """Return the customers' reference rows by id."""
    return {row["customer_id"]: row for row in _rows_of(sample, "customers")}


def _read(path: Path) -> list[Row]:
    """Return the file's rows with every value as text, or None."""
    name = path.name.removesuffix(".gz")
    if name.endswith(".parquet"):
        scan = "read_parquet($path)"
    elif name.endswith(".csv"):
        scan = "read_csv($path, all_varchar=true, header=true, delim=',', quote='\"')"
    else:
        # The sniffed sample covers the file, so that a rare column is not missed.
        scan = (
            "read_json($path, format='newline_delimited', ignore_errors=true, sample_size=-1,"
            " map_inference_threshold=0)"
        )
    with duckdb.connect() as connection:
        cursor = connection.execute(f"select columns(*)::varchar from {scan}", {"path": str(path)})
        names = [column[0] for column in cursor.description or []]
        return [dict(zip(names, cells, strict=True)) for cells in cursor.fetchall()]


def _time(text: str) -> datetime:
    parsed = datetime.fromisoformat(text)
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def _rows_of(sample: DemoSample, stream: str) -> list[Row]:
    """Return the stream's rows, typed as far as the tests need it, each with its `file`."""
    rows = []
    for path in sample.files:
        if path.parent.name != stream:
            continue
        for row in _read(path):
            for column, text in row.items():
                if text is not None and column.endswith("_at"):
                    row[column] = _time(text)
                elif text is not None and column in (
                    "customer_id", "agent_id", "agent_type_id", "input_tokens", "output_tokens",
                    "total_tokens", "rating", "running_instances", "retention_days",
                ):  # fmt: skip
                    row[column] = int(text)
            rows.append(row | {"file": path.name})
    return rows


def _is_good(row: Row) -> bool:
    """Tell whether a usage row breaks no rule of the contract, retention aside."""
    return (
        row["event_id"] is not None
        and row["customer_id"] is not None
        and row["customer_id"] > 0
        and row["input_tokens"] >= 0
        and row["output_tokens"] >= 0
        and (row["response_time_ms"] is None or float(row["response_time_ms"]) <= 86_400_000)
        and row["occurred_at"] is not None
        and row["occurred_at"] <= NOW + timedelta(minutes=5)
    )


def _oldest_kept(customer: Row) -> datetime:
    midnight = NOW.replace(hour=0, minute=0, second=0, microsecond=0)
    days = customer["retention_days"] or RETENTION_DAYS[customer["tier"]]
    return midnight - timedelta(days=days)


def _digests(sample: DemoSample, landing: Path) -> dict[str, str]:
    return {
        str(path.relative_to(landing)): sha256(path.read_bytes()).hexdigest()
        for path in sample.files
    }


def test_same_seed_and_now_give_the_same_bytes(tmp_path: Path) -> None:
    """Two samples of one seed and now are equal file for file; another seed's differ."""
    first = generate(tmp_path / "first", now=NOW, events=2_000)
    second = generate(tmp_path / "second", now=NOW, events=2_000)
    other = generate(tmp_path / "other", now=NOW, events=2_000, seed=1)
    assert _digests(first, tmp_path / "first") == _digests(second, tmp_path / "second")
    assert _digests(first, tmp_path / "first") != _digests(other, tmp_path / "other")


def test_a_later_sample_shares_no_event_id(tmp_path: Path) -> None:
    """An id keeps its occurred_at even where samples of two days are loaded together."""
    today = generate(tmp_path / "today", now=NOW, events=500)
    tomorrow = generate(tmp_path / "tomorrow", now=NOW + timedelta(days=1), events=500)
    ids = [
        {row["event_id"] for row in _rows_of(sample, "agent_usage_events")} - {None}
        for sample in (today, tomorrow)
    ]
    assert all(ids)
    assert not ids[0] & ids[1]


def test_every_stream_and_every_format_is_there(sample: DemoSample) -> None:
    """All six streams have rows, and so does every format that may land."""
    assert set(sample.rows_by_stream) == set(CONTRACT_COLUMNS)
    assert {path.parent.name for path in sample.files} == set(CONTRACT_COLUMNS)
    assert {"".join(path.suffixes) for path in sample.files} == {
        ".parquet", ".ndjson", ".ndjson.gz", ".jsonl", ".csv", ".csv.gz",
    }  # fmt: skip


def test_only_finished_files_are_left(sample: DemoSample, landing: Path) -> None:
    """The landing folder holds the files that are reported, and no temporary one."""
    assert {path for path in landing.rglob("*") if path.is_file()} == set(sample.files)


def test_columns_are_those_of_the_contract(sample: DemoSample) -> None:
    """Each file has exactly its stream's columns."""
    for path in sample.files:
        assert set(_read(path)[0]) == CONTRACT_COLUMNS[path.parent.name], path.name


def test_good_distinct_events_are_as_many_as_asked_for(
    usage: list[Row], customers: dict[int, Row]
) -> None:
    """Rows within the rules and the retention come to exactly `events` distinct ids."""
    kept = {
        (row["customer_id"], row["event_id"])
        for row in usage
        if _is_good(row) and row["occurred_at"] >= _oldest_kept(customers[row["customer_id"]])
    }
    assert len(kept) == EVENTS


def test_all_tiers_are_there_and_the_largest_customer_is_enterprise(
    sample: DemoSample, usage: list[Row], customers: dict[int, Row]
) -> None:
    """Forty customers are on four tiers, and the one with most messages keeps them 730 days."""
    messages: dict[int, int] = defaultdict(int)
    for row in filter(_is_good, usage):
        messages[row["customer_id"]] += 1
    largest = customers[max(messages, key=lambda customer_id: messages[customer_id])]
    assert len(customers) == 40
    assert {row["tier"] for row in customers.values()} == set(RETENTION_DAYS)
    assert (largest["customer_id"], largest["customer_name"]) == (
        sample.customer_id,
        sample.customer_name,
    )
    assert (largest["tier"], largest["retention_days"]) == ("enterprise", 730)


def test_repeated_conflicting_and_copied_rows_exist(sample: DemoSample, usage: list[Row]) -> None:
    """Some events come twice alike, some with other content, and one file comes twice."""
    contents = defaultdict(list)
    for row in filter(_is_good, usage):
        contents[row["customer_id"], row["event_id"]].append(
            (row["output_tokens"], row["occurred_at"])
        )
    repeated = [versions for versions in contents.values() if len(versions) > 1]
    conflicting = [versions for versions in repeated if len(set(versions)) > 1]
    digests = [sha256(path.read_bytes()).digest() for path in sample.files]
    assert 0.005 * EVENTS < len(repeated) < 0.03 * EVENTS
    assert 1 <= len(conflicting) < 20
    assert all(len({occurred_at for _tokens, occurred_at in each}) == 1 for each in repeated)
    assert len(digests) == len(set(digests)) + 1


def test_late_and_expired_rows_exist(usage: list[Row], customers: dict[int, Row]) -> None:
    """About two in a hundred arrive an hour late or more, and a few past their retention."""
    late = [row for row in usage if row["received_at"] and row["file"].endswith("late.ndjson.gz")]
    expired = [
        row
        for row in filter(_is_good, usage)
        if row["occurred_at"] < _oldest_kept(customers[row["customer_id"]])
    ]
    assert 0.01 * EVENTS < len(late) < 0.03 * EVENTS
    assert all(row["received_at"] - row["occurred_at"] >= timedelta(hours=1) for row in late)
    assert 1 <= len(expired) <= 20


def test_broken_rows_exist(sample: DemoSample, usage: list[Row]) -> None:
    """Bad tokens, ids, times, ratings and scores occur, and one line that is not JSON."""
    bad = [row for row in usage if not _is_good(row)]
    assert any(row["event_id"] is None for row in bad)
    assert any((row["input_tokens"] or 0) < 0 for row in bad)
    assert any(row["occurred_at"] and row["occurred_at"] > NOW for row in bad)
    assert {row["rating"] for row in _rows_of(sample, "feedback_events")} >= {0, -1}
    assert any(float(row["toxicity_score"]) > 1 for row in _rows_of(sample, "audit_events"))
    old_client = next(path for path in sample.files if "old-client" in path.name)
    assert not old_client.read_text().splitlines()[-1].endswith("}")


def test_nothing_good_happens_after_now(sample: DemoSample, usage: list[Row]) -> None:
    """No accepted event, scan or rating, and no receipt of one, lies after now; some are recent."""
    good = list(filter(_is_good, usage))
    scans_and_ratings = [
        row for stream in ("audit_events", "feedback_events") for row in _rows_of(sample, stream)
    ]
    for row in good + scans_and_ratings:
        assert row["occurred_at"] <= NOW
        assert row["received_at"] <= NOW
    assert max(row["occurred_at"] for row in good) > NOW - timedelta(hours=2)


def test_reference_rows_are_older_than_every_event(sample: DemoSample, usage: list[Row]) -> None:
    """Names are known before the first event, and a renamed agent has two rows."""
    first_event = min(row["occurred_at"] for row in usage if row["occurred_at"])
    agents = _rows_of(sample, "agents")
    for row in agents + _rows_of(sample, "customers") + _rows_of(sample, "agent_types"):
        assert row["updated_at"] < first_event
    assert len({row["agent_id"] for row in agents}) < len(agents)
    assert len({(row["agent_id"], row["updated_at"]) for row in agents}) == len(agents)


def test_names_are_those_of_a_platform(sample: DemoSample) -> None:
    """Letters, digits and what stands between them: nothing that a picture has to explain."""
    streams = {"customers": "customer_name", "agents": "agent_name"}
    streams["agent_types"] = "agent_type_name"
    for stream, column in streams.items():
        for row in _rows_of(sample, stream):
            assert re.fullmatch(r"[A-Z][A-Za-z0-9 &()-]+", row[column]), row[column]


def test_ratings_fall_with_load_for_the_declared_type(sample: DemoSample) -> None:
    """By the contract's measure the declared type's ratings are credibly lower at high load.

    Ten ratings on each side, 0.2 stars apart, p < 0.025 (by the normal limit, z > 1.96).
    """
    ratings = [
        row
        for row in _rows_of(sample, "feedback_events")
        if row["agent_type_id"] == sample.load_sensitive_agent_type_id
        and row["running_instances"] is not None
        and row["rating"] >= 1
    ]
    low = [row["rating"] for row in ratings if row["running_instances"] <= 2]
    high = [row["rating"] for row in ratings if row["running_instances"] >= 6]
    assert {row["customer_id"] for row in ratings} == {sample.customer_id}
    assert min(len(low), len(high)) >= 10
    stars_lost = mean(low) - mean(high)
    assert stars_lost >= 0.2
    standard_error = sqrt(pvariance(low + high) * (1 / len(low) + 1 / len(high)))
    assert stars_lost / standard_error > 1.96


def test_scans_refer_to_events_and_keep_their_time(sample: DemoSample, usage: list[Row]) -> None:
    """A scan has its response's occurred_at, and some responses are scanned more than once."""
    occurred_at = {row["event_id"]: row["occurred_at"] for row in filter(_is_good, usage)}
    audits_of_event = defaultdict(set)
    for row in _rows_of(sample, "audit_events"):
        assert row["occurred_at"] == occurred_at[row["event_id"]]
        audits_of_event[row["event_id"]].add(row["audit_id"])
    assert 0.55 * EVENTS < len(audits_of_event) < 0.65 * EVENTS
    assert any(len(audit_ids) > 1 for audit_ids in audits_of_event.values())


def test_progress_ends_complete(tmp_path: Path) -> None:
    """The callback sees rising counts that end at the total."""
    calls: list[tuple[int, int]] = []
    generate(
        tmp_path,
        now=NOW,
        events=100,
        progress=lambda _label, done, total: calls.append((done, total)),
    )
    assert calls == sorted(calls)
    assert calls[-1][0] == calls[-1][1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"now": NOW.replace(tzinfo=None)}, "offset"),
        ({"now": NOW, "days": 0}, "days is 0"),
        ({"now": NOW, "events": 0}, "events is 0"),
    ],
)
def test_impossible_requests_are_refused(
    tmp_path: Path, arguments: dict[str, Any], message: str
) -> None:
    """A naive now, no days and no events raise before anything is written."""
    with pytest.raises(ValueError, match=message):
        generate(tmp_path / "landing", **arguments)
    assert not (tmp_path / "landing").exists()


@pytest.mark.parametrize("now", [datetime(2026, 3, 1, tzinfo=UTC), NOW])
def test_a_single_day_is_enough(tmp_path: Path, now: datetime) -> None:
    """One day of a few events works, also exactly at midnight."""
    sample = generate(tmp_path, now=now, days=1, events=50)
    assert sample.rows_by_stream["agent_usage_events"] >= 50
