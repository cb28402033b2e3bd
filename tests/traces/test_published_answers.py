"""The whole product over real traces, against answers recounted in plain Python elsewhere."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from installation import Installation
from recount.answers import answer
from recount.deliveries import recount
from recount.latency import differences, response_times
from recount.quality import data_quality

TRACES = Path(
    os.environ.get(
        "AGENTSTATS_TRACES", str(Path(__file__).resolve().parents[3] / "shared" / "data")
    )
)

pytestmark = pytest.mark.traces

ADDED_SINCE = {"rating_degrades_at_load", "scanned_messages", "cost_usd", "unpriced_tokens"}


def without_later_fields(body: Any) -> Any:
    """The body without the fields that were added after the answers were published."""
    if isinstance(body, dict):
        return {
            name: without_later_fields(value)
            for name, value in body.items()
            if name not in ADDED_SINCE
        }
    if isinstance(body, list):
        return [without_later_fields(value) for value in body]
    return body


@pytest.fixture(scope="module")
def expected() -> dict[str, Any]:
    """The published clock, totals and answers."""
    assert TRACES.is_dir(), f"{TRACES} is not there: set AGENTSTATS_TRACES to the real traces"
    content: dict[str, Any] = json.loads((TRACES / "expected.json").read_text())
    return content


@pytest.fixture(scope="module")
def installation(
    tmp_path_factory: pytest.TempPathFactory, expected: dict[str, Any]
) -> Iterator[Installation]:
    """The traces landed, rolled up and published, once for all tests here."""
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv("AGENTSTATS_TRACES", raising=False)
        home = tmp_path_factory.mktemp("traces") / "home"
        installation = Installation(home, environment, expected["now"])
        shutil.copytree(TRACES / "landing", home / "landing", copy_function=shutil.copyfile)
        for folder in (home / "landing").rglob("*"):
            folder.chmod(0o755)
        (home / "landing").chmod(0o755)
        installation.run()
        yield installation


def test_every_published_answer_is_given_field_by_field(
    installation: Installation, expected: dict[str, Any]
) -> None:
    """All answers over the real traces are equal, the order of fields and rows included."""
    accepted = {
        stream: sum(
            load.accepted for load in installation.loads().values() if load.stream == stream
        )
        for stream in expected["totals"]["accepted_and_kept"]
    }
    assert accepted == expected["totals"]["accepted_and_kept"]
    for load in installation.loads().values():
        assert load.rows_read == load.accepted + load.duplicates + load.rejected
    wrong = []
    with installation.client() as client:
        keys: dict[int, str] = {}
        for case in expected["answers"]:
            customer = case["customer_id"]
            key = keys.setdefault(customer, installation.key(customer))
            response = client.get(case["path"], params=case["params"], headers={"X-API-Key": key})
            # As text, so that order and the kind of number count too.
            if json.dumps(without_later_fields(response.json())) != json.dumps(case["body"]):
                wrong.append((customer, case["path"], case["params"]))
    assert wrong == []
    print(f"{len(expected['answers'])} answers equal")


def test_what_was_added_since_is_what_the_recount_says(
    installation: Installation, expected: dict[str, Any]
) -> None:
    """For every customer: where ratings drop and what came of its rows, to the letter, and response
    times within 1 %."""
    now = datetime.fromisoformat(expected["now"])
    truth = recount(TRACES / "landing", now)
    wrong: list[Any] = []
    groups = delivered = 0
    degraded: Counter[int | None] = Counter()
    with installation.client() as client:
        for customer in sorted(truth.customers):
            headers = {"X-API-Key": installation.key(customer)}
            params = {"days": "2557", "tz": "Asia/Kathmandu"}
            for path in ("/api/stats/feedback/by-agent-type", "/api/stats/agent-types/comparison"):
                body = client.get(path, params=params, headers=headers).json()
                if json.dumps(body) != json.dumps(answer(truth, customer, path, params, now)):
                    wrong.append((customer, path))
                for kind in body["agent_types"]:
                    degraded[kind.get("satisfaction", kind)["rating_degrades_at_load"]] += 1
            asked = {"days": "120", "tz": "Asia/Kathmandu"}
            quality = client.get("/api/stats/data-quality", params=asked, headers=headers).json()
            if json.dumps(quality) != json.dumps(data_quality(truth, customer, asked, now)):
                wrong.append((customer, "/api/stats/data-quality"))
            delivered += quality["delivered"]
            for by in ("agent", "model", "agent-type", "day"):
                for tz in ("UTC", "Asia/Kathmandu"):
                    asked = {"by": by, "days": "2557" if by != "day" else "90", "tz": tz}
                    found = client.get("/api/stats/usage/latency", params=asked, headers=headers)
                    exact = response_times(truth, customer, asked, now)
                    wrong += differences(found.json(), exact)
                    groups += sum(1 for group in exact if group["count"])
    assert wrong == []
    assert groups > 0
    assert delivered > 0
    print(
        f"{delivered} rows delivered, {groups} groups with response times; "
        f"ratings degrade at {dict(degraded)}"
    )
