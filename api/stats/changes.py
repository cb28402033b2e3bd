"""A change against an earlier period: comparable spans, or null with the reason."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from pydantic import BaseModel, Field

from api.metrics.ratio import Ratio, Shown, exact_ratio
from api.snapshots import Row
from api.windows import ComparedSpans, utc_midnight, zone

DECIMALS = 2


class Change(BaseModel):
    """What `compare` adds at the end of a body; nothing of it is there without."""

    previous: dict[str, int | float | str | None] | None = Field(
        default=None,
        description="Only with `compare`: each figure from `previous_from` to before "
        "`previous_to`; null where they cannot be compared.",
        examples=[{"total_messages": 1172}],
    )
    change_percent: dict[str, float | None] = Field(
        default={},
        description="Only with `compare`: by how much each figure of `compared` differs from that "
        "of `previous`, percent of the latter, 2 decimals; null where one of them is null, the "
        "earlier one is 0, or `change_reason` says why.",
        examples=[{"total_messages": 6.66}],
    )
    change_reason: str | None = Field(
        default=None,
        description="Only with `compare`: why no figure can be compared; null if they can.",
        examples=[None],
    )
    compared: dict[str, int | float | str | None] | None = Field(
        default=None,
        description="Only with `compare`: each figure from `compared_from` to before "
        "`compared_to`. It is that of the whole period, unless the period runs into today.",
        examples=[{"total_messages": 1250}],
    )
    compared_from: datetime | None = Field(
        default=None,
        description="Only with `compare`: where the period begins, UTC.",
        examples=["2025-11-27T00:00:00Z"],
    )
    compared_to: datetime | None = Field(
        default=None,
        description="Only with `compare`: where the period ends, or, if it runs further, the "
        "latest quarter hour that is neither after now nor after X-Data-As-Of, UTC.",
        examples=["2025-12-03T09:00:00Z"],
    )
    previous_from: datetime | None = Field(
        default=None,
        description="Only with `compare`: where the earlier period begins, UTC.",
        examples=["2025-11-20T00:00:00Z"],
    )
    previous_to: datetime | None = Field(
        default=None,
        description="Only with `compare`: the same local time of day as `compared_to`, on the "
        "earlier date, UTC.",
        examples=["2025-11-26T09:00:00Z"],
    )


@dataclass(frozen=True)
class Figure:
    """The columns of a row that a figure is in: as it is shown, and what it is the ratio of."""

    shown: str
    numerator: str
    denominator: str | None = None

    def ratio(self, row: Row) -> tuple[int, int]:
        """The figure before it was rounded; over 0 where there is none."""
        if row[self.numerator] is None:
            return 0, 0
        return row[self.numerator], 1 if self.denominator is None else row[self.denominator]


def count(column: str) -> Figure:
    """A figure that is a sum or a count."""
    return Figure(column, column)


Figures = Mapping[str, Figure]


def why_not(
    spans: ComparedSpans,
    tz: str,
    *,
    data_as_of: datetime | None,
    kept_from: date | None,
    data_from: date | None,
    first_event_at: datetime | None,
) -> str | None:
    """Why nothing can be said about the change between two spans; None if it can."""
    if data_as_of is None:
        return "no data is loaded yet"
    if first_event_at is None or data_from is None:
        return "there was never any data"
    if spans.current.start == spans.current.end:
        return "no quarter hour of this period is loaded yet"
    before = spans.previous.start
    if before < utc_midnight(data_from) and (kept_from is None or kept_from <= data_from):
        return f"data begins {first_event_at.astimezone(zone(tz)).date()}"
    if kept_from is not None and before < utc_midnight(kept_from):
        return f"data is kept from {kept_from} on"
    return None


def change_of(
    figures: Figures, spans: ComparedSpans, now: Row | None, before: Row | None, reason: str | None
) -> dict[str, Any]:
    """The fields of `Change`; the rows are None where there is a reason not to compare them."""
    return {
        "previous": None if before is None else _shown(figures, before),
        "change_percent": {
            name: None
            if now is None or before is None
            else change_percent(figure.ratio(before), figure.ratio(now))
            for name, figure in figures.items()
        },
        "change_reason": reason,
        "compared": None if now is None else _shown(figures, now),
        "compared_from": spans.current.start,
        "compared_to": spans.current.end,
        "previous_from": spans.previous.start,
        "previous_to": spans.previous.end,
    }


def change_percent(before: tuple[int, int], now: tuple[int, int]) -> Ratio:
    """By how much a ratio changed, in percent of what it was; None from 0 and without either."""
    numerator = now[0] * before[1] - before[0] * now[1]
    denominator = before[0] * now[1]
    if before[1] == 0 or denominator == 0:
        return None
    size = exact_ratio(abs(numerator), denominator, DECIMALS, 100)
    return -size if size and numerator < 0 else size


def _shown(figures: Figures, row: Row) -> dict[str, Shown]:
    return {name: row[figure.shown] for name, figure in figures.items()}
