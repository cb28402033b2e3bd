"""Any question of the declared metrics: its rows, what is in none of them, and a comparison."""

import json
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import duckdb
from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from api.errors import MOST_ROWS, InvalidParameter, TooLarge
from api.metrics.declared import ATTRIBUTE, Metric, declared
from api.metrics.ratio import Ratio, Shown
from api.parameters import AuthenticatedCustomer, Period, period
from api.questions.buckets import Granularity
from api.questions.engine import value_of
from api.questions.question import (
    COMPUTED,
    MOST_DAYS_OF_QUARTER_HOURS,
    Answer,
    Figures,
    Group,
    Question,
)
from api.stats.asked_question import (
    DIMENSIONS,
    OF_ATTRIBUTE,
    QUESTION_PARAMETERS,
    Asked,
    asked_question,
    filter_parameters,
)
from api.stats.changes import change_percent
from api.stats.responses import ERRORS, Answering, answering, from_memory_or_in_a_thread
from api.windows import ONE_DAY, Comparing, Window

router = APIRouter(tags=["any question"])

PARQUET = "application/vnd.apache.parquet"


class Cells(BaseModel):
    """The answer to a question."""

    metrics: list[str] = Field(description="As asked for.", examples=[["total_tokens"]])
    group_by: list[str] = Field(description="As asked for.", examples=[["model"]])
    granularity: Granularity = Field(description="How long a bucket is.", examples=["day"])
    tz: str = Field(description="Time zone of dates and labels.", examples=["Asia/Kathmandu"])
    start: str = Field(description="First date, YYYY-MM-DD.", examples=["2025-11-04"])
    end: str = Field(description="Last date, YYYY-MM-DD.", examples=["2025-12-03"])
    rows: list[dict[str, Any]] = Field(
        description="`bucket` (null without a granularity), each dimension of `group_by`, each "
        "metric; by bucket, then by rank. Without `group_by` every bucket is there, with it those "
        "with data.",
        examples=[[{"bucket": "2025-12-03", "model": "claude-sonnet-4", "total_tokens": 18500}]],
    )
    other: list[dict[str, Any]] = Field(
        description="What is in no row, summed, by bucket; distinct counts are null in it.",
        examples=[[{"bucket": "2025-12-03", "total_tokens": 1200}]],
    )
    totals: dict[str, Any] = Field(
        description="The metrics over all that the filters leave.",
        examples=[{"total_tokens": 19700}],
    )
    row_count: int = Field(description="Number of `rows`.", examples=[1])
    truncated: bool = Field(
        description=f"Whether there were more than {MOST_ROWS} groups and no limit was given: the "
        "rest is in `other`.",
        examples=[False],
    )
    cost_complete: bool | None = Field(
        description="Whether the costs in it are complete; null if none was asked for.",
        examples=[None],
    )
    attribute_truncated: bool = Field(
        default=False,
        description="Only with an attribute: whether some of its values are counted as `(other)`.",
        examples=[False],
    )
    change_reason: str | None = Field(
        default=None,
        description="Only with `compare`: why no figure can be compared; null if they can.",
        examples=[None],
    )


@router.get(
    "/api/stats/query",
    response_model=Cells,
    responses=ERRORS,
    openapi_extra={"parameters": filter_parameters()},
)
@from_memory_or_in_a_thread
def query(
    request: Request,
    customer_id: AuthenticatedCustomer,
    asked: Annotated[
        Period,
        Depends(period(default_days=30, parameters=QUESTION_PARAMETERS, repeatable=DIMENSIONS)),
    ],
    question: Annotated[Asked, Depends(asked_question)],
) -> Response:
    """Any metrics in any groups and buckets, with what is in no row and the totals beside them."""
    quarter_hours = question.granularity is Granularity.quarter_hour
    if quarter_hours and asked.days > MOST_DAYS_OF_QUARTER_HOURS:
        raise TooLarge(asked.days * 96, "quarter hours", MOST_DAYS_OF_QUARTER_HOURS * 96)
    with answering(
        request, customer_id, asked, question=question.fingerprint, compared_with=question.compare
    ) as answer:
        if question.attribute is not None:
            _refuse_unknown_attribute(question.attribute, answer)
        answered = answer.engine.answer(question.over(answer.window))
        rows = list(_rows(question, answered))
        if question.format == "csv":
            columns = _columns(question)
            return answer.csv("query", columns, rows)
        if question.format == "parquet":
            return answer.written(_parquet(question, rows), PARQUET, "query.parquet")
        first = asked.end - ONE_DAY * (asked.days - 1)
        body: dict[str, Any] = {
            "metrics": [metric.name for metric in question.metrics],
            "group_by": list(question.shown_groups),
            "granularity": question.granularity,
            "tz": asked.tz,
            "start": first.isoformat(),
            "end": asked.end.isoformat(),
            "rows": rows,
            "other": [
                {"bucket": answered.labels[bucket], **_shown(question, answered.others[bucket])}
                for bucket in sorted(answered.others)
            ],
            "totals": _shown(question, answered.totals),
            "row_count": len(rows),
            "truncated": question.limit is None
            and answered.group_count - question.offset > MOST_ROWS,
            "cost_complete": _is_cost_complete(question, answer),
        }
        if question.attribute is not None:
            body["attribute_truncated"] = _is_truncated(question, answer)
        if question.compare is not Comparing.none:
            body |= _compared(question, answer, body, answered)
        text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
        return answer.written(text.encode(), "application/json")


def _refuse_unknown_attribute(attribute: str, answer: Answering) -> None:
    names = [name for (name,) in answer.engine.reference("names_of_attributes")]
    if attribute not in names:
        allowed = ", ".join(f"{OF_ATTRIBUTE}{name}" for name in names)
        raise InvalidParameter(
            "group_by",
            f"of attributes {allowed}" if names else "no attribute: AGENTSTATS_ATTRIBUTES is empty",
            problem=f"or a filter has {OF_ATTRIBUTE}{attribute[:64]}, which no usage is summed by",
        )


def _is_truncated(question: Asked, answer: Answering) -> bool:
    """Whether some of the values that the question may be about are counted as `(other)`."""
    filters = dict(question.filters)
    if set(filters.get(ATTRIBUTE, ("any",))) <= {"(none)"}:
        return False
    others = Question(
        answer.window,
        measures=("event_count",),
        filters={**filters, ATTRIBUTE: ("(other)",)},
        attribute=question.attribute,
        with_totals=False,
    )
    return any(answer.engine.answer(others).cells.get((), {}).get(0, {"": 0}).values())


def _is_cost_complete(question: Asked, answer: Answering) -> bool | None:
    """Whether all that the filters leave has a price, and nothing a fee besides; None where no cost
    is asked for."""
    if all(metric.kind != "money" for metric in question.metrics):
        return None
    # A class or type of failure has no fee of its own: that of its event is in no cost either.
    filters = {name: values for name, values in question.filters if name != "token_class"}
    measures = ("unpriced_tokens", "left_out_fee_events")
    known = declared()
    dimensions = [name for name in filters if known.dimensions[name].time is None]
    if any(known.family_of(each, dimensions) is None for each in measures):
        filters = {}
    answered = answer.engine.answer(
        Question(
            answer.window,
            measures=measures,
            filters=filters,
            attribute=question.attribute if ATTRIBUTE in filters else None,
            with_totals=False,
        )
    )
    return not any(answered.cells.get((), {}).get(0, answered.nothing).values())


def _columns(question: Asked) -> list[str]:
    return ["bucket", *question.shown_groups, *(metric.name for metric in question.metrics)]


def _rows(question: Asked, answer: Answer) -> Iterator[dict[str, Any]]:
    """By bucket, then by rank."""
    of_buckets: list[list[tuple[Group, Figures]]] = [[] for _ in answer.labels]
    for group in answer.groups:
        for bucket, figures in answer.cells[group].items():
            of_buckets[bucket].append((group, figures))
    for label, cells in zip(answer.labels, of_buckets, strict=True):
        for group, figures in cells:
            dimensions = dict(zip(question.shown_groups, group, strict=True))
            yield {"bucket": label, **dimensions, **_shown(question, figures)}


def _shown(question: Asked, figures: Figures) -> dict[str, Shown]:
    return {metric.name: value_of(metric, figures) for metric in question.metrics}


def _compared(
    question: Asked, answer: Answering, body: dict[str, Any], answered: Answer
) -> dict[str, Any]:
    """`previous` and `change_percent` of the totals, and of rows of the whole period or of a date.

    A date is compared with the one that has its place in the earlier span.
    """
    reason, current, previous = answer.compared_windows()
    dimensions = {**dict(question.filters)}
    if len(question.group_by) == 1 and question.group_by[0] not in dimensions:
        # Of these groups alone: there may be very many others.
        dimensions[question.group_by[0]] = tuple(group[0] for group in answered.groups)
    every = replace(question, limit=None, offset=0, filters=tuple(dimensions.items()))
    whole = replace(question, group_by=(), granularity=Granularity.all, limit=None, offset=0)
    whole = replace(whole, order_by=question.metrics[0].name)
    is_by_row = question.granularity in (Granularity.all, Granularity.day)
    of_now, of_before = (_of_span(answer, whole, window) for window in (current, previous))

    def change(now: Figures | None, before: Figures | None) -> dict[str, Any]:
        return {
            "previous": None if before is None else _shown(question, before),
            "change_percent": {
                metric.name: None if now is None or before is None else _change(metric, before, now)
                for metric in question.metrics
            },
        }

    def cell(of_span: Answer | None, group: Group, bucket: int) -> Figures | None:
        """A group without data in a comparable span had nothing."""
        if of_span is None or bucket >= len(of_span.labels):
            return None
        return of_span.cells.get(group, {}).get(bucket) or of_span.nothing

    totals = body["totals"] | change(
        None if of_now is None else of_now.totals, None if of_before is None else of_before.totals
    )
    if is_by_row:
        now, before = (_of_span(answer, every, window) for window in (current, previous))
        places = {label: bucket for bucket, label in enumerate(answered.labels)}
        for row in body["rows"]:
            group = tuple(row[name] for name in question.shown_groups)
            bucket = places[row["bucket"]]
            row |= change(cell(now, group, bucket), cell(before, group, bucket))
    return {"totals": totals, "change_reason": reason}


def _of_span(answer: Answering, question: Asked, window: Window | None) -> Answer | None:
    """All groups of a span; None without one."""
    if window is None:
        return None
    answered = answer.engine.answer(question.over(window))
    if answered.group_count > MOST_ROWS:
        raise TooLarge(answered.group_count, "groups to compare", MOST_ROWS)
    return answered


def _change(metric: Metric, before: Figures, now: Figures) -> Ratio:
    """By how much a metric changed, from its values before they were rounded."""

    def parts(figures: Figures) -> tuple[int, int] | None:
        if metric.kind in COMPUTED:
            return metric.exactly(figures)  # type: ignore[arg-type]  # sums are whole numbers
        value = value_of(metric, figures)
        return None if value is None else (int(value), 1)

    of_before, of_now = parts(before), parts(now)
    if of_before is None or of_now is None:
        return None
    return change_percent(of_before, of_now)


def _parquet(question: Asked, rows: list[dict[str, Any]]) -> bytes:
    """The rows as a Parquet file: whole numbers as bigint, others as double."""
    known = declared()
    types = {"bucket": "varchar"}
    types |= {
        shown: "bigint" if known.dimensions[name].is_integer else "varchar"
        for name, shown in zip(question.group_by, question.shown_groups, strict=True)
    }
    for metric in question.metrics:
        types[metric.name] = "double" if metric.digits else "bigint"
        if metric.kind == "money":
            types[metric.name] = "decimal(38, 6)"
        elif any((row[metric.name] or 0) >= 2**63 for row in rows):
            types[metric.name] = "decimal(38, 0)"
    columns = ", ".join(
        f'unnest(${number}::{kind}[]) as "{name}"'
        for number, (name, kind) in enumerate(types.items(), start=1)
    )
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as connection:
        file = Path(folder) / "rows.parquet"
        connection.execute(
            f"copy (select {columns}) to '{file}' (format parquet, compression zstd)",
            [[row[name] for row in rows] for name in types],
        )
        return file.read_bytes()
