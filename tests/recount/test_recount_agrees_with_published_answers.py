"""The recount is itself proven on real traces, whose answers were published beside them."""

from __future__ import annotations

import json
import os
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from .answers import answer
from .deliveries import Truth, recount

pytestmark = pytest.mark.traces

CHECKOUT = Path(__file__).resolve().parents[2]
LATER_FIELDS = ("rating_degrades_at_load", "scanned_messages", "cost_usd", "unpriced_tokens")


def traces() -> Path:
    """The folder with `landing/` and `expected.json`; a missing one is a failure, not a skip."""
    folder = Path(os.environ.get("AGENTSTATS_TRACES") or CHECKOUT.parent / "shared" / "data")
    if not (folder / "expected.json").is_file():
        pytest.fail(
            f"No traces at {folder}: set AGENTSTATS_TRACES to the folder that holds expected.json "
            "and landing/."
        )
    return folder


@cache
def published() -> dict[str, Any]:
    """The published `now`, totals and answers."""
    content: dict[str, Any] = json.loads((traces() / "expected.json").read_text())
    return content


@cache
def recounted() -> Truth:
    """The traces recounted at the published `now`."""
    return recount(traces() / "landing", datetime.fromisoformat(published()["now"]))


def _without_later_fields(body: Any) -> Any:
    """The body without the fields that were added after the answers were published."""
    if isinstance(body, dict):
        return {
            name: _without_later_fields(value)
            for name, value in body.items()
            if name not in LATER_FIELDS
        }
    return [_without_later_fields(part) for part in body] if isinstance(body, list) else body


def test_every_published_answer_is_reproduced() -> None:
    """All 216 published bodies come out of the recount, key order included."""
    now = datetime.fromisoformat(published()["now"])
    truth = recounted()
    differing = []
    for case in published()["answers"]:
        body = answer(truth, case["customer_id"], case["path"], case["params"], now)
        if json.dumps(_without_later_fields(body)) != json.dumps(case["body"]):
            differing.append((case["customer_id"], case["path"], case["params"]))
    assert len(published()["answers"]) == 216
    assert differing == []


def test_rows_that_count_add_up_to_the_published_totals() -> None:
    """As many events, scans and ratings are kept as were published."""
    assert published()["totals"]["accepted_and_kept"] == {
        "agent_usage_events": len(recounted().events),
        "audit_events": len(recounted().scans),
        "feedback_events": len(recounted().ratings),
    }


def test_every_file_adds_up() -> None:
    """Rows read are accepted, duplicate or rejected, in each file."""
    assert len(recounted().files) == 8
    for file in recounted().files:
        assert file.failed is None
        assert file.read == file.accepted + file.duplicates + sum(file.rejected.values())
