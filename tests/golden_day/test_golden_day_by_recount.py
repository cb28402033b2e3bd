"""The hand-worked day and the independent recount agree on every number."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from recount.answers import ENDPOINTS, answer
from recount.deliveries import Truth, recount
from recount.latency import response_times
from recount.marts import marts

FOLDER = Path(__file__).parent
EXPECTED: dict[str, Any] = json.loads((FOLDER / "expected.json").read_text())
NOW = datetime.fromisoformat(EXPECTED["now"])


@pytest.fixture(scope="module")
def truth() -> Truth:
    """The golden landing folder recounted at its `now`."""
    return recount(FOLDER / "landing", NOW, EXPECTED["toxicity_threshold"])


def test_every_file_has_its_hand_counted_outcome(truth: Truth) -> None:
    """Rows read, accepted, duplicate and rejected by reason are those of the ledger by hand."""
    recounted = [
        {
            "stream": file.stream,
            "file": file.file,
            "rows_read": file.read,
            "accepted": file.accepted,
            "duplicates": file.duplicates,
            "rejected": file.rejected,
        }
        for file in truth.files
    ]
    assert recounted == EXPECTED["files"]


def test_rows_read_are_accepted_duplicate_or_rejected() -> None:
    """The hand count itself adds up, in each file."""
    for file in EXPECTED["files"]:
        rejected = sum(file["rejected"].values())
        assert file["rows_read"] == file["accepted"] + file["duplicates"] + rejected


def test_each_refused_row_gives_its_first_broken_rule(truth: Truth) -> None:
    """File, row number and reason of every refused row are those written down by hand."""
    recounted = [
        {"file": row.file, "row_number": row.row_number, "reason": row.reason}
        for row in truth.rejected_rows
    ]
    assert recounted == EXPECTED["rejected_rows"]


def test_anomalies_are_counted_and_their_rows_kept(truth: Truth) -> None:
    """Two conflicting duplicates and one wrong total are anomalies, not refusals."""
    assert truth.anomalies == EXPECTED["anomalies"]


@pytest.mark.parametrize("mart", EXPECTED["marts"])
def test_a_mart_holds_the_hand_worked_rows(truth: Truth, mart: str) -> None:
    """Each row of each additive mart is the one worked out by hand."""

    def in_order(rows: list[dict[str, Any]]) -> list[str]:
        return sorted(json.dumps(row, sort_keys=True, default="{:f}".format) for row in rows)

    assert in_order(marts(truth, EXPECTED["attributes"])[mart]) == in_order(EXPECTED["marts"][mart])


@pytest.mark.parametrize(
    "case",
    EXPECTED["answers"],
    ids=lambda case: f"{case['customer_id']}{case['path']}-{case['params']['tz']}",
)
def test_an_endpoint_answers_the_hand_worked_body(truth: Truth, case: dict[str, Any]) -> None:
    """Each body is the one worked out by hand, key order included."""
    body = answer(truth, case["customer_id"], case["path"], case["params"], NOW)
    assert json.dumps(body) == json.dumps(case["body"])


@pytest.mark.parametrize(
    "case",
    EXPECTED["response_times"],
    ids=lambda case: "-".join([str(case["customer_id"]), *case["params"].values()]),
)
def test_response_times_are_those_worked_out_by_hand(truth: Truth, case: dict[str, Any]) -> None:
    """Each percentile is exactly the one worked out by hand, key order included."""
    groups = response_times(truth, case["customer_id"], case["params"], NOW)
    assert json.dumps(groups) == json.dumps(case["groups"])


def test_every_endpoint_customer_and_zone_is_worked_out() -> None:
    """The hand-worked answers cover nine endpoints, two customers and two zones."""
    covered = {
        (case["customer_id"], case["path"], case["params"]["tz"])
        for case in EXPECTED["answers"]
        if case["customer_id"] != 503
    }
    zones = ("UTC", "Asia/Kathmandu")
    assert covered == {(c, path, zone) for c in (501, 502) for path in ENDPOINTS for zone in zones}
