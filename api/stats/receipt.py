"""Where a number comes from: its definition, the rows it is made of, and its last recount."""

from datetime import datetime
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from api.errors import InvalidParameter
from api.metrics.declared import Metric, declared
from api.parameters import PERIOD_PARAMETERS, AuthenticatedCustomer, Period, period
from api.questions.engine import value_of
from api.questions.question import Question
from api.stats.responses import ERRORS, answering, in_utc
from api.windows import ONE_DAY

router = APIRouter(tags=["any question"])

RECEIPT_PARAMETERS = ("metric", *PERIOD_PARAMETERS)


class ReceiptRows(BaseModel):
    """What came of the customer's delivered rows of the period, in the metric's streams."""

    accepted: int = Field(
        description="Rows that brought an event, or withdrew one.", examples=[1250]
    )
    duplicates: int = Field(description="Rows of an event that was there.", examples=[12])
    rejected: int = Field(description="Rows that broke a rule.", examples=[3])
    withdrawn: int = Field(
        description="Those of the accepted rows that withdraw an event.", examples=[0]
    )


class Receipt(BaseModel):
    """Where a number comes from."""

    metric: str = Field(description="As asked for.", examples=["total_tokens"])
    value: int | float | str | None = Field(
        description="Its value over the period; money as a text.", examples=[485000]
    )
    definition: str = Field(description="What it is.", examples=["Input and output tokens."])
    snapshot_id: str = Field(
        description="The published file it was read from.", examples=["20260310T110500Z-00000001"]
    )
    data_as_of: datetime | None = Field(
        description="The newest load in that file, UTC.", examples=["2026-03-10T11:00:00Z"]
    )
    files: int | None = Field(
        description="Files that brought the rows; null: a file holds rows of many customers, and "
        "the published file does not say whose.",
        examples=[None],
    )
    rows: ReceiptRows = Field(description="The rows that were delivered.")
    recounted_at: datetime | None = Field(
        description="When the rows were recounted last, UTC; null where that is not known.",
        examples=["2026-03-10T03:00:00Z"],
    )
    recount_difference: int | None = Field(
        description="Rows by which that recount and the marts differ, over the UTC dates that the "
        "period touches; null likewise.",
        examples=[0],
    )
    query: str = Field(
        description="This question with absolute dates and zone: it can be asked again later.",
        examples=["/api/stats/receipt?metric=total_tokens&start=2026-03-04&end=2026-03-10&tz=UTC"],
    )


def streams_of(metric: Metric) -> set[str]:
    """The streams whose events a metric is made of."""
    families = [declared().family_of(measure, ()) for measure in metric.terms()]
    return {family.stream for family in families if family is not None}


@router.get("/api/stats/receipt", response_model=Receipt, responses=ERRORS)
def receipt(
    request: Request,
    customer_id: AuthenticatedCustomer,
    asked: Annotated[Period, Depends(period(default_days=7, parameters=RECEIPT_PARAMETERS))],
    metric: Annotated[
        str,
        Query(
            description="A name of /api/stats/metrics.",
            examples=["total_tokens"],
            json_schema_extra={"enum": list(declared().metrics)},
        ),
    ],
) -> Response:
    """Where a number comes from: its definition, the rows behind it, and its last recount."""
    known = declared().metrics.get(metric)
    if known is None:
        raise InvalidParameter("metric", f"one of {', '.join(declared().metrics)}")
    with answering(request, customer_id, asked, question=metric) as answer:
        figures = answer.engine.answer(Question(answer.window, metrics=(known,))).totals
        streams = streams_of(known)
        rows = [row for row in answer.rows("receipt") if row["stream"] in streams]
        (info,) = answer.rows("snapshot")
        recounted_at = in_utc(info["recounted_at"])
        absolute = {
            "metric": metric,
            "start": (asked.end - ONE_DAY * (asked.days - 1)).isoformat(),
            "end": asked.end.isoformat(),
            "tz": asked.tz,
        }
        return answer.json(
            Receipt(
                metric=metric,
                value=value_of(known, figures),
                definition=known.definition,
                snapshot_id=info["snapshot_id"],
                data_as_of=in_utc(info["data_as_of"]),
                files=None,
                rows=ReceiptRows(
                    accepted=sum(row["accepted"] for row in rows),
                    duplicates=sum(row["duplicates"] for row in rows),
                    rejected=sum(row["rejected"] for row in rows),
                    withdrawn=sum(row["withdrawn"] for row in rows),
                ),
                recounted_at=recounted_at,
                recount_difference=None
                if recounted_at is None
                else sum(row["recount_difference"] for row in rows),
                query=f"{request.url.path}?{urlencode(absolute, safe='/')}",
            )
        )
