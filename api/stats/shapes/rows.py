"""The rows of an answer, from figures: what the shapes have in common."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from api.metrics.declared import declared
from api.questions.buckets import Granularity
from api.questions.engine import Engine, value_of
from api.questions.question import Answer, Figures, Group, Question
from api.snapshots import Row
from api.windows import Window


@dataclass(frozen=True)
class Page:
    """Which groups of a list are asked for: the greatest, or some after them."""

    limit: int | None = None
    offset: int = 0


FIRST_PAGE = Page()


@dataclass(frozen=True)
class Rows:
    """The rows of an answer, and how many there are of them in all."""

    rows: list[Row]
    in_all: int


USAGE = declared().families["usage"].measures


# Sums that the fields of money are made of.
COSTS = ("cost_usd", "unpriced_tokens")


COMPLIANCE = declared().families["compliance"].measures


RATINGS = declared().families["feedback"].measures


def sums_of(engine: Engine, window: Window, measures: tuple[str, ...]) -> Figures:
    """Sums over the window."""
    answer = engine.answer(Question(window, measures=measures, with_totals=False))
    return answer.cells[()][0]


def by(
    engine: Engine,
    window: Window,
    page: Page,
    dimension: str,
    measures: tuple[str, ...],
    order_by: str,
    counted_by: tuple[str, ...] = (),
) -> Answer:
    """Sums by one dimension, the greatest first, of the groups that have some of `counted_by`."""
    return engine.answer(
        Question(
            window,
            measures=measures,
            group_by=(dimension,),
            order_by=order_by,
            limit=page.limit,
            offset=page.offset,
            counted_by=counted_by,
            with_totals=False,
        )
    )


def by_date(
    engine: Engine,
    window: Window,
    measures: tuple[str, ...],
    fields: Callable[[Figures], Row],
) -> Rows:
    answer = engine.answer(
        Question(window, measures=measures, granularity=Granularity.day, with_totals=False)
    )
    cells = answer.cells[()]
    rows = [{"label": label, **fields(cells[day])} for day, label in enumerate(answer.labels)]
    return Rows(rows, len(rows))


def listed(answer: Answer, row: Callable[[Group, Figures], Row]) -> Rows:
    rows = [row(group, answer.cells[group][0]) for group in answer.groups]
    return Rows(rows, answer.group_count)


def metric_of(figures: Figures, name: str) -> Any:
    return value_of(declared().metrics[name], figures)


def metrics_of(figures: Figures, names: Sequence[str]) -> Row:
    return {name: metric_of(figures, name) for name in names}


NAMED = {
    "agent_id": ("agent_name", "Agent", "names_of_agents"),
    "agent_type_id": ("agent_type_name", "Agent type", "names_of_agent_types"),
}
"""Of a dimension of ids: the field of the name, what one without a name is, and the query."""


def named_by(engine: Engine, dimension: str, groups: Sequence[Group]) -> Callable[[Any], Row]:
    """The first fields of a row: the value of its dimension, and the name if that is an id."""
    if dimension not in NAMED:
        return lambda value: {dimension: value}
    field, kind, query = NAMED[dimension]
    names = engine.names(query, [group[0] for group in groups])

    def named(number: int) -> Row:
        name = names.get(number)
        return {dimension: number, field: f"{kind} {number}" if name is None else name}

    return named
