"""The parameters of a question, checked: what there is, and what goes together."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

from fastapi import Query, Request

from api.errors import InvalidParameter
from api.metrics.declared import Dimension, Metric, declared
from api.parameters import PERIOD_PARAMETERS, ComparedWith, Limit, Offset
from api.questions.buckets import Granularity
from api.questions.question import Question
from api.windows import Comparing, Window

MOST_METRICS = 12
MOST_GROUPS = 3
MOST_VALUES = 100
DIMENSIONS = tuple(declared().dimensions)
QUESTION_PARAMETERS = (
    "metrics",
    "group_by",
    "granularity",
    *PERIOD_PARAMETERS,
    "order_by",
    "limit",
    "offset",
    "compare",
    "format",
)


@dataclass(frozen=True)
class Asked:
    """A question as it was put, checked."""

    metrics: tuple[Metric, ...]
    group_by: tuple[str, ...]
    granularity: Granularity
    filters: tuple[tuple[str, tuple[Any, ...]], ...]
    order_by: str
    descending: bool
    limit: int | None
    offset: int
    compare: Comparing
    format: str

    def over(self, window: Window) -> Question:
        """The question about a window."""
        return Question(
            window=window,
            metrics=self.metrics,
            group_by=self.group_by,
            granularity=self.granularity,
            filters=dict(self.filters),
            order_by=self.order_by,
            descending=self.descending,
            limit=self.limit,
            offset=self.offset,
        )

    @property
    def fingerprint(self) -> str:
        """All that makes it another question, but its period."""
        return repr(replace(self, metrics=())) + ",".join(metric.name for metric in self.metrics)


def filter_parameters() -> list[dict[str, Any]]:
    """The filters as OpenAPI has them: one for each dimension."""
    return [
        {
            "name": dimension.name,
            "in": "query",
            "required": False,
            "description": f"Only where it has one of these values. {dimension.description}",
            "schema": {
                "type": "array",
                "maxItems": MOST_VALUES,
                "items": {"type": "string"},
            },
            "style": "form",
            "explode": True,
        }
        for dimension in declared().dimensions.values()
    ]


def asked_question(
    request: Request,
    metrics: Annotated[
        str,
        Query(
            description=f"1 to {MOST_METRICS} names of /api/stats/metrics, with commas between.",
            examples=["total_tokens,total_messages"],
        ),
    ],
    group_by: Annotated[
        str,
        Query(
            description=f"Up to {MOST_GROUPS} dimensions, with commas between.", examples=["model"]
        ),
    ] = "",
    granularity: Annotated[
        Granularity, Query(description="How long a bucket is, in `tz`.")
    ] = Granularity.all,
    order_by: Annotated[
        str,
        Query(
            description="A metric or dimension that is asked for, with `-` before it from the "
            "greatest down. Default: the first metric, greatest first. Nulls come last, ties by "
            "the dimensions, ascending.",
            examples=["-total_tokens"],
        ),
    ] = "",
    limit: Limit = None,
    offset: Offset = 0,
    compare: ComparedWith = Comparing.none,
    format: Annotated[
        str,
        Query(
            description="`csv` or `parquet`: the rows only, numbers as numbers.",
            json_schema_extra={"enum": ["json", "csv", "parquet"]},
        ),
    ] = "json",
) -> Asked:
    """The question that the parameters put. Raises InvalidParameter, which says what goes."""
    known = declared()
    names = _names("metrics", metrics, known.metrics, MOST_METRICS)
    groups = _names("group_by", group_by, known.dimensions, MOST_GROUPS)
    if not names:
        raise InvalidParameter("metrics", _one_of(known.metrics))
    filters = tuple(
        (name, _values(known.dimensions[name], request.query_params.getlist(name)))
        for name in known.dimensions
        if name in request.query_params
    )
    _go_together(names, (*groups, *(name for name, _ in filters)))
    descending = order_by.startswith("-") or not order_by
    ordered_by = order_by.removeprefix("-") or names[0]
    if ordered_by not in (*names, *groups):
        raise InvalidParameter(
            "order_by", f"one of {', '.join((*names, *groups))}, with or without -"
        )
    if format not in ("json", "csv", "parquet"):
        raise InvalidParameter("format", "json, csv or parquet")
    return Asked(
        metrics=tuple(known.metrics[name] for name in names),
        group_by=groups,
        granularity=granularity,
        filters=filters,
        order_by=ordered_by,
        descending=descending,
        limit=limit,
        offset=offset,
        compare=compare,
        format=format,
    )


def _one_of(names: Any) -> str:
    return f"names among {', '.join(names)}"


def _names(parameter: str, text: str, known: Any, most: int) -> tuple[str, ...]:
    """The names between commas, each known and once."""
    names = tuple(text.split(",")) if text else ()
    for name in names:
        if name not in known:
            raise InvalidParameter(parameter, _one_of(known), problem=f"has {name[:64]!r} in it")
        if names.count(name) > 1:
            raise InvalidParameter(parameter, "each name once", problem=f"has {name} twice")
    if len(names) > most:
        raise InvalidParameter(parameter, f"{most} names at most")
    return names


def _values(dimension: Dimension, texts: list[str]) -> tuple[Any, ...]:
    """Values of a filter. One that the dimension can't have stays out: nothing is like it."""
    if len(texts) > MOST_VALUES:
        raise InvalidParameter(dimension.name, f"{MOST_VALUES} values at most")
    if not dimension.is_integer:
        return tuple(dict.fromkeys(texts))
    numbers = [int(text) for text in texts if text.isascii() and text.isdecimal()]
    canonical = [number for number in numbers if str(number) in texts and number < 2**63]
    return tuple(dict.fromkeys(canonical))


def _go_together(names: Sequence[str], dimensions: Sequence[str]) -> None:
    known = declared()
    for name in names:
        metric = known.metrics[name]
        if known.goes_with(metric, dimensions):
            continue
        fitting = known.dimensions_of(metric)
        wrong = next((each for each in dimensions if each not in fitting), None)
        problem = (
            f"has {name}, which does not go with {wrong}"
            if wrong is not None
            else f"has {name}, which does not go with {' and '.join(dimensions)} at once"
        )
        raise InvalidParameter("metrics", f"{name} with {', '.join(fitting)}", problem=problem)
