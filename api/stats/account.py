"""What there is about the customer who asks: policy, limits, and since when there is data."""

from datetime import date, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from api.parameters import AuthenticatedCustomer, Period, no_period
from api.stats.responses import ERRORS, answering, from_memory_or_in_a_thread, in_utc

router = APIRouter(tags=["account"])


class Account(BaseModel):
    """The customer of the key."""

    customer_id: int = Field(description="Id of the customer.", examples=[42])
    customer_name: str | None = Field(
        description="Newest name; null if none was delivered.", examples=["Northwind Trading"]
    )
    tier: str | None = Field(description="Tier; null if none was delivered.", examples=["pro"])
    time_zone: str | None = Field(
        description="The customer's own time zone, in which its days are where `tz` is not "
        "given; null, and then UTC: none was delivered.",
        examples=["America/Los_Angeles"],
    )
    retention_days: int | None = Field(
        description="Days that are kept before today; null without a valid policy: then nothing "
        "is deleted.",
        examples=[90],
    )
    retention_from: date | None = Field(
        description="First UTC date that retention shows, as in X-Covered-From; null where "
        "nothing is deleted.",
        examples=["2025-09-04"],
    )
    data_from: date | None = Field(
        description="UTC date after the first event that was ever accepted, deleted or not; null "
        "without events.",
        examples=["2025-08-30"],
    )
    covered_from: date | None = Field(
        description="The later of the two: from this UTC date on figures are whole, and periods "
        "can be compared; null without events.",
        examples=["2025-09-04"],
    )
    first_event_at: datetime | None = Field(
        description="When the first event that was ever accepted occurred, UTC; to the quarter "
        "hour for a customer that was never delivered; null without events.",
        examples=["2025-08-29T00:03:12Z"],
    )
    newest_event_at: datetime | None = Field(
        description="When the newest event occurred, UTC; null without events.",
        examples=["2025-12-03T11:52:40Z"],
    )
    requests_per_minute: int = Field(
        description="Requests that the API answers in a minute: as the tier says, else as for all.",
        examples=[60],
    )
    daily_token_budget: int | None = Field(
        description="Tokens that the tier has for a UTC day; null if there is no budget.",
        examples=[100000],
    )


@router.get("/api/stats/account", response_model=Account, responses=ERRORS)
@from_memory_or_in_a_thread
def account(
    request: Request,
    customer_id: AuthenticatedCustomer,
    asked: Annotated[Period, Depends(no_period)],
) -> Response:
    """Who asks, under which policy and limits, and from when on there is data."""
    with answering(request, customer_id, asked) as answer:
        row = answer.rows("account")[0]
        retention_from, data_from = answer.retention_from, row["data_from"]
        return answer.json(
            Account(
                customer_id=customer_id,
                customer_name=row["customer_name"],
                tier=row["tier"],
                time_zone=answer.own_time_zone,
                retention_days=row["retention_days"],
                retention_from=retention_from,
                data_from=data_from,
                covered_from=data_from and max(data_from, retention_from or data_from),
                first_event_at=in_utc(row["first_event_at"]),
                newest_event_at=in_utc(row["newest_event_at"]),
                requests_per_minute=answer.requests_per_minute,
                daily_token_budget=row["daily_token_budget"],
            )
        )
