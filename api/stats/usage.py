"""Messages, tokens, active agents and response times."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field, TypeAdapter

from api.parameters import (
    COMPARED_PARAMETERS,
    LISTED_TABLE_PARAMETERS,
    TABLE_PARAMETERS,
    AuthenticatedCustomer,
    ComparedWith,
    Format,
    Limit,
    Offset,
    Period,
    TableFormat,
    period,
)
from api.stats.changes import Change, Figure, count
from api.stats.groups import AgentGroup, AgentTypeGroup, ModelGroup
from api.stats.responses import ERRORS, answering, from_memory_or_in_a_thread
from api.stats.shapes import Page
from api.windows import Comparing

router = APIRouter(tags=["usage"])

AVG_RESPONSE_TIME = (
    "Mean response time of the messages that have one, in ms, rounded to a whole number; "
    "null if none has one."
)


class Cost(BaseModel):
    """What it cost."""

    cost_usd: str | None = Field(
        description="What the tokens cost by the price book, in US dollars with 6 decimals; null "
        "where there are tokens and none has a price.",
        examples=["12.345600"],
    )
    unpriced_tokens: int = Field(
        description="Tokens without a price: they are in no cost.", examples=[0]
    )


class UsageOfPeriod(BaseModel):
    """The guide's fields of a summary."""

    period_days: int = Field(description="Number of dates asked for.", examples=[7])
    total_messages: int = Field(description="Agent responses.", examples=[1250])
    total_tokens: int = Field(description="Input and output tokens.", examples=[485000])
    total_input_tokens: int = Field(description="Input tokens.", examples=[320000])
    total_output_tokens: int = Field(description="Output tokens.", examples=[165000])
    active_agents: int = Field(description="Agents with at least one message.", examples=[5])
    avg_response_time_ms: int | None = Field(description=AVG_RESPONSE_TIME, examples=[1850])


class UsageSummary(Change, Cost, UsageOfPeriod):
    """Usage of the whole period."""


CHANGING = {
    **{
        name: count(name)
        for name in (
            "total_messages",
            "total_tokens",
            "total_input_tokens",
            "total_output_tokens",
            "active_agents",
        )
    },
    "avg_response_time_ms": Figure(
        "avg_response_time_ms", "response_time_ms_sum", "response_time_count"
    ),
    "cost_usd": Figure("cost_usd", "cost_units"),
    "unpriced_tokens": count("unpriced_tokens"),
}
"""The figures of the summary that can be compared."""


class TokensAndTime(BaseModel):
    """How much was used, and how long it took."""

    message_count: int = Field(description="Agent responses.", examples=[850])
    total_tokens: int = Field(description="Input and output tokens.", examples=[325000])
    total_input_tokens: int = Field(description="Input tokens.", examples=[210000])
    total_output_tokens: int = Field(description="Output tokens.", examples=[115000])
    avg_response_time_ms: int | None = Field(description=AVG_RESPONSE_TIME, examples=[1720])


# Fields come in the order of the bases from last to first: what the group is, then its usage.
class AgentUsage(Cost, TokensAndTime, AgentGroup):
    """Usage of one agent."""


class AgentTypeUsage(Cost, TokensAndTime, AgentTypeGroup):
    """Usage of one agent type."""


class ModelSpeed(TokensAndTime, ModelGroup):
    """How much one model was used, and how fast it was."""

    tokens_per_second: float | None = Field(
        description="Output tokens per second of response time, over the messages with a response "
        "time above 0; 1 decimal; null if there are none.",
        examples=[95.5],
    )


class ModelUsage(Cost, ModelSpeed):
    """Usage of one model."""


class UsageTimeline(BaseModel):
    """Usage day by day, oldest first: lists of equal length without gaps."""

    labels: list[str] = Field(
        description="Dates in `tz`, YYYY-MM-DD.",
        examples=[["2025-12-01", "2025-12-02", "2025-12-03"]],
    )
    messages: list[int] = Field(description="Agent responses.", examples=[[45, 52, 48]])
    tokens: list[int] = Field(
        description="Input and output tokens.", examples=[[18500, 21200, 19800]]
    )
    cost_usd: list[str | None] = Field(
        description="What the tokens cost by the price book, in US dollars with 6 decimals; null "
        "where there are tokens and none has a price.",
        examples=[["0.351900", "0.402100", "0.377300"]],
    )


AGENTS = TypeAdapter(list[AgentUsage])
AGENT_TYPES = TypeAdapter(list[AgentTypeUsage])
MODELS = TypeAdapter(list[ModelUsage])


@router.get("/api/stats/usage/summary", response_model=UsageSummary, responses=ERRORS)
@from_memory_or_in_a_thread
def usage_summary(
    request: Request,
    customer_id: AuthenticatedCustomer,
    asked: Annotated[Period, Depends(period(default_days=7, parameters=COMPARED_PARAMETERS))],
    compare: ComparedWith = Comparing.none,
) -> Response:
    """Usage of the whole period in a few numbers, and how they changed if that is asked."""
    with answering(request, customer_id, asked, compared_with=compare) as answer:
        row = answer.rows("usage_summary")[0]
        change = answer.change("usage_summary", CHANGING)
        return answer.json(UsageSummary(period_days=asked.days, **row, **change))


@router.get("/api/stats/usage/by-agent", response_model=list[AgentUsage], responses=ERRORS)
@from_memory_or_in_a_thread
def usage_by_agent(
    request: Request,
    customer_id: AuthenticatedCustomer,
    asked: Annotated[Period, Depends(period(default_days=7, parameters=LISTED_TABLE_PARAMETERS))],
    format: TableFormat = Format.json,
    limit: Limit = None,
    offset: Offset = 0,
) -> Response:
    """Usage of each agent with a message, most tokens first."""
    with answering(
        request, customer_id, asked, written_as=format, page=Page(limit, offset)
    ) as answer:
        rows = answer.list_of("usage_by_agent")
        if format is Format.csv:
            return answer.csv("usage-by-agent", list(AgentUsage.model_fields), rows)
        return answer.json_list(AGENTS, [AgentUsage(**row) for row in rows])


@router.get("/api/stats/usage/timeline", response_model=UsageTimeline, responses=ERRORS)
@from_memory_or_in_a_thread
def usage_timeline(
    request: Request,
    customer_id: AuthenticatedCustomer,
    asked: Annotated[Period, Depends(period(default_days=30, parameters=TABLE_PARAMETERS))],
    format: TableFormat = Format.json,
) -> Response:
    """Messages, tokens and cost of each date, oldest first; a date without usage has zeros."""
    with answering(request, customer_id, asked, written_as=format) as answer:
        rows = answer.rows("usage_timeline")
        if format is Format.csv:
            return answer.csv("usage-timeline", ["label", "messages", "tokens", "cost_usd"], rows)
        return answer.json(
            UsageTimeline(
                labels=[row["label"] for row in rows],
                messages=[row["messages"] for row in rows],
                tokens=[row["tokens"] for row in rows],
                cost_usd=[row["cost_usd"] for row in rows],
            )
        )


@router.get("/api/stats/usage/by-model", response_model=list[ModelUsage], responses=ERRORS)
@from_memory_or_in_a_thread
def usage_by_model(
    request: Request,
    customer_id: AuthenticatedCustomer,
    asked: Annotated[Period, Depends(period(default_days=7, parameters=LISTED_TABLE_PARAMETERS))],
    format: TableFormat = Format.json,
    limit: Limit = None,
    offset: Offset = 0,
) -> Response:
    """Usage of each model with a message, most tokens first."""
    with answering(
        request, customer_id, asked, written_as=format, page=Page(limit, offset)
    ) as answer:
        rows = answer.list_of("usage_by_model")
        if format is Format.csv:
            return answer.csv("usage-by-model", list(ModelUsage.model_fields), rows)
        return answer.json_list(MODELS, [ModelUsage(**row) for row in rows])


@router.get("/api/stats/usage/by-agent-type", response_model=list[AgentTypeUsage], responses=ERRORS)
@from_memory_or_in_a_thread
def usage_by_agent_type(
    request: Request,
    customer_id: AuthenticatedCustomer,
    asked: Annotated[Period, Depends(period(default_days=7, parameters=LISTED_TABLE_PARAMETERS))],
    format: TableFormat = Format.json,
    limit: Limit = None,
    offset: Offset = 0,
) -> Response:
    """Usage of each agent type with a message, most tokens first."""
    with answering(
        request, customer_id, asked, written_as=format, page=Page(limit, offset)
    ) as answer:
        rows = answer.list_of("usage_by_agent_type")
        if format is Format.csv:
            return answer.csv("usage-by-agent-type", list(AgentTypeUsage.model_fields), rows)
        return answer.json_list(AGENT_TYPES, [AgentTypeUsage(**row) for row in rows])
