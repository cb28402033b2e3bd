"""How long data is kept, and what was deleted because of it."""

from datetime import UTC, date, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from api.parameters import AuthenticatedCustomer, Period, period
from api.stats.responses import ERRORS, answering, in_utc

router = APIRouter(tags=["retention"])


class Deletion(BaseModel):
    """What one run deleted from one table."""

    table: str = Field(
        description="What the rows were deleted from.", examples=["agent_usage_events"]
    )
    cutoff: datetime | None = Field(
        description="Everything older was deleted; null where all was, by an erasure. UTC.",
        examples=["2025-09-04T00:00:00Z"],
    )
    rows_deleted: int = Field(description="Rows deleted.", examples=[5120])
    oldest_deleted: datetime | None = Field(
        description="When the oldest of them occurred, UTC; null if they have no time.",
        examples=["2025-09-03T00:00:04Z"],
    )
    newest_deleted: datetime | None = Field(
        description="When the newest of them occurred, UTC; null if they have no time.",
        examples=["2025-09-03T23:59:12Z"],
    )
    deleted_at: datetime = Field(
        description="When they were deleted, UTC.", examples=["2025-12-03T03:00:41Z"]
    )


class Retention(BaseModel):
    """The customer's policy, and what was deleted in the period."""

    period_days: int = Field(description="Number of dates asked for.", examples=[30])
    tier: str | None = Field(
        description="Tier of the customer; null if none is known.", examples=["pro"]
    )
    retention_days: int | None = Field(
        description="Days that are kept before today; null without a valid policy: then nothing "
        "is deleted.",
        examples=[90],
    )
    covered_from: date = Field(
        description="First UTC date that is shown, as in X-Covered-From.", examples=["2025-09-04"]
    )
    deletion_count: int = Field(description="Deletions in the period.", examples=[30])
    deletions: list[Deletion] = Field(
        description="The newest 1,000 of them, newest first. Their times are those of deletion, so "
        "retention does not shorten the period."
    )


@router.get("/api/stats/retention", response_model=Retention, responses=ERRORS)
def retention(
    request: Request,
    customer_id: AuthenticatedCustomer,
    asked: Annotated[Period, Depends(period(default_days=30))],
) -> Response:
    """How long data is kept, from which date on it is there, and what was deleted in the period."""
    with answering(request, customer_id, asked) as answer:
        policy = answer.rows("retention_policy") or [{"tier": None, "retention_days": None}]
        deletions = answer.rows("retention_deletions", window=answer.whole_window)
        return answer.json(
            Retention(
                period_days=asked.days,
                **policy[0],
                covered_from=answer.covered_from,
                deletion_count=deletions[0]["deletion_count"] if deletions else 0,
                deletions=[
                    Deletion(
                        table=row["table_name"],
                        cutoff=in_utc(row["cutoff"]),
                        rows_deleted=row["rows_deleted"],
                        oldest_deleted=in_utc(row["oldest_deleted"]),
                        newest_deleted=in_utc(row["newest_deleted"]),
                        deleted_at=row["deleted_at"].replace(tzinfo=UTC),
                    )
                    for row in deletions
                ],
            )
        )
