"""What the marts of a snapshot must hold, by the recount in plain Python, and how far off they are.

One comparison for all runs: whoever is interrupted or shuffled has to come to these rows.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from installation import rows_of_snapshot
from recount.deliveries import Truth
from recount.marts import COUNTED, marts
from torture.generated import TIES

# One mart of each stream at its coarsest, with the measure that counts rows.
_COUNTED = {
    "customer_daily": "message_count",
    "compliance_daily": "scan_count",
    "load_bucket_daily": "rating_count",
}
_NAMES = {
    "customers": ("customer_id", "customer_name", "tier"),
    "agents": ("customer_id", "agent_id", "agent_type_id", "agent_name"),
    "agent_types": ("customer_id", "agent_type_id", "agent_type_name"),
}


@dataclass(frozen=True)
class Comparison:
    """Events that a snapshot lacks or has too often, and the marts with any other row."""

    events: int
    lost: int
    doubled: int
    other_marts: list[str]

    @property
    def is_equal(self) -> bool:
        return not (self.lost or self.doubled or self.other_marts)


@dataclass(frozen=True)
class Expected:
    """The rows of each mart as text, and the rows counted by group."""

    rows: Mapping[str, Counter[str]]
    counts: Mapping[str, Mapping[str, int]]

    @classmethod
    def of(cls, truth: Truth) -> Expected:
        """What the recount says, in the words of the marts."""
        made = marts(truth)
        made |= _names(truth)
        return cls(
            {name: Counter(map(_as_text, _own(rows))) for name, rows in made.items()},
            {name: _counts(name, _own(made[name])) for name in _COUNTED},
        )

    def without(self, customer_id: int) -> Expected:
        """What is left when one customer is erased."""

        def is_of_others(row: str) -> bool:
            return bool(json.loads(row)["customer_id"] != customer_id)

        return Expected(
            {
                name: Counter({row: count for row, count in rows.items() if is_of_others(row)})
                for name, rows in self.rows.items()
            },
            {
                name: {
                    key: count
                    for key, count in counts.items()
                    if not key.startswith(f"{customer_id} ")
                }
                for name, counts in self.counts.items()
            },
        )

    def compare(self, snapshot: Path) -> Comparison:
        """Where the snapshot differs."""
        other: list[str] = []
        lost = doubled = events = 0
        for name, expected in self.rows.items():
            columns = ", ".join(_NAMES[name]) if name in _NAMES else COUNTED
            found = _own(rows_of_snapshot(snapshot, f"select {columns} from marts.{name}"))
            if Counter(map(_as_text, found)) != expected:
                other.append(name)
            if name in _COUNTED:
                counts = _counts(name, found)
                events += sum(counts.values())
                for key in counts.keys() | self.counts[name].keys():
                    difference = counts.get(key, 0) - self.counts[name].get(key, 0)
                    lost += max(0, -difference)
                    doubled += max(0, difference)
        return Comparison(events, lost, doubled, other)


def _own(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in rows if row["customer_id"] != TIES]


def _as_text(row: Mapping[str, Any]) -> str:
    return json.dumps(
        {name: value.isoformat() if hasattr(value, "isoformat") else value
         for name, value in row.items()},
        sort_keys=True,
        default=str,
    )  # fmt: skip


def _counts(name: str, rows: list[dict[str, Any]]) -> dict[str, int]:
    counted: Counter[str] = Counter()
    for row in rows:
        counted[f"{row['customer_id']} {row['occurred_date']}"] += row[_COUNTED[name]]
    return dict(counted)


def _names(truth: Truth) -> dict[str, list[dict[str, Any]]]:
    """The newest names; agents and types of which there are events only are not among them."""
    return {
        "customers": [
            {name: row[name] for name in _NAMES["customers"]} for row in truth.customers.values()
        ],
        "agents": [{name: row[name] for name in _NAMES["agents"]} for row in truth.agents.values()],
        "agent_types": [
            {name: row[name] for name in _NAMES["agent_types"]}
            for row in truth.agent_types.values()
        ],
    }
