"""Whatever is accepted goes all the way: values at every bound, beside an everyday customer.

One home, delivered in three formats: both jobs, every command that reads or deletes, and each
answer compared with a recount in plain Python.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from cases import bounds
from cases.bounds import KEPT_FOR_GOOD, KEPT_LONGEST, NOW, ORDINARY, OTHERS
from installation import Installation, Row
from orchestration.cli import app
from recount.answers import ENDPOINTS, answer
from recount.deliveries import Truth, recount
from recount.latency import differences, response_times
from recount.quality import data_quality

FORMATS = ("csv.gz", "ndjson", "parquet")
PERIODS = (
    {"days": "2557"},
    {"days": "2", "tz": "Pacific/Kiritimati"},
    {"days": "1", "end": "1970-01-01"},
)
AS_CSV = ("usage/by-agent", "usage/by-model", "usage/timeline", "compliance/by-agent-type")


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Truth:
    """What counts of all rows, in plain Python."""
    return _recounted(tmp_path_factory.mktemp("recount"), bounds.of_ordinary(), bounds.of_others())


@pytest.fixture(scope="module")
def ordinary(tmp_path_factory: pytest.TempPathFactory) -> Truth:
    """What counts of the everyday customer, had no other customer delivered anything."""
    return _recounted(tmp_path_factory.mktemp("ordinary"), bounds.of_ordinary())


@pytest.fixture(scope="module")
def landed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """All rows, after an hourly and a nightly run that had nothing to say."""
    with pytest.MonkeyPatch.context() as environment:
        home = tmp_path_factory.mktemp("bounds") / "home"
        installation = Installation(home, environment, NOW.isoformat())
        _drop(installation, bounds.of_ordinary(), bounds.of_others())
        for job in ("hourly", "nightly"):
            assert installation.run(job).set_aside == []
        yield installation


def test_every_row_is_accepted_and_means_the_same_in_each_format(
    landed: Installation, truth: Truth
) -> None:
    """The first format brings all rows, the others nothing but duplicates."""
    assert truth.rejected_rows == []
    assert "conflicting_duplicate" not in truth.anomalies
    by_format = {name: [0, 0, 0, 0] for name in FORMATS}
    for source, load in landed.loads().items():
        assert load.failure is None
        if "ordinary" not in source:
            counts = by_format[source.partition(".")[2]]
            found = (load.accepted, load.duplicates, load.rejected, load.conflicting_duplicates)
            counts[:] = [have + more for have, more in zip(counts, found, strict=True)]
    rows = sum(len(rows) for rows in bounds.of_others().values())
    assert by_format == {
        "csv.gz": [rows, 0, 0, 0], "ndjson": [0, rows, 0, 0], "parquet": [0, rows, 0, 0],
    }  # fmt: skip


def test_each_answer_is_that_of_the_recount(landed: Installation, truth: Truth) -> None:
    """All endpoints, for every customer at the bounds and for the everyday one."""
    with landed.client() as client:
        for customer_id in (*OTHERS, ORDINARY):
            _compare(client, landed.key(customer_id), truth, customer_id)


def test_the_everyday_customer_is_answered_as_if_alone(
    landed: Installation, ordinary: Truth
) -> None:
    """No sum, name or order of its answers has anything of the others."""
    with landed.client() as client:
        _compare(client, landed.key(ORDINARY), ordinary, ORDINARY)


def test_a_list_has_the_same_rows_as_csv(landed: Installation) -> None:
    """Longest names and greatest numbers, in the other format of the API."""
    with landed.client() as client:
        for customer_id in (KEPT_LONGEST, KEPT_FOR_GOOD):
            key = {"X-API-Key": landed.key(customer_id)}
            for name in AS_CSV:
                path, params = f"/api/stats/{name}", {"days": "2557"}
                listed = client.get(path, params=params, headers=key).json()
                text = client.get(path, params={**params, "format": "csv"}, headers=key).text
                lines = list(csv.DictReader(io.StringIO(text)))
                if isinstance(listed, dict):
                    listed = next(part for part in listed.values() if isinstance(part, list))
                assert len(lines) == len(listed) > 0, name


def test_commands_end_with_0_before_and_after_an_erasure(
    landed: Installation, truth: Truth, tmp_path: Path
) -> None:
    """Recount, verification, export, dry run, and two erasures, which leave nothing."""
    _command("reconcile")
    _command("lake", "verify")
    _command("retention", "--dry-run")
    _command("status")
    _command("export", "--to", str(tmp_path / "all"))
    for customer_id in OTHERS:
        folder = tmp_path / str(customer_id)
        _command(
            *("export", "--to", str(folder), "--customer", str(customer_id)),
            *("--since", "1970-01-01"),
        )
    for written_as in ("table", "csv", "json"):
        _command("sql", "--format", written_as, "select * from usage_quarter_hourly")
    for customer_id in (KEPT_LONGEST, KEPT_FOR_GOOD):
        _command("erase", "--customer", str(customer_id))
    _command("reconcile")
    assert landed.run("nightly").set_aside == []
    assert str(KEPT_FOR_GOOD) not in json.dumps(landed.lake("agent_usage_events"), default=str)
    with landed.client() as client:
        for customer_id in (ORDINARY, 3):
            _compare(client, landed.key(customer_id), truth, customer_id)


def _drop(installation: Installation, *streams: Mapping[str, Sequence[Row]]) -> None:
    ordinary, others = streams
    for stream, rows in ordinary.items():
        installation.drop(stream, "ordinary.ndjson", rows)
    for stream, rows in others.items():
        for place, name in enumerate(FORMATS):
            installation.drop(stream, f"{place}.{name}", rows)


def _recounted(folder: Path, *streams: Mapping[str, Sequence[Row]]) -> Truth:
    """The rows as one NDJSON file for each stream and customer group."""
    for place, rows_of in enumerate(streams):
        for stream, rows in rows_of.items():
            path = folder / stream / f"{place}.ndjson"
            path.parent.mkdir(exist_ok=True)
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return recount(folder, NOW)


def _compare(client: TestClient, key: str, truth: Truth, customer_id: int) -> None:
    def asked(path: str, params: Mapping[str, str]) -> Any:
        response = client.get(path, params=params, headers={"X-API-Key": key})
        assert response.status_code == 200, (customer_id, path, params, response.text)
        return response.json()

    for params in PERIODS:
        for path in ENDPOINTS:
            expected = answer(truth, customer_id, path, params, NOW)
            found = asked(path, params)
            assert json.dumps(found) == json.dumps(expected), (customer_id, path, params)
        times = asked("/api/stats/usage/latency", params)
        assert differences(times, response_times(truth, customer_id, params, NOW)) == []
        for name in ("usage", "compliance", "feedback"):
            asked(f"/api/stats/{name}/summary", {**params, "compare": "previous"})
        asked("/api/stats/retention", params)
    assert asked("/api/stats/account", {})["customer_id"] == customer_id
    # Delivered once here, and in three formats there.
    quality = asked("/api/stats/data-quality", {"days": "40"})
    expected_quality = data_quality(truth, customer_id, {"days": "40"}, NOW)
    times_delivered = 1 if customer_id == ORDINARY else len(FORMATS)
    assert quality["accepted"] == expected_quality["accepted"]
    for name in ("delivered", "total_mismatches", "received_in_future"):
        assert quality[name] == times_delivered * expected_quality[name], name
    assert quality["rejected"] == quality["conflicting_duplicates"] == 0


def _command(*words: str) -> None:
    """A command that must end with 0."""
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, (words, done.output, done.exception)
