"""A question about one customer, and what it takes to answer it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from api.errors import MOST_ROWS
from api.metrics.declared import Declared, Family, Metric
from api.metrics.ratio import Ratio
from api.questions.buckets import MADE_OF_DAYS, Buckets, Granularity, buckets_of, dates_in_buckets
from api.windows import Window

MOST_DAYS_OF_QUARTER_HOURS = 92

COMPUTED = ("sum", "ratio", "money")
"""Kinds of metrics that follow from sums."""


@dataclass(frozen=True)
class Question:
    """Figures over a window, in groups and buckets, the greatest groups first."""

    window: Window
    metrics: tuple[Metric, ...] = ()
    measures: tuple[str, ...] = ()
    """Sums that are asked for themselves, beside those that metrics are computed from."""
    group_by: tuple[str, ...] = ()
    granularity: Granularity = Granularity.all
    filters: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    """Values allowed, by dimension."""
    attribute: str | None = None
    """The attribute that the dimension `attribute` is about."""
    order_by: str | None = None
    """A metric, measure or dimension that is asked for; None: the first metric or measure."""
    descending: bool = True
    limit: int | None = None
    """How many groups have rows; None for as many as may be. The others are summed up."""
    offset: int = 0
    counted_by: tuple[str, ...] = ()
    """Measures that are asked for of which a group must have some to be one; none: any data."""
    most_rows: int = MOST_ROWS
    """Rows that the answer may have."""
    with_totals: bool = True
    """Whether the totals are asked for; if not, those of the answer are none."""

    @property
    def ordered_by(self) -> str:
        """What the groups are ranked by."""
        if self.order_by is not None:
            return self.order_by
        return self.metrics[0].name if self.metrics else self.measures[0]

    def without_groups(self) -> "Question":
        """The same figures of the whole window, in one group."""
        return replace(
            self,
            group_by=(),
            granularity=Granularity.all,
            order_by=None,
            descending=True,
            limit=None,
            offset=0,
        )


Figures = dict[str, Ratio]
"""Sums by measure; distinct counts and percentiles by metric."""


Group = tuple[Any, ...]
"""The values of the dimensions that a question groups by."""
Cells = dict[Group, dict[int, Figures]]
"""Figures by group and number of the bucket, wherever there is data."""


@dataclass(frozen=True)
class Answer:
    """The figures of a question."""

    labels: tuple[str | None, ...]
    """Of the buckets, oldest first; None for the whole window."""
    groups: list[Group]
    """Those that have rows, in order."""
    group_count: int
    """How many groups there are in all."""
    cells: Cells
    """Of the groups that have rows."""
    others: dict[int, Figures]
    """What is in no row, by number of the bucket; only where there is something."""
    totals: Figures
    nothing: Figures
    """Those of a group without data."""

    @property
    def row_count(self) -> int:
        """How many rows it has: for each bucket without groups, for each with data with them."""
        return sum(map(len, self.cells.values()))


class Plan:
    """What a question needs: sums, of which families, in which parts of the window."""

    def __init__(self, declared: Declared, question: Question) -> None:
        self.declared = declared
        self.question = question
        asked = (*question.group_by, *question.filters)
        times = {declared.dimensions[name].time for name in asked} - {None}
        self.time_dimensions = tuple(
            name for name in question.group_by if declared.dimensions[name].time is not None
        )
        self.by_hour = "hour" in times
        self.by_day = "day" in times
        self.dimensions = tuple(
            dict.fromkeys(name for name in asked if declared.dimensions[name].time is None)
        )
        """Dimensions that the rows of the marts have, of groups and filters."""
        self.distincts = tuple(each for each in question.metrics if each.kind == "distinct")
        self.percentiles = tuple(each for each in question.metrics if each.kind == "percentile")
        self.whole_of = tuple(
            dict.fromkeys(
                name
                for metric in question.metrics
                for name in metric.whole_of
                if name in self.dimensions
            )
        )
        """Dimensions that some denominators are not split by."""
        own: list[str] = []
        others: list[str] = []
        for metric in question.metrics:
            if metric.kind not in COMPUTED:
                continue
            for measure in metric.needed_measures:
                is_split = not set(metric.whole_of) & set(self.dimensions)
                (own if is_split or measure != metric.denominator else others).append(measure)
        self.measures = tuple(dict.fromkeys([*own, *question.measures]))
        """Sums to make of the question's own rows."""
        self.whole_measures = tuple(dict.fromkeys(others))
        """Sums to make of rows that are not split by `whole_of`."""

    @cached_property
    def buckets(self) -> Buckets:
        """The parts of the window; those that the filters leave out are not among them."""
        question = self.question
        found = buckets_of(
            question.window, question.granularity, by_hour=self.by_hour, by_day=self.by_day
        )
        parts = found.parts
        for name in ("hour_of_day", "day_of_week"):
            if name in question.filters:
                allowed = set(question.filters[name])
                parts = tuple(part for part in parts if getattr(part, name) in allowed)
        return Buckets(found.labels, parts)

    @cached_property
    def labels(self) -> tuple[str | None, ...]:
        """Of the buckets, oldest first."""
        if self.question.granularity in MADE_OF_DAYS:
            return dates_in_buckets(self.question.window, self.question.granularity)[0]
        return self.buckets.labels

    def counted_families(self) -> tuple[Family, ...]:
        """The families of what a customer has very many of, as end users, of those it counts."""
        families = [
            self.family_of(metric.numerator, str(metric.distinct)) for metric in self.distincts
        ]
        return tuple(family for family in families if family.counted)

    @property
    def is_of_days(self) -> bool:
        """Whether each part is one date in the zone of the question, or all of them."""
        return self.question.granularity in MADE_OF_DAYS and not self.by_hour

    @property
    def is_one_span(self) -> bool:
        """Whether the figures are of the whole window at once."""
        return self.question.granularity is Granularity.all and not self.by_hour and not self.by_day

    def family_of(self, measure: str, *more: str) -> Family:
        """The family that has a measure or list by the dimensions of the question, and `more`."""
        dimensions = (*self.dimensions, *more)
        family = self.declared.family_of(measure, dimensions)
        assert family is not None, f"{measure} by {dimensions} was not refused"
        return family

    def families_of_sums(self) -> list[tuple[Family, tuple[str, ...]]]:
        """The families that sums come from, each with the measures to take from it."""
        return _by_family([(self.family_of(name), name) for name in self.measures])

    def families(self) -> list[tuple[Family, tuple[str, ...]]]:
        """All families to read, each with the measures and lists to take from it."""
        needed = [(self.family_of(name), name) for name in self.measures]
        for metric in self.distincts:
            needed.append(
                (self.family_of(metric.numerator, str(metric.distinct)), metric.numerator)
            )
        for metric in self.percentiles:
            needed.append((self.family_of(metric.numerator), metric.numerator))
        return _by_family(needed)


def _by_family(needed: list[tuple[Family, str]]) -> list[tuple[Family, tuple[str, ...]]]:
    measures: dict[str, dict[str, None]] = {}
    for family, measure in needed:
        measures.setdefault(family.name, {})[measure] = None
    families = {family.name: family for family, _ in needed}
    return [(families[name], tuple(of_family)) for name, of_family in measures.items()]


def no_figures(plan: Plan) -> Figures:
    """The figures of a plan where there is no data."""
    nothing: Figures = dict.fromkeys((*plan.measures, *plan.whole_measures), 0)
    nothing |= {each.name: 0 for each in plan.distincts}
    return nothing | {each.name: None for each in plan.percentiles}
