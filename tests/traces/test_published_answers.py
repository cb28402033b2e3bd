"""The whole product over real traces, against answers recounted in plain Python elsewhere."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from installation import Installation

TRACES = Path(
    os.environ.get(
        "AGENTSTATS_TRACES", str(Path(__file__).resolve().parents[3] / "shared" / "data")
    )
)

pytestmark = pytest.mark.traces

ADDED_SINCE = "rating_degrades_at_load"


def without_later_fields(body: Any) -> Any:
    """The body without the one field that was added after the answers were published."""
    if isinstance(body, dict):
        return {
            name: without_later_fields(value) for name, value in body.items() if name != ADDED_SINCE
        }
    if isinstance(body, list):
        return [without_later_fields(value) for value in body]
    return body


def test_every_published_answer_is_given_field_by_field(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All answers over the real traces are equal, the order of fields and rows included."""
    monkeypatch.delenv("AGENTSTATS_TRACES", raising=False)
    assert TRACES.is_dir(), f"{TRACES} is not there: set AGENTSTATS_TRACES to the real traces"
    expected = json.loads((TRACES / "expected.json").read_text())
    installation = Installation(tmp_path / "home", monkeypatch, expected["now"])
    shutil.copytree(
        TRACES / "landing", installation.home / "landing", copy_function=shutil.copyfile
    )
    for folder in (installation.home / "landing").rglob("*"):
        folder.chmod(0o755)
    (installation.home / "landing").chmod(0o755)

    installation.run()

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
        for answer in expected["answers"]:
            customer = answer["customer_id"]
            key = keys.setdefault(customer, installation.key(customer))
            response = client.get(
                answer["path"], params=answer["params"], headers={"X-API-Key": key}
            )
            # As text, so that order and the kind of number count too.
            if json.dumps(without_later_fields(response.json())) != json.dumps(answer["body"]):
                wrong.append((customer, answer["path"], answer["params"]))
    assert wrong == []
    print(f"{len(expected['answers'])} answers equal")
