"""What came of delivered rows, counted one by one, by customer and time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from .answers import period_asked
from .deliveries import FUTURE_TOLERANCE, IDENTITIES, LONGEST_RETENTION_DAYS, Outcome, Truth

DEFAULT_DAYS = 30
MEASURES = (
    *("delivered", "accepted", "duplicates", "rejected"),
    *("total_mismatches", "conflicting_duplicates", "received_in_future", "withdrawn"),
)


def counted_at(outcome: Outcome, delivered_at: datetime) -> datetime:
    """The time that the row counts at: its own, or that of its delivery where it has no use."""
    own = outcome.occurred_at
    if outcome.reason is None and own is not None:
        return own
    oldest = outcome.kept_from or delivered_at - timedelta(days=LONGEST_RETENTION_DAYS)
    usable = own is not None and oldest <= own <= delivered_at + FUTURE_TOLERANCE
    return own if usable and own is not None else delivered_at


def sums(outcomes: Iterable[Outcome], delivered_at: datetime) -> dict[str, Any]:
    """The counts of some rows, in the order of the API."""
    rows = list(outcomes)
    good = [row for row in rows if row.reason is None]
    reasons = Counter(row.reason for row in rows if row.reason is not None)
    newest = max((row.occurred_at for row in good if row.occurred_at), default=None)
    return {
        "delivered": len(rows),
        "accepted": sum(row.is_accepted for row in rows),
        "duplicates": sum(not row.is_accepted for row in good),
        "rejected": len(rows) - len(good),
        "rejected_by_reason": dict(sorted(reasons.items(), key=lambda item: (-item[1], item[0]))),
        "rejected_undated": sum(
            row.reason is not None and counted_at(row, delivered_at) != row.occurred_at
            for row in rows
        ),
        "total_mismatches": sum(row.is_mismatch for row in rows),
        "conflicting_duplicates": sum(row.is_conflict for row in rows),
        "newest_event_at": newest and _written(newest),
        "received_in_future": sum(row.is_received_in_future for row in rows),
        "withdrawn": sum(row.is_accepted and row.is_withdrawal for row in rows),
    }


def data_quality(
    truth: Truth,
    customer_id: int,
    params: Mapping[str, str],
    now: datetime,
    delivered_at: datetime | None = None,
) -> dict[str, Any]:
    """The body for one customer; all rows were delivered at one time, by default `now`."""
    delivered_at = delivered_at or now
    period = period_asked(truth, customer_id, params, now, DEFAULT_DAYS)
    rows = [
        row
        for row in truth.outcomes
        if row.customer_id == customer_id
        and period.begin <= counted_at(row, delivered_at) < period.after
    ]
    dates = [period.first + timedelta(days=number) for number in range(period.days)]
    return {
        "period_days": period.days,
        **sums(rows, delivered_at),
        "by_stream": [
            {"stream": stream, **sums((row for row in rows if row.stream == stream), delivered_at)}
            for stream in IDENTITIES
        ],
        "days": [
            {
                "date": day.isoformat(),
                **sums(
                    (
                        row
                        for row in rows
                        if counted_at(row, delivered_at).astimezone(period.zone).date() == day
                    ),
                    delivered_at,
                ),
            }
            for day in dates
        ],
    }


def per_date(
    truth: Truth, delivered_at: datetime
) -> dict[tuple[str, int | None, str], dict[str, int]]:
    """Counts by stream, customer and UTC date, as in the mart `reconciliation`."""
    groups: dict[tuple[str, int | None, str], list[Outcome]] = {}
    for row in truth.outcomes:
        day = counted_at(row, delivered_at).astimezone(UTC).date().isoformat()
        groups.setdefault((row.stream, row.customer_id, day), []).append(row)
    return {
        key: {name: sums(rows, delivered_at)[name] for name in MEASURES}
        for key, rows in groups.items()
    }


def _written(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")
