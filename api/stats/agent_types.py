"""Agent types side by side: performance, compliance, satisfaction."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from api.parameters import (
    LIST_PARAMETERS,
    AuthenticatedCustomer,
    Limit,
    Offset,
    Period,
    period,
)
from api.snapshots import Row
from api.stats.degradation import RATING_DEGRADES_AT_LOAD, degrades_at_load
from api.stats.responses import ERRORS, answering, from_memory_or_in_a_thread
from api.stats.shapes import Page

router = APIRouter(tags=["agent types"])


class Performance(BaseModel):
    """How much and how fast."""

    total_messages: int = Field(description="Agent responses.", examples=[850])
    total_tokens: int = Field(description="Input and output tokens.", examples=[325000])
    avg_response_time_ms: int | None = Field(
        description="Mean response time of the messages that have one, in ms; null if none has.",
        examples=[1720],
    )
    tokens_per_second: float | None = Field(
        description="Output tokens per second of response time, 1 decimal; null if there are none.",
        examples=[95.5],
    )
    avg_tokens_per_message: int | None = Field(
        description="Input and output tokens per message; null without messages.", examples=[382]
    )


class Compliance(BaseModel):
    """How safe."""

    toxic_rate_percent: float | None = Field(
        description="Toxic messages per 100 messages, percent, 2 decimals; null without messages.",
        examples=[0.24],
    )
    pii_redactions_per_message: float | None = Field(
        description="Redactions per message, 3 decimals; null without messages.", examples=[0.132]
    )


class Satisfaction(BaseModel):
    """How well liked."""

    feedback_count: int = Field(description="Ratings.", examples=[156])
    average_rating: float | None = Field(
        description="Mean rating in stars, 1 to 5, 2 decimals; null without ratings.",
        examples=[4.3],
    )
    rating_degrades_at_load: int | None = Field(description=RATING_DEGRADES_AT_LOAD, examples=[6])


class ComparedAgentType(BaseModel):
    """One agent type."""

    agent_type_id: int = Field(description="Id of the agent type.", examples=[5])
    name: str = Field(
        description="Newest name; `Agent type 5` if it has none.", examples=["Customer Support"]
    )
    model: str | None = Field(
        description="Model of most messages in the period, else the type's own; null if none.",
        examples=["claude-sonnet-4"],
    )
    performance: Performance = Field(description="How much and how fast.")
    compliance: Compliance = Field(description="How safe.")
    satisfaction: Satisfaction = Field(description="How well liked.")


class AgentTypeComparison(BaseModel):
    """All agent types side by side."""

    period_days: int = Field(description="Number of dates asked for.", examples=[30])
    agent_types: list[ComparedAgentType] = Field(
        description="Each agent type with a message, scan or rating, most messages first."
    )


@router.get(
    "/api/stats/agent-types/comparison", response_model=AgentTypeComparison, responses=ERRORS
)
@from_memory_or_in_a_thread
def agent_type_comparison(
    request: Request,
    customer_id: AuthenticatedCustomer,
    asked: Annotated[Period, Depends(period(default_days=30, parameters=LIST_PARAMETERS))],
    limit: Limit = None,
    offset: Offset = 0,
) -> Response:
    """Performance, compliance and satisfaction of each agent type, most messages first."""
    with answering(request, customer_id, asked, page=Page(limit, offset)) as answer:
        return answer.json(compared(asked.days, answer.list_of("agent_type_comparison")))


def compared(days: int, rows: list[Row]) -> AgentTypeComparison:
    """The comparison of the agent types that these rows are of."""
    for row in rows:
        row["rating_degrades_at_load"] = degrades_at_load(row)
    return AgentTypeComparison(
        period_days=days,
        agent_types=[
            ComparedAgentType(
                agent_type_id=row["agent_type_id"],
                name=row["name"],
                model=row["model"],
                performance=Performance.model_validate(row),
                compliance=Compliance.model_validate(row),
                satisfaction=Satisfaction.model_validate(row),
            )
            for row in rows
        ],
    )
