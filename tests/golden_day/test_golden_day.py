"""The day that was worked out by hand (WORKED_OUT.md) goes through every layer."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from installation import Installation
from recount.deliveries import recount
from recount.latency import differences
from recount.marts import COUNTED
from recount.quality import data_quality

FOLDER = Path(__file__).parent
EXPECTED: dict[str, Any] = json.loads((FOLDER / "expected.json").read_text())


@pytest.fixture(scope="module")
def golden_day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """The day's files landed, rolled up and published, once for all tests here."""
    with pytest.MonkeyPatch.context() as environment:
        home = tmp_path_factory.mktemp("golden") / "home"
        installation = Installation(home, environment, EXPECTED["now"])
        environment.setenv("AGENTSTATS_ATTRIBUTES", ",".join(EXPECTED["attributes"]))
        shutil.copytree(FOLDER / "landing", home / "landing")
        installation.run()
        yield installation


def test_each_file_comes_to_what_was_counted_by_hand(golden_day: Installation) -> None:
    """Rows read, accepted, duplicates and rejected by reason, file by file."""
    loads = golden_day.loads()
    found = [
        {
            "stream": load.stream,
            "file": load.source_file,
            "rows_read": load.rows_read,
            "accepted": load.accepted,
            "duplicates": load.duplicates,
            "rejected": load.rejected_by_reason,
        }
        for load in (loads[expected["file"]] for expected in EXPECTED["files"])
    ]
    assert found == EXPECTED["files"]
    assert len(loads) == len(EXPECTED["files"])


def test_each_rejected_row_is_kept_with_its_number_and_reason(golden_day: Installation) -> None:
    """Every row that was refused by hand is in the rejected store, text and all."""
    rows = golden_day.lake("rejected_rows")
    found = {(row["source_file"], row["row_number"], row["reason"]) for row in rows}
    expected = {
        (row["file"], row["row_number"], row["reason"]) for row in EXPECTED["rejected_rows"]
    }
    assert found == expected
    assert all((row["original"] is None) == (row["reason"] == "expired") for row in rows)


def test_anomalies_are_counted(golden_day: Installation) -> None:
    """Conflicting duplicates and wrong totals are kept, and counted."""
    loads = golden_day.loads().values()
    assert {
        "conflicting_duplicate": sum(load.conflicting_duplicates for load in loads),
        "total_mismatch": sum(load.total_mismatches for load in loads),
        "received_in_future": sum(load.received_in_future for load in loads),
    } == EXPECTED["anomalies"]


@pytest.mark.parametrize("mart", sorted(EXPECTED["marts"]))
def test_each_mart_holds_the_rows_worked_out_by_hand(golden_day: Installation, mart: str) -> None:
    """Every row and every column of the mart."""
    found = golden_day.marts(f"select {COUNTED} from marts.{mart}")
    for row in found:
        for name in ("bucket_start", "occurred_date"):
            if name in row:
                row[name] = row[name].isoformat()

    def in_order(rows: list[dict[str, Any]]) -> list[str]:
        return sorted(json.dumps(row, sort_keys=True, default="{:f}".format) for row in rows)

    assert in_order(found) == in_order(EXPECTED["marts"][mart])


def test_each_endpoint_answers_what_was_worked_out_by_hand(golden_day: Installation) -> None:
    """All bodies, in UTC and in Asia/Kathmandu, to the letter."""
    keys: dict[int, str] = {}
    with golden_day.client() as client:
        for answer in EXPECTED["answers"]:
            customer = answer["customer_id"]
            key = keys.setdefault(customer, golden_day.key(customer))
            response = client.get(
                answer["path"], params=answer["params"], headers={"X-API-Key": key}
            )
            assert json.dumps(response.json()) == json.dumps(answer["body"]), answer["path"]


def test_response_times_are_within_one_percent_of_those_worked_out(
    golden_day: Installation,
) -> None:
    """Groups, their order and their counts to the letter; every percentile within 1 %."""
    with golden_day.client() as client:
        for case in EXPECTED["response_times"]:
            response = client.get(
                "/api/stats/usage/latency",
                params=case["params"],
                headers={"X-API-Key": golden_day.key(case["customer_id"])},
            )
            assert differences(response.json(), case["groups"]) == []


def test_each_customer_sees_what_came_of_its_rows(golden_day: Installation) -> None:
    """By day, stream and reason, in UTC and in Asia/Kathmandu, what the recount says."""
    now = datetime.fromisoformat(EXPECTED["now"])
    truth = recount(FOLDER / "landing", now, EXPECTED["toxicity_threshold"])
    with golden_day.client() as client:
        for customer in (501, 502, 503):
            key = golden_day.key(customer)
            for tz in ("UTC", "Asia/Kathmandu"):
                params = {"days": "10", "tz": tz}
                answer = client.get(
                    "/api/stats/data-quality", params=params, headers={"X-API-Key": key}
                )
                expected = data_quality(truth, customer, params, now)
                assert json.dumps(answer.json()) == json.dumps(expected), (customer, tz)


def test_the_day_reconciles(golden_day: Installation) -> None:
    """The nightly recount finds no difference and publishes it."""
    golden_day.run("nightly")
    rows = golden_day.marts(
        "select sum(accepted) as a, sum(abs(difference)) as d from marts.reconciliation"
    )
    accepted = sum(
        file["accepted"] for file in EXPECTED["files"] if file["stream"].endswith("_events")
    )
    assert rows == [{"a": accepted, "d": 0}]
    (anomalies,) = golden_day.marts(
        "select sum(conflicting_duplicates) as conflicting_duplicate, "
        "sum(total_mismatches) as total_mismatch, "
        "sum(received_in_future) as received_in_future from marts.reconciliation"
    )
    assert anomalies == EXPECTED["anomalies"]
    by_file = {
        stream: [file for file in EXPECTED["files"] if file["stream"] == stream]
        for stream in ("agent_usage_events", "audit_events", "feedback_events")
    }
    delivered = golden_day.marts(
        "select stream, sum(delivered) as d, sum(accepted) as a, sum(duplicates) as u, "
        "sum(rejected) as r from marts.reconciliation group by stream order by stream"
    )
    assert delivered == [
        {
            "stream": stream,
            "d": sum(file["rows_read"] for file in files),
            "a": sum(file["accepted"] for file in files),
            "u": sum(file["duplicates"] for file in files),
            "r": sum(sum(file["rejected"].values()) for file in files),
        }
        for stream, files in by_file.items()
    ]


def test_usage_events_of_each_date_are_those_of_the_table(golden_day: Installation) -> None:
    """WORKED_OUT.md, section 2: messages by customer and date, and its three duplicates."""
    rows = golden_day.marts(
        "select customer_id, cast(occurred_date as varchar) as day, sum(accepted) as accepted, "
        "sum(duplicates) as duplicates, sum(conflicting_duplicates) as conflicts, "
        "sum(total_mismatches) as mismatches, sum(received_in_future) as ahead "
        "from marts.delivery_quarter_hourly "
        "where stream = 'agent_usage_events' and reason is null group by all order by all"
    )
    assert [tuple(row.values()) for row in rows] == [
        (501, "2026-02-27", 1, 0, 0, 0, 0),  # e-08
        (501, "2026-03-02", 2, 1, 1, 0, 1),  # e-05, e-06; e-06 again, otherwise and ahead
        (501, "2026-03-03", 3, 2, 1, 0, 0),  # e-01, e-02, e-03; e-02 again, e-01 otherwise
        (501, "2026-03-04", 1, 0, 0, 1, 0),  # e-04, whose total says 60
        (502, "2026-03-01", 1, 0, 0, 0, 0),  # e-08
        (502, "2026-03-03", 3, 0, 0, 0, 0),  # e-01, e-02, e-07
        (502, "2026-03-04", 1, 0, 0, 0, 0),  # e-09
        (503, "2026-03-03", 4, 0, 0, 0, 0),  # r-1 to r-4
        (503, "2026-03-04", 1, 0, 0, 0, 0),  # r-7
        (504, "2026-03-02", 3, 0, 0, 0, 0),  # p-1, p-2, p-7
        (504, "2026-03-03", 3, 0, 0, 0, 0),  # p-3, p-4, p-6
        (504, "2026-03-04", 1, 0, 0, 0, 0),  # p-5
    ]


# WORKED_OUT.md, section 10: by zone and date the end users and sessions; those of the three dates.
PEOPLE = {
    "UTC": ([(1, 1), (2, 1), (1, 0)], (2, 2)),
    "Asia/Kathmandu": ([(1, 1), (1, 1), (2, 1)], (2, 2)),
}


@pytest.mark.parametrize("tz", PEOPLE)
def test_end_users_and_sessions_are_those_worked_out_by_hand(
    golden_day: Installation, tz: str
) -> None:
    """By date, in all, and by agent: the whole is less than its parts, and is not cut off."""
    asked = {"metrics": "active_end_users,sessions", "days": "3", "tz": tz}
    with golden_day.client() as client:
        key = golden_day.key(504)

        def answer(**more: str) -> dict[str, Any]:
            response = client.get(
                "/api/stats/query", params={**asked, **more}, headers={"X-API-Key": key}
            )
            assert response.status_code == 200, response.text
            body: dict[str, Any] = response.json()
            return body

        by_day = answer(granularity="day")
        by_agent = answer(group_by="agent_id", limit="1")
        of_agent = answer(agent_id="42")

    def figures(row: dict[str, Any]) -> tuple[Any, Any]:
        return row["active_end_users"], row["sessions"]

    assert (list(map(figures, by_day["rows"])), figures(by_day["totals"])) == PEOPLE[tz]
    assert [(row["agent_id"], *figures(row)) for row in by_agent["rows"]] == [(41, 2, 1)]
    assert figures(by_agent["other"][0]) == (None, None)
    assert figures(by_agent["totals"]) == (2, 2)
    assert figures(of_agent["totals"]) == (2, 1)


def test_an_error_that_is_called_none_is_no_message(golden_day: Installation) -> None:
    """p-6 of 504 stands apart from the six events that did not fail, and can be asked for."""
    asked = {"metrics": "total_tokens", "group_by": "error_type", "days": "3"}
    with golden_day.client() as client:
        headers = {"X-API-Key": golden_day.key(504)}
        answer = client.get("/api/stats/query", params=asked, headers=headers).json()
        filtered = client.get(
            "/api/stats/query", params=asked | {"error_type": "((none))"}, headers=headers
        ).json()
    rows = [tuple(row.values()) for row in answer["rows"]]
    assert rows == [(None, "(none)", 12), (None, "((none))", 2)]
    assert filtered["totals"] == {"total_tokens": 2}
