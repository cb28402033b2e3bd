"""What there is to ask: every declared metric and dimension."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from api.metrics.declared import declared
from api.parameters import AuthenticatedCustomer, Period, no_period
from api.stats.responses import ERRORS, answering, from_memory_or_in_a_thread

router = APIRouter(tags=["any question"])


class DeclaredMetric(BaseModel):
    """A metric that can be asked for."""

    name: str = Field(description="What it is called in a question.", examples=["total_tokens"])
    unit: str = Field(description="Unit of its values.", examples=["tokens"])
    additive: bool = Field(description="Whether its values add up.", examples=[True])
    definition: str = Field(
        description="What it is.", examples=["Input and output tokens. Σ total_tokens."]
    )
    dimensions: list[str] = Field(
        description="What it can be grouped and filtered by.",
        examples=[["agent_id", "agent_type_id", "model", "hour_of_day", "day_of_week"]],
    )


class DeclaredDimension(BaseModel):
    """Something to group and filter by."""

    name: str = Field(description="What it is called in a question.", examples=["model"])
    description: str = Field(description="What it is.", examples=["The model that answered."])


class Declarations(BaseModel):
    """All that can be asked for."""

    metrics: list[DeclaredMetric] = Field(description="Every metric.")
    dimensions: list[DeclaredDimension] = Field(description="Every dimension.")


@router.get("/api/stats/metrics", response_model=Declarations, responses=ERRORS)
@from_memory_or_in_a_thread
def metrics(
    request: Request,
    customer_id: AuthenticatedCustomer,
    asked: Annotated[Period, Depends(no_period)],
) -> Response:
    """Every metric and dimension that a question may have, and which go together."""
    known = declared()
    with answering(request, customer_id, asked) as answer:
        attributes = [name for (name,) in answer.engine.reference("names_of_attributes")]

        def names_of(dimension: str) -> list[str]:
            if not known.dimensions[dimension].is_named:
                return [dimension]
            return [f"{dimension}.{name}" for name in attributes]

        return answer.json(
            Declarations(
                metrics=[
                    DeclaredMetric(
                        name=metric.name,
                        unit=metric.unit,
                        additive=metric.is_additive,
                        definition=metric.definition,
                        dimensions=[
                            name
                            for dimension in known.dimensions_of(metric)
                            for name in names_of(dimension)
                        ],
                    )
                    for metric in known.metrics.values()
                ],
                dimensions=[
                    DeclaredDimension(name=name, description=each.description)
                    for each in known.dimensions.values()
                    for name in names_of(each.name)
                ],
            )
        )
