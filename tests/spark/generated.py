"""The deliveries of generated events: a first one, and one for each hour after it.

Few by default; `make test-spark SPARK_EVENTS=5000000 SPARK_RUNS=20` sets the big version.
"""

from __future__ import annotations

import os
from pathlib import Path

from spark.deliveries import CUSTOMERS, write_customers, write_events
from spark.engine_pair import EnginePair, copy_landing

EVENTS = int(os.environ.get("SPARK_EVENTS", "20000"))
RUNS = int(os.environ.get("SPARK_RUNS", "1"))
IS_BIG = EVENTS > 1_000_000

# Each is alone on its dates, which are empty once it is gone.
RETIRED, ERASED = CUSTOMERS.stop, CUSTOMERS.stop + 1
DAYS_OF_RETIRED, DAYS_OF_ERASED = range(60, 63), range(80, 83)
PAID = "'enterprise'"
LAPSED = f"case when customer_id = {RETIRED} or customer_id % 3 = 0 then 'free' else {PAID} end"


def deliver_first(pair: EnginePair, landing: Path) -> None:
    """The names of all customers, the events of most, and those of the two that will go."""
    write_customers(landing, "customers", PAID, "2026-01-01")
    write_events(landing, "events", 0, EVENTS)
    for customer, days in ((RETIRED, DAYS_OF_RETIRED), (ERASED, DAYS_OF_ERASED)):
        first = EVENTS * 2 * customer
        of_one = range(customer, customer + 1)
        write_events(landing, f"of-{customer}", first, first + 1000, customers=of_one, days=days)
    pair.each(copy_landing(landing))


def deliver_an_hour(landing: Path, number: int) -> None:
    """New events of today, and of three days before: late ones, events that came before, and other
    versions of some, with a later time of receipt or with the same, where the content decides; and
    some are withdrawn, before or after they come."""
    new = EVENTS + number * 10_000
    days = range(number, number + 3)
    write_events(landing, f"new-{number}", new, new + 500, days=range(1))
    write_events(landing, f"late-{number}", new + 500, new + 10_000, only=days)
    write_events(landing, f"again-{number}", 0, 2_000, only=days)
    later = "occurred_at + interval 1 hour"
    write_events(landing, f"changed-{number}", 0, 4_000, only=days, version=number, received=later)
    write_events(landing, f"tied-{number}", 3_000, 6_000, only=days, version=number + 1)
    write_events(landing, f"withdrawn-{number}", 5_000, new + 5_000, only=days, withdraws=True)
