"""Star ratings, and how they go with load."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from api.parameters import (
    COMPARED_PARAMETERS,
    LISTED_TABLE_PARAMETERS,
    AuthenticatedCustomer,
    ComparedWith,
    Format,
    Limit,
    Offset,
    Period,
    TableFormat,
    period,
)
from api.snapshots import Row
from api.stats.changes import Change, Figure, count
from api.stats.degradation import RATING_DEGRADES_AT_LOAD, degrades_at_load
from api.stats.groups import AgentTypeGroup
from api.stats.responses import ERRORS, answering, from_memory_or_in_a_thread
from api.stats.shapes import Page
from api.windows import Comparing

router = APIRouter(tags=["feedback"])

AVERAGE_RATING = "Mean rating in stars, 1 to 5, 2 decimals; null without ratings."


class FeedbackOfPeriod(BaseModel):
    """The guide's fields of a summary."""

    period_days: int = Field(description="Number of dates asked for.", examples=[30])
    total_feedback: int = Field(description="Ratings.", examples=[234])
    average_rating: float | None = Field(description=AVERAGE_RATING, examples=[4.2])
    rating_distribution: dict[str, int] = Field(
        description="Ratings with each number of stars, always all five.",
        examples=[{"1": 5, "2": 12, "3": 28, "4": 89, "5": 100}],
    )


class FeedbackSummary(Change, FeedbackOfPeriod):
    """Ratings of the whole period."""


CHANGING = {
    "total_feedback": count("total_feedback"),
    "average_rating": Figure("average_rating", "rating_sum", "total_feedback"),
}
"""The figures of the summary that can be compared."""


class LoadBucketRating(BaseModel):
    """Ratings given while so many instances of the agent type ran."""

    instances_range: str = Field(description="Running instances.", examples=["1-2"])
    avg_rating: float | None = Field(description=AVERAGE_RATING, examples=[4.5])
    count: int = Field(description="Ratings.", examples=[45])


class RatingByLoad(BaseModel):
    """Ratings by load; those of unknown load are in none of the three."""

    low: LoadBucketRating = Field(description="Few running instances.")
    medium: LoadBucketRating = Field(description="Some running instances.")
    high: LoadBucketRating = Field(description="Many running instances.")


class AgentTypeFeedback(AgentTypeGroup):
    """Ratings of one agent type."""

    total_feedback: int = Field(description="Ratings.", examples=[156])
    average_rating: float | None = Field(description=AVERAGE_RATING, examples=[4.3])
    rating_by_load: RatingByLoad = Field(description="Ratings by running instances.")
    rating_degrades_at_load: int | None = Field(description=RATING_DEGRADES_AT_LOAD, examples=[6])


class FeedbackByAgentType(BaseModel):
    """Ratings of each agent type."""

    period_days: int = Field(description="Number of dates asked for.", examples=[30])
    agent_types: list[AgentTypeFeedback] = Field(
        description="Each agent type with a rating, most ratings first."
    )


CSV_COLUMNS = [
    "agent_type_id",
    "agent_type_name",
    "total_feedback",
    "average_rating",
    *(
        f"{bucket}_{field}"
        for bucket in RatingByLoad.model_fields
        for field in LoadBucketRating.model_fields
    ),
    "rating_degrades_at_load",
]


@router.get("/api/stats/feedback/summary", response_model=FeedbackSummary, responses=ERRORS)
@from_memory_or_in_a_thread
def feedback_summary(
    request: Request,
    customer_id: AuthenticatedCustomer,
    asked: Annotated[Period, Depends(period(default_days=30, parameters=COMPARED_PARAMETERS))],
    compare: ComparedWith = Comparing.none,
) -> Response:
    """Number, mean and distribution of the ratings of the period; their change if asked."""
    with answering(request, customer_id, asked, compared_with=compare) as answer:
        row = answer.rows("feedback_summary")[0]
        return answer.json(
            FeedbackSummary(
                period_days=asked.days,
                total_feedback=row["total_feedback"],
                average_rating=row["average_rating"],
                rating_distribution={
                    str(stars): row[f"rating_{stars}_count"] for stars in range(1, 6)
                },
                **answer.change("feedback_summary", CHANGING),
            )
        )


@router.get(
    "/api/stats/feedback/by-agent-type",
    response_model=FeedbackByAgentType,
    responses=ERRORS,
)
@from_memory_or_in_a_thread
def feedback_by_agent_type(
    request: Request,
    customer_id: AuthenticatedCustomer,
    asked: Annotated[Period, Depends(period(default_days=30, parameters=LISTED_TABLE_PARAMETERS))],
    format: TableFormat = Format.json,
    limit: Limit = None,
    offset: Offset = 0,
) -> Response:
    """Ratings of each agent type, in all and by load, most ratings first."""
    with answering(
        request, customer_id, asked, written_as=format, page=Page(limit, offset)
    ) as answer:
        rows = answer.list_of("feedback_by_agent_type")
        for row in rows:
            row["rating_degrades_at_load"] = degrades_at_load(row)
        if format is Format.csv:
            return answer.csv("feedback-by-agent-type", CSV_COLUMNS, rows)
        return answer.json(
            FeedbackByAgentType(
                period_days=asked.days, agent_types=[_agent_type(row) for row in rows]
            )
        )


def _agent_type(row: Row) -> AgentTypeFeedback:
    return AgentTypeFeedback(
        agent_type_id=row["agent_type_id"],
        agent_type_name=row["agent_type_name"],
        total_feedback=row["total_feedback"],
        average_rating=row["average_rating"],
        rating_by_load=RatingByLoad(
            low=_load_bucket(row, "low"),
            medium=_load_bucket(row, "medium"),
            high=_load_bucket(row, "high"),
        ),
        rating_degrades_at_load=row["rating_degrades_at_load"],
    )


def _load_bucket(row: Row, bucket: str) -> LoadBucketRating:
    return LoadBucketRating(
        instances_range=row[f"{bucket}_instances_range"],
        avg_rating=row[f"{bucket}_avg_rating"],
        count=row[f"{bucket}_count"],
    )
