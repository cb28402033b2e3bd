"""A home folder of lake and ledger only: landing and deletion, without the marts. Fast enough for
many small histories."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from orchestration import pipeline
from orchestration.lake.writing import COUNTS_FOLDER
from orchestration.retention.nightly import delete_expired
from orchestration.settings import Settings, read_settings
from orchestration.storage.ledger import Deletion, Ledger


@dataclass
class Lake:
    """Files dropped, landed and deleted under a clock that is set."""

    home: Path
    now: str
    settings_given: Mapping[str, str] = field(default_factory=dict)
    _files: int = 0

    @property
    def settings(self) -> Settings:
        return read_settings(
            {
                "AGENTSTATS_HOME": str(self.home),
                "AGENTSTATS_NOW": self.now,
                "AGENTSTATS_RETENTION_MAX_DELETE_FRACTION": "1",
                **self.settings_given,
            }
        )

    def drop(self, stream: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write a landing file of a name of its own."""
        self._files += 1
        path = self.home / "landing" / stream / f"{self._files}.ndjson"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))

    def land(self) -> None:
        with closing(Ledger(self.settings.ledger_path)) as ledger:
            pipeline.land(self.settings, ledger)

    def delete(self, run_id: str = "run") -> int:
        """Delete what is expired; the rows deleted."""
        with closing(Ledger(self.settings.ledger_path)) as ledger:
            return delete_expired(self.settings, ledger, run_id=run_id).rows

    def deletions(self) -> list[Deletion]:
        with closing(Ledger(self.settings.ledger_path)) as ledger:
            return ledger.deletions()

    def deleted_rows(self) -> Counter[tuple[int | None, str]]:
        """Rows that went by the ledger, by customer and table; the counts of deliveries aside."""
        rows: Counter[tuple[int | None, str]] = Counter()
        for deletion in self.deletions():
            if deletion.table_name != COUNTS_FOLDER:
                rows[deletion.customer_id, deletion.table_name] += deletion.rows
        return rows

    def rows(self, folder: str) -> list[dict[str, Any]]:
        """The rows of a lake folder, from the files that are there, known to the ledger or not."""
        paths = [str(path) for path in (self.home / "lake" / folder).rglob("*.parquet")]
        if not paths:
            return []
        with duckdb.connect() as connection:
            found = connection.execute(
                "select * from read_parquet($paths, hive_partitioning = false, "
                "union_by_name = true)",
                {"paths": paths},
            )
            names = [column[0] for column in found.description or ()]
            return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

    def agrees_with_ledger(self) -> bool:
        """Whether lake and ledger name the same files, with the same number of rows."""
        with closing(Ledger(self.settings.ledger_path)) as ledger:
            recorded = {
                file.path: file.rows
                for folder in ledger.lake_folders()
                for file, _ in ledger.lake_files_in(folder)
            }
        with duckdb.connect() as connection:
            there = {
                str(path.relative_to(self.home / "lake")): connection.execute(
                    f"select count(*) from read_parquet('{path}')"
                ).fetchall()[0][0]
                for path in (self.home / "lake").rglob("*.parquet")
            }
        return recorded == there
