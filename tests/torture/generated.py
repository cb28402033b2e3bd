"""Deliveries as a bad month would bring them: late, twice, contradicting themselves, and wrong.

Everything follows from a seed. `deliveries` writes files to a folder and says under which name,
and in which phase, each of them is dropped.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from installation import rating, scan, usage_event, write_rows
from recount.deliveries import DAYS_KEPT_BY_TIER, kept_from

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MONTH_LATER = NOW + timedelta(days=30)
CUSTOMERS = 40
TIES = 999
"""The customer of duplicates that differ and are equally new. Which one counts is decided by a hash
of the product's own, so the recount leaves this customer out."""

_MODELS = ("claude-sonnet-4", "gpt-4o", " mistral-large ", "", None)
_TIERS = ("free", "starter", "pro", "enterprise", None)
_FORMATS = ("parquet", "ndjson", "csv", "ndjson.gz", "csv.gz", "jsonl")
_LATE_DATES_OF_A_FILE = 3

Row = dict[str, Any]


@dataclass(frozen=True)
class Delivery:
    """A file to be dropped as `landing/<stream>/<name>`, a month later than the others or not."""

    path: Path
    stream: str
    name: str
    is_month_later: bool = False


@dataclass(frozen=True)
class Size:
    """How much is generated, over all streams; what is late, repeated or bad comes in shares."""

    events: int
    files: int
    late: float = 0.2
    repeated: float = 0.05
    conflicting: float = 0.005
    bad: float = 0.01


@dataclass(frozen=True)
class Generated:
    """What was written; counts are rows."""

    deliveries: list[Delivery]
    events: int
    late: int
    repeated: int
    conflicting: int
    bad: int


_BAD: dict[str, list[tuple[str, object]]] = {
    "agent_usage_events": [
        *(
            (name, None)
            for name in ("event_id", "customer_id", "agent_id", "agent_type_id", "input_tokens",
                         "output_tokens", "occurred_at")
        ),
        ("event_id", "x" * 129), ("customer_id", -1), ("agent_id", 0), ("agent_type_id", 0),
        ("input_tokens", -1), ("output_tokens", 10**12 + 1), ("response_time_ms", 86_400_001),
        ("occurred_at", "2026-02-30T00:00:00Z"), ("occurred_at", "2026-03-01T12:05:00.000001Z"),
        ("received_at", "soon"), ("event_id", ""),
    ],
    "audit_events": [
        *(
            (name, None)
            for name in ("audit_id", "customer_id", "agent_id", "agent_type_id", "occurred_at")
        ),
        ("audit_id", "x" * 129), ("customer_id", 0), ("agent_id", -5), ("agent_type_id", -1),
        ("event_id", "x" * 129), ("toxicity_score", 1.5), ("is_toxic", "perhaps"),
        ("pii_redactions", {"PERSON": -1}), ("occurred_at", "never"), ("received_at", "soon"),
        ("occurred_at", "2026-03-02T00:00:00Z"),
    ],
    "feedback_events": [
        *(
            (name, None)
            for name in ("feedback_id", "customer_id", "agent_type_id", "rating", "occurred_at")
        ),
        ("feedback_id", "x" * 129), ("customer_id", 0), ("agent_id", -5), ("agent_type_id", -1),
        ("rating", 6), ("rating", -1), ("running_instances", -1), ("occurred_at", "never"),
        ("received_at", "soon"), ("occurred_at", "2026-03-02T00:00:00Z"),
    ],
}  # fmt: skip
# A value of another type would change how a whole column of Parquet is typed.
_OF_ANOTHER_TYPE = {"soon", "perhaps", "never", "2026-02-30T00:00:00Z"}
_IDENTITY = {
    "agent_usage_events": "event_id",
    "audit_events": "audit_id",
    "feedback_events": "feedback_id",
}
_CHANGED: dict[str, Callable[[Row], Row]] = {
    "agent_usage_events": lambda row: {"output_tokens": row["output_tokens"] + 1},
    "audit_events": lambda row: {"is_toxic": not row["is_toxic"]},
    "feedback_events": lambda row: {"rating": row["rating"] % 5 + 1},
}


def tier_of(customer_id: int) -> str | None:
    """The customer's tier; None for one that no reference row names."""
    return "enterprise" if customer_id == TIES else _TIERS[customer_id % len(_TIERS)]


def generate(folder: Path, size: Size, seed: int) -> Generated:
    """Write the files into `folder`, and return them in no particular order."""
    return _Generator(folder, size, random.Random(seed)).generate()


class _Generator:
    def __init__(self, folder: Path, size: Size, chance: random.Random) -> None:
        self._folder = folder
        self._size = size
        self._chance = chance
        self._deliveries: list[Delivery] = []
        self._number = 0
        self._counts = dict.fromkeys(("events", "late", "repeated", "conflicting", "bad"), 0)
        # Rows that come again in a later file of their stream.
        self._again: dict[str, list[Row]] = {stream: [] for stream in _IDENTITY}
        self._month_later: dict[str, list[Row]] = {stream: [] for stream in _IDENTITY}
        self._bad_so_far = dict.fromkeys(_IDENTITY, 0)

    def generate(self) -> Generated:
        self._write_names()
        shares = {"agent_usage_events": 0.7, "audit_events": 0.2, "feedback_events": 0.1}
        for stream, share in shares.items():
            files = max(2, round(self._size.files * share))
            rows = round(self._size.events * share)
            for number in range(files):
                first, last = rows * number // files, rows * (number + 1) // files
                self._write_events(stream, number, last - first)
            self._write_left_over(stream)
        return Generated(self._deliveries, **self._counts)

    def _write(
        self, stream: str, name: str, rows: list[Row], *, is_month_later: bool = False
    ) -> Delivery:
        path = self._folder / ("later" if is_month_later else "first") / stream / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_rows(path, rows)
        delivery = Delivery(path, stream, name, is_month_later)
        self._deliveries.append(delivery)
        return delivery

    def _write_names(self) -> None:
        # Before everything else, and so in one file of each: whose retention is not known yet
        # has nothing expired, and what is expired must not depend on the order of files.
        customers = [*range(1, CUSTOMERS + 1), TIES]
        self._names = {
            "customers": [
                {"customer_id": customer, "customer_name": f"Customer {customer}", "tier": tier,
                 "retention_days": 200 if tier == "enterprise" else None,
                 "updated_at": "2026-01-01T00:00:00Z"}
                for customer in customers
                if (tier := tier_of(customer))
            ],
            "agents": [
                {"agent_id": agent, "customer_id": customer, "agent_type_id": agent % 3 + 1,
                 "agent_name": f"Agent {agent} of {customer}",
                 "updated_at": "2026-01-01T00:00:00Z"}
                for customer in customers
                for agent in range(1, 6)
            ],
            "agent_types": [
                {"agent_type_id": agent_type, "customer_id": customer,
                 "agent_type_name": f"Type {agent_type}", "model": "gpt-4o",
                 "updated_at": "2026-01-01T00:00:00Z"}
                for customer in customers
                for agent_type in range(1, 4)
            ],
        }  # fmt: skip
        for stream, rows in self._names.items():
            self._write(stream, "names.ndjson", rows)
            if stream != "customers":
                newer = [
                    {**row, "updated_at": "2026-02-01T00:00:00Z",
                     ("agent_name" if stream == "agents" else "agent_type_name"): "Renamed"}
                    for row in rows[::7]
                ]  # fmt: skip
                self._write(stream, "renamed.csv", newer)

    def _write_events(self, stream: str, number: int, count: int) -> None:
        chance, size = self._chance, self._size
        file_format = _FORMATS[number % len(_FORMATS)]
        # Late rows of one file come from a few dates, as when a machine was cut off for a while.
        days_late = [chance.randint(3, 200) for _ in range(_LATE_DATES_OF_A_FILE)]
        rows: list[Row] = []
        for _ in range(count):
            row = self._event(stream, days_late)
            rows.append(row)
            draw = chance.random()
            if draw < size.conflicting:
                self._again[stream].append(self._contradict(stream, row))
            elif draw < size.conflicting + size.repeated / 4:
                self._again[stream].append(row)
                self._counts["repeated"] += 1
            elif draw < size.conflicting + size.repeated / 2:
                self._month_later[stream].append(row)
                self._counts["repeated"] += 1
        self._counts["events"] += count
        rows += self._take_again(stream, rows)
        bad = self._bad_rows(stream, round(count * size.bad), file_format)
        self._counts["bad"] += len(bad)
        for row in bad:
            rows.insert(chance.randrange(len(rows) + 1), row)
        delivery = self._write(stream, f"{number:04}.{file_format}", rows)
        if "ndjson" in file_format and not file_format.endswith(".gz"):
            self._break_lines(delivery.path)
        # The other half of what is repeated: whole files, as they were and under another name.
        every = round(4 / size.repeated) if size.repeated else 0
        if every and number % every == every // 3:
            self._deliveries.append(delivery)
            self._counts["repeated"] += count
        if every and number % every == every // 2:
            name = f"copy-of-{number:04}.{file_format}"
            copy = delivery.path.with_name(name)
            copy.write_bytes(delivery.path.read_bytes())
            self._deliveries.append(Delivery(copy, stream, name))
            self._counts["repeated"] += count

    def _event(self, stream: str, days_late: list[int]) -> Row:
        chance = self._chance
        self._number += 1
        number = self._number
        customer = TIES if chance.random() < 0.002 else chance.randint(1, CUSTOMERS)
        occurred_at = NOW - timedelta(microseconds=chance.randrange(2 * 86_400_000_000))
        if chance.random() < self._size.late:
            occurred_at = self._late(customer, chance.choice(days_late))
            self._counts["late"] += 1
        received_at = occurred_at + timedelta(seconds=chance.randint(0, 600))
        row = {
            "customer_id": customer,
            "agent_id": (agent := chance.randint(1, 6)),
            "agent_type_id": agent % 3 + 1,
            "occurred_at": occurred_at.isoformat().replace("+00:00", "Z"),
            "received_at": received_at.isoformat().replace("+00:00", "Z"),
        }
        if stream == "agent_usage_events":
            tokens = chance.randint(0, 4000), chance.randint(0, 900)
            total = sum(tokens) + (number % 500 == 0)
            return usage_event(number, **row, model_used=chance.choice(_MODELS),
                               input_tokens=tokens[0], output_tokens=tokens[1], total_tokens=total,
                               response_time_ms=chance.choice((None, 0, chance.randint(1, 60_000)))
                               )  # fmt: skip
        if stream == "audit_events":
            # Two of three scans are of a response that another scan is of too.
            found = {"PERSON": chance.randint(0, 3), "EMAIL": chance.randint(0, 2)}
            scanned = None if number % 10 == 0 else f"event-{number % 5000}"
            return scan(number, **row, event_id=scanned, pii_redactions=found,
                        toxicity_score=round(chance.random(), 3),
                        is_toxic=chance.choice((True, False)))  # fmt: skip
        return rating(number, **row, rating=chance.randint(1, 5),
                      running_instances=chance.choice((None, 0, 1, 2, 3, 5, 6, 40)))  # fmt: skip

    def _late(self, customer: int, days: int) -> datetime:
        """Some days ago, or at the very edge of what the customer's tier keeps."""
        tier = tier_of(customer)
        kept = DAYS_KEPT_BY_TIER.get(tier or "enterprise", 200)
        if days >= kept:
            edge = kept_from(NOW, kept)
            return edge if self._chance.random() < 0.1 else edge + self._within_a_day()
        return kept_from(NOW, days) + self._within_a_day()

    def _within_a_day(self) -> timedelta:
        return timedelta(microseconds=self._chance.randrange(86_400_000_000))

    def _contradict(self, stream: str, row: Row) -> Row:
        """The same event with other values, older or newer; equally new for one customer."""
        self._counts["conflicting"] += 1
        changed = {**row, **_CHANGED[stream](row)}
        if row["customer_id"] != TIES:
            at = datetime.fromisoformat(row["received_at"])
            shift = timedelta(seconds=self._chance.choice((-3600, -1, 1, 3600)))
            changed["received_at"] = (at + shift).isoformat().replace("+00:00", "Z")
        return changed

    def _take_again(self, stream: str, rows: list[Row]) -> list[Row]:
        """Some rows of earlier files, to come again in this one."""
        identity = _IDENTITY[stream]
        own = {row[identity] for row in rows}
        waiting = self._again[stream]
        taken = [row for row in waiting[:-20] if row[identity] not in own]
        self._again[stream] = [row for row in waiting if row not in taken]
        return taken

    def _bad_rows(self, stream: str, count: int, file_format: str) -> list[Row]:
        possible = [
            (name, value)
            for name, value in _BAD[stream]
            if file_format != "parquet"
            or not (isinstance(value, str) and value in _OF_ANOTHER_TYPE)
        ]
        rows = []
        # On from where the file before ended, so that small sizes have every reason too.
        first = self._bad_so_far[stream]
        self._bad_so_far[stream] += count
        for number in range(first, first + count):
            row = self._event(stream, [3])
            row[_IDENTITY[stream]] = f"bad-{row[_IDENTITY[stream]]}"
            if number % (len(possible) + 1) == len(possible):
                # One microsecond too old for the free tier.
                edge = kept_from(NOW, DAYS_KEPT_BY_TIER["free"]) - timedelta(microseconds=1)
                row |= {"customer_id": 5, "occurred_at": edge.isoformat()}
            else:
                name, value = possible[number % (len(possible) + 1)]
                row[name] = value
            rows.append(row)
        return rows

    def _break_lines(self, path: Path) -> None:
        """Half a record and a list between good lines, for the reason `malformed_row`."""
        lines = path.read_text().splitlines()
        lines.insert(len(lines) // 2, lines[0][: len(lines[0]) // 2])
        lines.insert(len(lines) // 3, json.dumps(["not", "a", "record"]))
        path.write_text("\n".join(lines) + "\n")
        self._counts["bad"] += 2

    def _write_left_over(self, stream: str) -> None:
        """What nothing took up yet, and what comes again a month later."""
        if self._again[stream]:
            self._write(stream, "again.csv.gz", self._again[stream])
        if self._month_later[stream]:
            self._write(stream, "month-later.ndjson", self._month_later[stream],
                        is_month_later=True)  # fmt: skip
