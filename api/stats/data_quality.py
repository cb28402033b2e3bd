"""What came of the rows that were delivered: accepted, duplicate or rejected, and why."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from api.parameters import (
    TABLE_PARAMETERS,
    AuthenticatedCustomer,
    Format,
    Period,
    TableFormat,
    period,
)
from api.snapshots import Row
from api.stats.latency import DayGroup
from api.stats.responses import ERRORS, answering, iso_utc

router = APIRouter(tags=["data quality"])


class Quality(BaseModel):
    """What came of delivered rows; delivered = accepted + duplicates + rejected."""

    delivered: int = Field(description="Rows delivered.", examples=[1290])
    accepted: int = Field(description="Rows that brought a new event.", examples=[1250])
    duplicates: int = Field(
        description="Rows of an event that had been delivered before.", examples=[36]
    )
    rejected: int = Field(description="Rows that broke a rule; nothing counts them.", examples=[4])
    rejected_by_reason: dict[str, int] = Field(
        description="Rejected rows by the first rule that they break, most rows first.",
        examples=[{"missing_agent_id": 3, "occurred_in_future": 1}],
    )
    rejected_undated: int = Field(
        description="Those of the rejected rows that are counted on the date they were delivered, "
        "because their own time cannot be read, lies in the future or before retention.",
        examples=[1],
    )
    total_mismatches: int = Field(
        description="Rows, not rejected, whose total_tokens is not input + output.", examples=[2]
    )
    conflicting_duplicates: int = Field(
        description="Further contents that came under the id of an event.", examples=[1]
    )
    newest_event_at: datetime | None = Field(
        description="When the newest event occurred, UTC; null without one.",
        examples=["2025-12-03T11:58:21.250000Z"],
    )
    received_in_future: int = Field(
        description="Rows, not rejected, whose received_at was more than five minutes ahead of "
        "the clock, and taken as unknown.",
        examples=[1],
    )
    withdrawn: int = Field(
        description="Those of the accepted rows that withdraw an event.", examples=[0]
    )


class PeriodAsked(BaseModel):
    """The period."""

    period_days: int = Field(description="Number of dates asked for.", examples=[30])


class StreamGroup(BaseModel):
    """A stream of events."""

    stream: str = Field(description="Landing stream.", examples=["agent_usage_events"])


# Fields come in the order of the bases from last to first: what it is, then its counts.
class StreamQuality(Quality, StreamGroup):
    """Rows of one stream of events."""


class DayQuality(Quality, DayGroup):
    """Rows of one date."""


class DataQuality(Quality, PeriodAsked):
    """What came of the rows of the whole period, by stream and by date."""

    by_stream: list[StreamQuality] = Field(description="Each stream of events, always all three.")
    days: list[DayQuality] = Field(description="Each date, oldest first, without gaps.")


CSV_COLUMNS = [
    "date",
    *(field for field in Quality.model_fields if field != "rejected_by_reason"),
]


@router.get("/api/stats/data-quality", response_model=DataQuality, responses=ERRORS)
def data_quality(
    request: Request,
    customer_id: AuthenticatedCustomer,
    asked: Annotated[Period, Depends(period(default_days=30, parameters=TABLE_PARAMETERS))],
    format: TableFormat = Format.json,
) -> Response:
    """Rows accepted, delivered again and rejected, by the time that the events occurred."""
    with answering(request, customer_id, asked, written_as=format) as answer:
        total, *rows = [_in_utc(row) for row in answer.rows("data_quality")]
        days = [row for row in rows if row["date"] is not None]
        if format is Format.csv:
            return answer.csv("data-quality", CSV_COLUMNS, [_as_text(row) for row in days])
        return answer.json(
            DataQuality(
                **total,
                period_days=asked.days,
                by_stream=[StreamQuality(**row) for row in rows if row["stream"] is not None],
                days=[DayQuality(**row) for row in days],
            )
        )


def _in_utc(row: Row) -> Row:
    newest = row["newest_event_at"]
    return {**row, "newest_event_at": newest and newest.replace(tzinfo=UTC)}


def _as_text(row: Row) -> Row:
    newest = row["newest_event_at"]
    return {**row, "newest_event_at": newest and iso_utc(newest)}
