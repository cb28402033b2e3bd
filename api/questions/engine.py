"""Answers questions: from memory where that has the rows, else by one statement."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from api.cache.customer_rows import CustomerRows, NotCached, NotCachedYet
from api.errors import MOST_ROWS, Forbidden, TooLarge
from api.metrics.declared import Declared, Metric
from api.metrics.ratio import rounded_units
from api.queries.engine import Queries
from api.questions.buckets import MADE_OF_DAYS, Granularity, dates_in_buckets
from api.questions.from_memory import cells_from_memory, totals_from_memory
from api.questions.question import (
    COMPUTED,
    Answer,
    Cells,
    Figures,
    Group,
    Plan,
    Question,
    no_figures,
)
from api.questions.statement import Statement
from api.snapshots import Lease
from api.windows import Window

SHARED_REFERENCES = (
    "load_buckets",
    "names_of_agents",
    "names_of_agent_types",
    "names_of_attributes",
)
"""Queries that may be read for some agents: of names, those of ids in the answer are shown."""
MOST_COUNTED_AT_ONCE = 300_000
"""Rows of people, of a date each, whose buckets one statement counts: it takes up to 100 MB."""


@dataclass(frozen=True)
class Engine:
    """Answers questions about one customer from one snapshot."""

    declared: Declared
    queries: Queries
    lease: Lease
    customer_id: int
    rows: CustomerRows
    may_wait: bool
    """Whether something may be read; if not, NotCachedYet is raised instead."""
    agent_ids: tuple[int, ...] | None = None
    """The agents that every figure is narrowed to; None for all of the customer's."""

    def answer(self, question: Question) -> Answer:
        """The figures of a question.

        Raises TooLarge where it has more rows than an answer may have, NotCachedYet where something
        has to be read and the caller may not wait, Forbidden where the figures cannot be narrowed,
        and what Lease.tuples raises.
        """
        question = self._narrowed(question)
        plan = Plan(self.declared, question)
        with suppress(NotCached):
            if _is_ranked_by_distinct(plan):
                raise NotCached  # distinct counts of buckets do not add up to that of the window
            cells = _counted(plan, cells_from_memory(self.rows, plan))
            totals = no_figures(plan)
            if question.with_totals:
                totals = totals_from_memory(self.rows, plan)
            return self._cut(plan, cells, totals)
        return self.answer_by_statement(question)

    def answer_by_statement(self, question: Question) -> Answer:
        """The same, never from memory but for what denominators that are not split need."""
        question = self._narrowed(question)
        plan = Plan(self.declared, question)
        if not self.may_wait:
            raise NotCachedYet
        if not plan.whole_measures:
            if self._counts_too_many_at_once(plan):
                return _filled(plan, self._queried_by_parts(plan))
            return _filled(plan, self._queried(plan))
        every = Plan(
            self.declared,
            replace(
                question,
                metrics=(),
                measures=plan.measures,
                order_by=None,
                descending=True,
                limit=None,
                offset=0,
            ),
        )
        queried = self._queried(every)
        if queried.group_count > MOST_ROWS:
            raise TooLarge(queried.group_count, "groups to compare", MOST_ROWS)
        return self._cut(plan, queried.cells, queried.totals)

    def cells_in_memory(self, question: Question) -> Cells | None:
        """The figures of all groups from memory; None where it can't give them."""
        question = self._narrowed(question)
        with suppress(NotCached):
            return cells_from_memory(self.rows, Plan(self.declared, question))
        return None

    def first_event_at(self) -> datetime | None:
        """The quarter hour of the first event that is kept of the agents narrowed to, in UTC
        without an offset; None if there is none."""
        assert self.agent_ids is not None, "of a whole customer the account says it"
        if not self.may_wait:
            raise NotCachedYet
        [(first,)] = self.queries.tuples_of(
            self.lease,
            self.queries.sql("first_event_of_agents"),
            customer_id=self.customer_id,
            parameters={"agent_ids": list(self.agent_ids)},
        )
        found: datetime | None = first
        return found

    def _narrowed(self, question: Question) -> Question:
        """The question about the agents that there is access to, of those it asks about.

        Raises Forbidden where a figure in it cannot be split by agent.
        """
        if self.agent_ids is None:
            return question
        allowed = set(self.agent_ids)
        asked = question.filters.get("agent_id", self.agent_ids)
        kept = tuple(value for value in asked if value in allowed)
        narrowed = replace(question, filters={**question.filters, "agent_id": kept})
        dimensions = (*narrowed.group_by, *narrowed.filters)
        fixed = [name for name in dimensions if self.declared.dimensions[name].time is None]
        for metric in narrowed.metrics:
            if not self.declared.goes_with(metric, dimensions):
                raise Forbidden(f"{metric.name} cannot be narrowed to agents here")
        for measure in narrowed.measures:
            if self.declared.family_of(measure, fixed) is None:
                raise Forbidden(f"{measure} cannot be narrowed to agents here")
        return narrowed

    def _may_read(self, name: str) -> None:
        if self.agent_ids is not None and name not in SHARED_REFERENCES:
            raise Forbidden(f"{name} is about the customer as a whole")

    def queried(self, name: str, window: Window) -> Iterator[tuple[Any, ...]]:
        """The rows of one of the written queries about a window; Forbidden for some agents."""
        self._may_read(name)
        if not self.may_wait:
            raise NotCachedYet
        return self.queries.tuples_of(
            self.lease, self.queries.sql(name), customer_id=self.customer_id, window=window
        )

    def reference(self, name: str) -> Sequence[tuple[Any, ...]]:
        """The rows of a written query that asks for no window, from memory if they fit."""
        self._may_read(name)
        with suppress(NotCached):
            return self.rows.rows(name)
        if not self.may_wait:
            raise NotCachedYet
        return list(self.queries.tuples(self.lease, name, customer_id=self.customer_id))

    def reference_of(self, name: str, ids: Sequence[int]) -> Sequence[tuple[Any, ...]]:
        """The same, of some ids, which are the first column."""
        self._may_read(name)
        with suppress(NotCached):
            return self.rows.rows(name)
        if not self.may_wait:
            raise NotCachedYet
        of_all = self.queries.sql(name)
        return list(
            self.queries.tuples_of(
                self.lease,
                f"select * from ({of_all}) as named (id) where list_contains($ids::bigint[], id)",
                customer_id=self.customer_id,
                parameters={"ids": list(ids)},
            )
        )

    def names(self, name: str, ids: Sequence[int]) -> dict[Any, Any]:
        """Names by id, of these ids at least."""
        return {row[0]: row[1] for row in self.reference_of(name, ids)}

    def _queried(self, plan: Plan) -> Answer:
        statement = Statement(plan)
        cells: Cells = defaultdict(dict)
        others: dict[int, Figures] = {}
        groups: list[tuple[int, Group]] = []
        totals = no_figures(plan)
        group_count, row_count = 0, 0
        first = 5 + len(plan.question.group_by)
        figures_of = statement.columns[first:]
        for row in self.queries.tuples_of(
            self.lease,
            statement.sql,
            customer_id=self.customer_id,
            parameters=statement.parameters,
        ):
            is_total, bucket, place, of_groups, of_rows = row[:5]
            group, figures = row[5:first], dict(zip(figures_of, row[first:], strict=True))
            row_count = of_rows
            if is_total:
                totals = figures
                # Without any row, no group was counted.
                group_count = of_groups or 0
            elif place is None:
                others[bucket] = figures
            else:
                if group not in cells:
                    groups.append((place, group))
                cells[group][bucket] = figures
        most = plan.question.most_rows
        if row_count > most:
            raise TooLarge(row_count, "rows", most)
        ordered = [group for _, group in sorted(groups, key=lambda each: each[0])]
        return Answer(plan.labels, ordered, group_count, cells, others, totals, no_figures(plan))

    def _counts_too_many_at_once(self, plan: Plan) -> bool:
        """Whether there are more people in the buckets of the question than one statement may count
        in the memory that it has, and the question can be asked a part of the window at a time."""
        question = plan.question
        if plan.percentiles or question.granularity is Granularity.all:
            return False
        rows = 0
        for mart in {mart for family in plan.counted_families() for mart in family.daily}:
            [(count,)] = self.queries.tuples_of(
                self.lease,
                f"select count(*) from marts.{mart} where customer_id = $customer_id"
                " and occurred_date >= $first_date and occurred_date <= $last_date",
                customer_id=self.customer_id,
                parameters={
                    "first_date": question.window.from_instant.date(),
                    "last_date": question.window.to_instant.date(),
                },
            )
            rows += count
        return rows > MOST_COUNTED_AT_ONCE

    def _queried_by_parts(self, plan: Plan) -> Answer:
        """The figures of a question by one statement for each bucket, or each date of shorter ones,
        and one for the whole window."""
        question = replace(
            plan.question,
            order_by=plan.question.ordered_by,
            limit=None,
            offset=0,
            most_rows=MOST_ROWS,
        )
        whole = self._queried(Plan(self.declared, replace(question, granularity=Granularity.all)))
        if whole.group_count > MOST_ROWS:
            raise TooLarge(whole.group_count, "groups to compare", MOST_ROWS)
        is_of_days = question.granularity in MADE_OF_DAYS
        of_dates = dates_in_buckets(
            question.window, question.granularity if is_of_days else Granularity.day
        )[1]
        numbers = {label: number for number, label in enumerate(plan.labels)}
        cells: Cells = defaultdict(dict)
        for first, last in _runs(of_dates):
            part = replace(question, window=question.window.of_numbered_dates(first, last))
            if is_of_days:
                part = replace(part, granularity=Granularity.all)
            answered = self._queried(Plan(self.declared, part))
            for group, buckets in answered.cells.items():
                for bucket, figures in buckets.items():
                    label = answered.labels[bucket]
                    cells[group][of_dates[first] if is_of_days else numbers[label]] = figures
        of_window = {group: buckets[0] for group, buckets in whole.cells.items()}
        return ranked(plan, cells, whole.totals, None, of_window)

    def _cut(self, plan: Plan, cells: Cells, totals: Figures) -> Answer:
        """The answer, from the figures of all groups."""
        wholes = self._wholes(plan) if plan.whole_measures else None
        return _filled(plan, ranked(plan, cells, totals, wholes))

    def _wholes(self, plan: Plan) -> Answer:
        """The denominators that are not split by some dimensions, by the others."""
        question = plan.question
        wholes = self.answer(
            Question(
                window=question.window,
                measures=plan.whole_measures,
                group_by=tuple(name for name in question.group_by if name not in plan.whole_of),
                granularity=question.granularity,
                filters={
                    name: values
                    for name, values in question.filters.items()
                    if name not in plan.whole_of
                },
            )
        )
        if wholes.group_count > MOST_ROWS:
            raise TooLarge(wholes.group_count, "groups to compare", MOST_ROWS)
        return wholes


def _counted(plan: Plan, cells: Cells) -> Cells:
    """Without the groups that have nothing of what groups are counted by."""
    names = plan.question.counted_by
    if not names:
        return cells
    return {
        group: buckets
        for group, buckets in cells.items()
        if any(part[name] for part in buckets.values() for name in names)
    }


def _is_ranked_by_distinct(plan: Plan) -> bool:
    question = plan.question
    return (
        bool(question.group_by)
        and not plan.is_one_span
        and any(each.name == question.ordered_by for each in plan.distincts)
    )


def _runs(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    """First and last index of each run of equal numbers."""
    first = 0
    for index, number in enumerate(numbers):
        if index + 1 == len(numbers) or numbers[index + 1] != number:
            yield first, index
            first = index + 1


def ranked(
    plan: Plan,
    cells: Cells,
    totals: Figures,
    wholes: Answer | None,
    of_windows: Mapping[Group, Figures] | None = None,
) -> Answer:
    """The greatest groups of all, and the sums of the others.

    `wholes` has the denominators that are not split by `plan.whole_of`, `of_windows` the figures of
    each group over the whole window, where they are not those of its buckets added up.
    """
    question = plan.question
    kept = [n for n, name in enumerate(question.group_by) if name not in plan.whole_of]

    def whole_of(groups: Iterable[Group], bucket: int | None) -> Figures:
        """What is not split, of some groups: in one bucket, or of the window."""
        if wholes is None:
            return {}
        sums: Figures = dict.fromkeys(plan.whole_measures, 0)
        for key in {tuple([group[number] for number in kept]) for group in groups}:
            of_key = wholes.cells.get(key, {})
            parts = of_key.values() if bucket is None else filter(None, [of_key.get(bucket)])
            for part in parts:
                _add(sums, part, plan.whole_measures)
        return sums

    def of_window(group: Group) -> Figures:
        if of_windows is not None:
            return of_windows[group]
        if wholes is None and plan.is_one_span:
            return cells[group][0]
        sums = no_figures(plan)
        for part in cells[group].values():
            _add(sums, part, (*plan.measures, *(each.name for each in plan.distincts)))
        return sums | whole_of([group], None)

    if not question.group_by:
        cells = {(): cells.get((), {})}
    order = sorted(cells) if question.group_by else [()]
    order = _in_order(plan, order, of_window)
    stop = None if question.limit is None else question.offset + question.limit
    chosen = order[question.offset : stop]
    if question.limit is None:
        chosen = chosen[: question.most_rows]
    shown = set(chosen)
    others: dict[int, Figures] = {}
    left_out = [group for group in order if group not in shown]
    for group in left_out:
        for bucket, part in cells[group].items():
            _add(others.setdefault(bucket, no_figures(plan)), part, plan.measures)
    for bucket, figures in others.items():
        figures.update(whole_of(left_out, bucket))
    chosen_cells = {group: cells[group] for group in chosen}
    if wholes is not None:
        for group, of_group in chosen_cells.items():
            for bucket, part in of_group.items():
                part.update(whole_of([group], bucket))
    if wholes is not None:
        totals = {**totals, **{name: wholes.totals[name] for name in plan.whole_measures}}
    return Answer(plan.labels, chosen, len(order), chosen_cells, others, totals, no_figures(plan))


def _in_order(
    plan: Plan, groups: list[Group], of_window: Callable[[Group], Figures]
) -> list[Group]:
    """Groups by what the question orders by, nulls last; ties by their values, ascending."""
    question = plan.question
    name = question.ordered_by
    if not question.group_by:
        return groups
    if name in question.group_by:
        number = question.group_by.index(name)
        return sorted(groups, key=lambda group: group[number], reverse=question.descending)
    metric = next((each for each in question.metrics if each.name == name), None)

    def value(group: Group) -> Any:
        figures = of_window(group)
        return figures[name] if metric is None else _ordered_value(metric, figures)

    values = {group: value(group) for group in groups}
    sign = -1 if question.descending else 1
    with_value = [group for group in groups if values[group] is not None]
    without = [group for group in groups if values[group] is None]
    # Groups are in ascending order already, and sorting is stable.
    return sorted(with_value, key=lambda group: sign * (values[group] or 0)) + without


def _filled(plan: Plan, answer: Answer) -> Answer:
    """The answer with every bucket, where there are no groups; others without distinct counts."""
    for figures in answer.others.values():
        figures.update({each.name: None for each in plan.distincts})
    question = plan.question
    if question.group_by or question.offset or question.limit == 0:
        if answer.row_count > question.most_rows:
            raise TooLarge(answer.row_count, "rows", question.most_rows)
        return answer
    if len(answer.labels) > MOST_ROWS:
        raise TooLarge(len(answer.labels), "rows", MOST_ROWS)
    of_all = answer.cells.get((), {})
    buckets = {bucket: of_all.get(bucket) or answer.nothing for bucket in range(len(answer.labels))}
    return replace(answer, groups=[()], group_count=1, cells={(): buckets})


def value_of(metric: Metric, figures: Figures) -> Any:
    """A metric as it is shown, from the figures of a cell."""
    if metric.kind in COMPUTED:
        return metric.of(figures)  # type: ignore[arg-type]  # sums are whole numbers
    return figures[metric.name]


def _ordered_value(metric: Metric, figures: Figures) -> Any:
    """What a metric is ordered by: what is shown, of money without a denominator exactly."""
    if metric.kind != "money":
        return value_of(metric, figures)
    parts = metric.exactly(figures)  # type: ignore[arg-type]  # sums are whole numbers
    if parts is None or parts[1] == 0:
        return None
    return parts[0] if metric.denominator is None else rounded_units(*parts)


def _add(to: Figures, more: Figures, names: Iterable[str]) -> None:
    for name in names:
        to[name] = (to[name] or 0) + (more[name] or 0)
