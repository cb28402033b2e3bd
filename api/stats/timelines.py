"""Compliance and feedback day by day."""

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
from api.stats.responses import ERRORS, answering, from_memory_or_in_a_thread

router = APIRouter()

LABELS = Field(description="Dates in `tz`, YYYY-MM-DD.", examples=[["2025-12-02", "2025-12-03"]])


class ComplianceTimeline(BaseModel):
    """Content safety day by day, oldest first: lists of equal length without gaps."""

    labels: list[str] = LABELS
    messages: list[int] = Field(description="Agent responses.", examples=[[45, 52]])
    scanned_messages: list[int] = Field(
        description="Messages that were scanned.", examples=[[40, 52]]
    )
    toxic_messages: list[int] = Field(
        description="Scanned messages with a toxic scan.", examples=[[0, 1]]
    )
    toxic_rate_percent: list[float | None] = Field(
        description="Toxic messages per 100 messages, scanned or not; null without messages.",
        examples=[[0.0, 1.92]],
    )
    pii_redactions: list[int] = Field(description="Redactions of all types.", examples=[[3, 0]])
    messages_with_pii: list[int] = Field(
        description="Scanned messages with a redaction.", examples=[[2, 0]]
    )


class FeedbackTimeline(BaseModel):
    """Ratings day by day, oldest first: lists of equal length without gaps."""

    labels: list[str] = LABELS
    ratings: list[int] = Field(description="Ratings.", examples=[[9, 0]])
    average_rating: list[float | None] = Field(
        description="Mean rating in stars, 1 to 5, 2 decimals; null without ratings.",
        examples=[[4.33, None]],
    )


def _timeline(
    request: Request,
    customer_id: int,
    asked: Period,
    format: Format,
    kind: type[BaseModel],
    shape: str,
) -> Response:
    """The rows of a shape as the lists of `kind`, or as a CSV file of the shape's name."""
    with answering(request, customer_id, asked, written_as=format) as answer:
        rows = answer.rows(shape)
        fields = list(kind.model_fields)
        columns = ["label", *fields[1:]]
        if format is Format.csv:
            return answer.csv(shape.replace("_", "-"), columns, rows)
        lists = ([row[column] for row in rows] for column in columns)
        return answer.json(kind(**dict(zip(fields, lists, strict=True))))


@router.get(
    "/api/stats/compliance/timeline",
    response_model=ComplianceTimeline,
    responses=ERRORS,
    tags=["compliance"],
)
@from_memory_or_in_a_thread
def compliance_timeline(
    request: Request,
    customer_id: AuthenticatedCustomer,
    asked: Annotated[Period, Depends(period(default_days=30, parameters=TABLE_PARAMETERS))],
    format: TableFormat = Format.json,
) -> Response:
    """Scans, toxic messages and redactions of each date; a date without any has zeros."""
    return _timeline(request, customer_id, asked, format, ComplianceTimeline, "compliance_timeline")


@router.get(
    "/api/stats/feedback/timeline",
    response_model=FeedbackTimeline,
    responses=ERRORS,
    tags=["feedback"],
)
@from_memory_or_in_a_thread
def feedback_timeline(
    request: Request,
    customer_id: AuthenticatedCustomer,
    asked: Annotated[Period, Depends(period(default_days=30, parameters=TABLE_PARAMETERS))],
    format: TableFormat = Format.json,
) -> Response:
    """Ratings of each date and their mean; a date without any has 0 and null."""
    return _timeline(request, customer_id, asked, format, FeedbackTimeline, "feedback_timeline")
