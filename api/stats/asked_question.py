"""The parameters of a question, checked: what there is, and what goes together."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

from fastapi import Query, Request

from api.errors import InvalidParameter
from api.metrics.declared import ATTRIBUTE, Dimension, Metric, declared
from api.parameters import PERIOD_PARAMETERS, ComparedWith, Limit, Offset
from api.questions.buckets import Granularity
from api.questions.question import Question
from api.windows import Comparing, Window

MOST_METRICS = 12
MOST_GROUPS = 3
MOST_VALUES = 100
OFFERED = {name: each for name, each in declared().dimensions.items() if not each.is_named}
"""Dimensions that are asked for by their own names."""
OF_ATTRIBUTE = f"{ATTRIBUTE}."
DIMENSIONS = (*OFFERED, OF_ATTRIBUTE)
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
    attribute: str | None = None
    """The attribute that the dimension `attribute` is about."""

    def over(self, window: Window) -> Question:
        """The question about a window."""
        return Question(
            window=window,
            metrics=self.metrics,
            group_by=self.group_by,
            granularity=self.granularity,
            filters=dict(self.filters),
            attribute=self.attribute,
            order_by=self.order_by,
            descending=self.descending,
            limit=self.limit,
            offset=self.offset,
        )

    @property
    def shown_groups(self) -> tuple[str, ...]:
        """The dimensions of the groups as they were asked for."""
        return tuple(
            f"{OF_ATTRIBUTE}{self.attribute}" if name == ATTRIBUTE else name
            for name in self.group_by
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
        for dimension in OFFERED.values()
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
            description=f"Up to {MOST_GROUPS} dimensions, with commas between; `attribute.<name>` "
            "is one, and a filter too.",
            examples=["model"],
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
    filtered = [name for name in request.query_params if _is_of_attribute(name)]
    asked_groups = group_by.split(",") if group_by else []
    attributes = list(dict.fromkeys([*filter(_is_of_attribute, asked_groups), *filtered]))
    if len(attributes) > 1:
        raise InvalidParameter("group_by", "one attribute", problem="has, with filters, several")
    shown = _names("group_by", group_by, [*OFFERED, *attributes], MOST_GROUPS)
    groups = tuple(ATTRIBUTE if name in attributes else name for name in shown)
    if not names:
        raise InvalidParameter("metrics", _one_of(known.metrics))
    filters = tuple(
        (
            ATTRIBUTE if name in attributes else name,
            _values(
                known.dimensions[ATTRIBUTE if name in attributes else name],
                request.query_params.getlist(name),
                name,
            ),
        )
        for name in (*OFFERED, *filtered)
        if name in request.query_params
    )
    _go_together(names, (*groups, *(name for name, _ in filters)))
    descending = order_by.startswith("-") or not order_by
    ordered_by = order_by.removeprefix("-") or names[0]
    if ordered_by not in (*names, *shown):
        raise InvalidParameter(
            "order_by", f"one of {', '.join((*names, *shown))}, with or without -"
        )
    if format not in ("json", "csv", "parquet"):
        raise InvalidParameter("format", "json, csv or parquet")
    return Asked(
        metrics=tuple(known.metrics[name] for name in names),
        group_by=groups,
        granularity=granularity,
        filters=filters,
        order_by=ATTRIBUTE if ordered_by in attributes else ordered_by,
        descending=descending,
        limit=limit,
        offset=offset,
        compare=compare,
        format=format,
        attribute=attributes[0].removeprefix(OF_ATTRIBUTE) if attributes else None,
    )


def _as_asked(dimension: str) -> str:
    return f"{OF_ATTRIBUTE}<name>" if dimension == ATTRIBUTE else dimension


def _is_of_attribute(name: str) -> bool:
    return name.startswith(OF_ATTRIBUTE)


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


def _values(dimension: Dimension, texts: list[str], name: str) -> tuple[Any, ...]:
    """Values of a filter. One that the dimension can't have stays out: nothing is like it."""
    if len(texts) > MOST_VALUES:
        raise InvalidParameter(name, f"{MOST_VALUES} values at most")
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
        fitting = [_as_asked(each) for each in known.dimensions_of(metric)]
        asked = [_as_asked(each) for each in dimensions]
        wrong = next((each for each in asked if each not in fitting), None)
        problem = (
            f"has {name}, which does not go with {wrong}"
            if wrong is not None
            else f"has {name}, which does not go with {' and '.join(asked)} at once"
        )
        raise InvalidParameter("metrics", f"{name} with {', '.join(fitting)}", problem=problem)
