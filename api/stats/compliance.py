"""Toxic messages and redacted personal data."""

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
from api.stats.changes import Change, Figure, count
from api.stats.groups import AgentTypeGroup
from api.stats.responses import ERRORS, answering, from_memory_or_in_a_thread
from api.stats.shapes import Page
from api.windows import Comparing

router = APIRouter(tags=["compliance"])

TOXIC_RATE = (
    "Toxic messages per 100 messages, scanned or not, percent, 2 decimals; null without messages. "
    "Of the messages that were not scanned none is toxic here: read it beside scanned_messages."
)
SCANNED_MESSAGES = (
    "Messages that were scanned at least once: only they can be toxic or have a redaction. Over "
    "total_messages it is the coverage of the rates."
)


class PiiRedactions(BaseModel):
    """Redactions of personal data."""

    total: int = Field(description="Redactions of all types.", examples=[147])
    by_type: dict[str, int] = Field(
        description="Redactions of each entity type that has any, most first, then by name.",
        examples=[{"EMAIL_ADDRESS": 62, "PHONE_NUMBER": 45, "PERSON": 28, "CREDIT_CARD": 12}],
    )


class ComplianceOfPeriod(BaseModel):
    """The fields of a summary."""

    period_days: int = Field(description="Number of dates asked for.", examples=[30])
    total_messages: int = Field(description="Agent responses, scanned or not.", examples=[1250])
    toxic_messages: int = Field(description="Scanned messages with a toxic scan.", examples=[3])
    toxic_rate_percent: float | None = Field(description=TOXIC_RATE, examples=[0.24])
    pii_redactions: PiiRedactions = Field(description="Redactions of personal data.")
    messages_with_pii: int = Field(
        description="Scanned messages with at least one redaction.", examples=[89]
    )
    pii_rate_percent: float | None = Field(
        description="Messages with a redaction per 100 messages, scanned or not, percent, "
        "2 decimals; null without messages.",
        examples=[7.12],
    )
    scanned_messages: int = Field(description=SCANNED_MESSAGES, examples=[1180])


class ComplianceSummary(Change, ComplianceOfPeriod):
    """Content safety of the whole period."""


CHANGING = {
    "total_messages": count("total_messages"),
    "toxic_messages": count("toxic_messages"),
    "toxic_rate_percent": Figure("toxic_rate_percent", "toxic_messages", "total_messages"),
    "pii_redactions": count("pii_redactions_total"),
    "messages_with_pii": count("messages_with_pii"),
    "pii_rate_percent": Figure("pii_rate_percent", "messages_with_pii", "total_messages"),
    "scanned_messages": count("scanned_messages"),
}
"""The figures of the summary that can be compared."""


class AgentTypeCompliance(AgentTypeGroup):
    """Content safety of one agent type."""

    total_messages: int = Field(description="Agent responses, scanned or not.", examples=[850])
    toxic_messages: int = Field(description="Scanned messages with a toxic scan.", examples=[2])
    toxic_rate_percent: float | None = Field(description=TOXIC_RATE, examples=[0.24])
    pii_redactions_total: int = Field(description="Redactions of all types.", examples=[112])
    pii_per_message: float | None = Field(
        description="Redactions per message, scanned or not, 3 decimals; null without messages.",
        examples=[0.132],
    )
    scanned_messages: int = Field(description=SCANNED_MESSAGES, examples=[805])


class ComplianceByAgentType(BaseModel):
    """Content safety of each agent type."""

    period_days: int = Field(description="Number of dates asked for.", examples=[30])
    agent_types: list[AgentTypeCompliance] = Field(
        description="Each agent type with a message or a scan, most messages first."
    )


@router.get("/api/stats/compliance/summary", response_model=ComplianceSummary, responses=ERRORS)
@from_memory_or_in_a_thread
def compliance_summary(
    request: Request,
    customer_id: AuthenticatedCustomer,
    asked: Annotated[Period, Depends(period(default_days=30, parameters=COMPARED_PARAMETERS))],
    compare: ComparedWith = Comparing.none,
) -> Response:
    """Toxic messages and redactions of the whole period, and their change if that is asked."""
    with answering(request, customer_id, asked, compared_with=compare) as answer:
        row = answer.rows("compliance_summary")[0]
        answer.say_if_truncated(len(row["entity_types"]), row.pop("rows_in_all"))
        redactions = PiiRedactions(
            total=row.pop("pii_redactions_total"),
            by_type=dict(zip(row.pop("entity_types"), row.pop("redactions"), strict=True)),
        )
        return answer.json(
            ComplianceSummary(
                period_days=asked.days,
                pii_redactions=redactions,
                **row,
                **answer.change("compliance_summary", CHANGING),
            )
        )


@router.get(
    "/api/stats/compliance/by-agent-type",
    response_model=ComplianceByAgentType,
    responses=ERRORS,
)
@from_memory_or_in_a_thread
def compliance_by_agent_type(
    request: Request,
    customer_id: AuthenticatedCustomer,
    asked: Annotated[Period, Depends(period(default_days=30, parameters=LISTED_TABLE_PARAMETERS))],
    format: TableFormat = Format.json,
    limit: Limit = None,
    offset: Offset = 0,
) -> Response:
    """Toxic messages and redactions of each agent type, most messages first."""
    with answering(
        request, customer_id, asked, written_as=format, page=Page(limit, offset)
    ) as answer:
        rows = answer.list_of("compliance_by_agent_type")
        if format is Format.csv:
            columns = list(AgentTypeCompliance.model_fields)
            return answer.csv("compliance-by-agent-type", columns, rows)
        return answer.json(
            ComplianceByAgentType(
                period_days=asked.days,
                agent_types=[AgentTypeCompliance(**row) for row in rows],
            )
        )
