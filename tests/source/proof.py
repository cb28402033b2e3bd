"""The published marts against a recount of the source's tables, which shares no code with them."""

from __future__ import annotations

import shutil
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

from orchestration.contract.streams import STREAMS
from orchestration.publication.publish import current_snapshot
from recount.deliveries import recount
from recount.marts import COUNTED, marts
from source.server import Server


def differences(server: Server, home: Path, now: datetime, folder: Path) -> list[str]:
    """Rows of a mart that the tables do not give, and the other way round; none when all is well.

    The tables are written to `folder` as CSV, as if they had been delivered there.
    """
    for stream in STREAMS:
        path = folder / stream.name / "table.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(server.copy(f"select * from {stream.name}"))
    snapshot = current_snapshot(home / "snapshots")
    assert snapshot is not None, "nothing is published"
    found: list[str] = []
    with duckdb.connect(str(snapshot), read_only=True) as connection:
        for name, expected in marts(recount(folder, now)).items():
            rows = connection.execute(f"select {COUNTED} from marts.{name}").fetchall()
            names = [column[0] for column in connection.description or ()]
            published = [dict(zip(names, row, strict=True)) for row in rows]
            counted, there = Counter(map(_text, expected)), Counter(map(_text, published))
            found += [f"{name}: not in the marts: {row}" for row in counted - there]
            found += [f"{name}: not in the table: {row}" for row in there - counted]
    shutil.rmtree(folder)
    return found


def _text(row: dict[str, Any]) -> str:
    """A row as text; the lists of response times are another test's."""
    shown = {
        name: value.isoformat() if hasattr(value, "isoformat") else value
        for name, value in row.items()
        if name != "response_time_buckets"
    }
    return str(sorted(shown.items()))
