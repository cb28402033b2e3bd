"""Files as pandas, polars, pyarrow, Spark, Go and Java write them mean what plain Python reads.

Who reads them here beside the product is Arrow's reader of Parquet, and Python's of JSON and CSV.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from installation import Installation, rating, scan, usage_event
from orchestration.publication.publish import current_snapshot
from orchestration.storage.ledger import Load
from recount.deliveries import FileCount, Truth, recount

pytestmark = pytest.mark.bench

NOW = "2026-03-01T12:00:00Z"
ROWS = 24


@dataclass(frozen=True)
class Shapes:
    """What was delivered, once as landing files, and once as a folder that is only read."""

    installation: Installation
    truth: Truth
    loads: Mapping[str, Load]


def rows_of(stream: str, prefix: str) -> list[dict[str, Any]]:
    """Good rows of one file: with and without what may be missing, and times to the microsecond."""
    rows = []
    for number in range(ROWS):
        at = f"2026-02-28T{number:02}:59:59.{number:06}+00:00"
        common = {"customer_id": 1 + number % 3, "occurred_at": at}
        received = None if number % 4 == 0 else "2026-02-28T23:30:00.5+00:00"
        if stream == "agent_usage_events":
            rows.append(usage_event(
                number, event_id=f"{prefix}-é-{number}", **common, received_at=received,
                model_used=(None, "modèle <1>", " gpt-4o ")[number % 3], input_tokens=number,
                total_tokens=(None, number + 10, 7)[number % 3],
                response_time_ms=(None, 1500.5, 12.0)[number % 3],
            ))  # fmt: skip
        elif stream == "audit_events":
            rows.append(scan(
                number, audit_id=f"{prefix}-{number}", **common, received_at=received,
                event_id=None if number % 5 == 0 else f"e-{number}",
                toxicity_score=(None, 0.25, 0.75)[number % 3], is_toxic=(None, True)[number % 2],
                pii_redactions=(None, {"PERSON": 2}, {"EMAIL": 1, "ÉTAT": number})[number % 3],
            ))  # fmt: skip
        else:
            rows.append(rating(
                number, feedback_id=f"{prefix}-{number}", **common, received_at=received,
                rating=1 + number % 5, running_instances=(None, 1, 7)[number % 3],
                agent_id=None if number % 7 == 0 else 11,
            ))  # fmt: skip
    return rows


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shapes]:
    """Every writer's files of every stream, in one hourly run."""
    from shapes.writers import WRITERS, read_with_pyarrow

    folder = tmp_path_factory.mktemp("shapes")
    with pytest.MonkeyPatch.context() as environment:
        installation = Installation(folder / "home", environment, NOW)
        for stream in ("agent_usage_events", "audit_events", "feedback_events"):
            for writer, write in WRITERS.items():
                for name, content in _each_of_its_own(stream, writer, write).items():
                    installation.drop_bytes(stream, name, content)
                    copy = folder / "read" / stream / name
                    copy.parent.mkdir(parents=True, exist_ok=True)
                    copy.write_bytes(content)
        installation.run()
        truth = recount(
            folder / "read", datetime.fromisoformat(NOW), read_parquet=read_with_pyarrow
        )
        yield Shapes(installation, truth, installation.loads())


def _each_of_its_own(stream: str, writer: str, write: Any) -> dict[str, bytes]:
    """The writer's files, each of rows of its own: a row that two formats have would be a
    duplicate, whatever became of its values."""
    files = {}
    for number, name in enumerate(write(rows_of(stream, writer))):
        files[name] = list(write(rows_of(stream, f"{writer}{number}")).values())[number]
    return files


def test_each_file_is_read_to_the_row(shapes: Shapes) -> None:
    """As many rows read, accepted and rejected as Python finds, of every file."""
    expected = {file.file: file for file in shapes.truth.files}
    found = {
        name: FileCount(
            load.stream, name, load.rows_read, load.accepted, load.duplicates,
            dict(load.rejected_by_reason), load.failure,
        )
        for name, load in shapes.loads.items()
    }  # fmt: skip
    assert found == expected
    assert len(found) > 100
    assert all(file.accepted == file.read for file in found.values())


NOTHING = {"attributes": {}, "provider": "unknown", "agent_id": 0}
"""What the recount has where a row does not tell."""


def test_every_value_is_what_python_reads(shapes: Shapes) -> None:
    """Row by row in the lake: texts, numbers, times and counts; and so in the marts."""
    from torture.truth import Expected

    truth = shapes.truth
    for stream, rows in (
        ("agent_usage_events", truth.events),
        ("audit_events", truth.scans),
        ("feedback_events", truth.ratings),
    ):
        lake = {_key(stream, row): row for row in shapes.installation.lake(stream)}
        assert len(lake) == len(rows)
        for row in rows:
            of_row = vars(row)
            there = lake[_key(stream, of_row)]
            for name in of_row.keys() & there.keys():
                value = of_row[name]
                if isinstance(value, datetime):
                    value = value.replace(tzinfo=None)
                if there[name] is None:
                    value = None if value == NOTHING.get(name) else value
                if name not in ("is_toxic",):
                    assert there[name] == value, (stream, of_row, name)
    snapshot = current_snapshot(shapes.installation.settings.snapshots)
    assert snapshot is not None
    assert Expected.of(truth).compare(Path(snapshot)).is_equal


def _key(stream: str, row: Mapping[str, Any]) -> tuple[object, object]:
    names = {"agent_usage_events": "event_id", "audit_events": "audit_id"}
    return row["customer_id"], row[names.get(stream, "feedback_id")]
