"""How slow is slow: percentiles of response times."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field, TypeAdapter

from api.parameters import (
    GROUPED_PARAMETERS,
    AuthenticatedCustomer,
    GroupedBy,
    Grouping,
    Limit,
    Offset,
    Period,
    period,
)
from api.stats.groups import AgentGroup, AgentTypeGroup, ModelGroup
from api.stats.responses import ERRORS, answering
from api.stats.shapes import Page

router = APIRouter(tags=["usage"])

PERCENTILE = (
    "Response time in ms that {percent} % of the messages with one do not exceed: number "
    "ceil({percent} * count / 100) in ascending order, within 1 %; null if none has one."
)


class DayGroup(BaseModel):
    """A date of the period."""

    date: str = Field(description="Date in `tz`, YYYY-MM-DD.", examples=["2025-12-01"])


class ResponseTimes(BaseModel):
    """How long the messages took."""

    count: int = Field(description="Messages that have a response time.", examples=[848])
    p50: int | None = Field(description=PERCENTILE.format(percent=50), examples=[1428])
    p90: int | None = Field(description=PERCENTILE.format(percent=90), examples=[2904])
    p95: int | None = Field(description=PERCENTILE.format(percent=95), examples=[3880])
    p99: int | None = Field(description=PERCENTILE.format(percent=99), examples=[8128])
    max: int | None = Field(
        description="Greatest response time in ms, within 1 %; null if no message has one.",
        examples=[21376],
    )


# Fields come in the order of the bases from last to first: what the group is, then its times.
class AgentLatency(ResponseTimes, AgentGroup):
    """Response times of one agent."""


class ModelLatency(ResponseTimes, ModelGroup):
    """Response times of one model."""


class AgentTypeLatency(ResponseTimes, AgentTypeGroup):
    """Response times of one agent type."""


class DayLatency(ResponseTimes, DayGroup):
    """Response times of one date."""


LATENCY: dict[Grouping, tuple[str, TypeAdapter[Any]]] = {
    Grouping.agent: ("usage_latency_by_agent", TypeAdapter(list[AgentLatency])),
    Grouping.model: ("usage_latency_by_model", TypeAdapter(list[ModelLatency])),
    Grouping.agent_type: ("usage_latency_by_agent_type", TypeAdapter(list[AgentTypeLatency])),
    Grouping.day: ("usage_latency_by_day", TypeAdapter(list[DayLatency])),
}
"""The query of each grouping and the shape of its answer."""


@router.get(
    "/api/stats/usage/latency",
    response_model=list[AgentLatency]
    | list[ModelLatency]
    | list[AgentTypeLatency]
    | list[DayLatency],
    responses=ERRORS,
)
def usage_latency(
    request: Request,
    customer_id: AuthenticatedCustomer,
    asked: Annotated[Period, Depends(period(default_days=7, parameters=GROUPED_PARAMETERS))],
    by: GroupedBy = Grouping.agent,
    limit: Limit = None,
    offset: Offset = 0,
) -> Response:
    """Percentiles of the response times of each agent, model or agent type with a message, most
    response times first, or of each date, oldest first."""
    with answering(request, customer_id, asked, grouped_by=by, page=Page(limit, offset)) as answer:
        query, kind = LATENCY[by]
        return answer.json_list(kind, kind.validate_python(answer.list_of(query)))
