"""Customers with weekdays, a level that moves and days that scatter, as rows of the marts."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from datetime import date, timedelta

import duckdb

LAST = date(2026, 3, 9)
HOURS = (3, 9, 15, 21)
"""One in each quarter of the day."""


def empty_warehouse() -> duckdb.DuckDBPyConnection:
    """A warehouse in memory whose marts have no row."""
    connection = duckdb.connect()
    connection.execute("create schema marts")
    connection.execute(
        "create table marts.usage_quarter_hourly (customer_id bigint, occurred_date date, "
        "bucket_start timestamp, message_count bigint, total_tokens bigint, "
        "cost_usd decimal(38, 12))"
    )
    return connection


def use(warehouse: duckdb.DuckDBPyConnection, customer: int, days: Sequence[Sequence[int]]) -> None:
    """A customer whose last days up to the last date had so many tokens in each quarter of the day,
    a message for ten and 1 USD for a million; and one event on the day before them."""
    first = LAST - timedelta(days=len(days))
    rows = [(customer, first, f"{first} 12:00", 1, 10, "0.00001")]
    for step, quarters in enumerate(days, start=1):
        day = first + timedelta(days=step)
        rows += [
            (customer, day, f"{day} {hour:02}:45", tokens // 10, tokens, f"{tokens / 10**6:.6f}")
            for hour, tokens in zip(HOURS, quarters, strict=True)
            if tokens
        ]
    warehouse.executemany("insert into marts.usage_quarter_hourly values (?, ?, ?, ?, ?, ?)", rows)


def seasons(seed: int, days: int) -> list[list[int]]:
    """Tokens of the quarters of so many days, with weekends or without, and with a level that stays
    or wanders."""
    chosen = random.Random(seed)
    level: float = chosen.choice([300, 5_000, 80_000])
    weekend = chosen.choice([0.2, 0.5, 1.0])
    drift = chosen.choice([0.0, 0.0, 0.02])
    found = []
    for day in range(days):
        level *= math.exp(chosen.gauss(0, drift))
        of_day = level * (weekend if (day + seed) % 7 > 4 else 1) * math.exp(chosen.gauss(0, 0.25))
        shares = [share * math.exp(chosen.gauss(0, 0.2)) for share in (0.1, 0.35, 0.4, 0.15)]
        found.append([round(of_day * share) for share in shares])
    return found
