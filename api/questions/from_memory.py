"""The figures of a question from the customer's rows in memory, where they can give them."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from operator import add

from api.cache.customer_rows import CustomerRows, NotCached, NotCachedYet
from api.metrics.declared import Family, Metric
from api.queries.series import SeriesSource, source_of
from api.questions.buckets import dates_in_buckets
from api.questions.question import Cells, Figures, Group, Plan, no_figures

MOST_SUMS = 200_000
"""Sums that are made in Python for one family; more are left to the database."""
MOST_SUMS_AT_ONCE = 20_000
"""Those that are made on the event loop, in some milliseconds; more are made in a thread."""

_Sums = dict[Group, dict[int, list[int]]]
"""By group and number of the bucket, sums of some measures."""


def cells_from_memory(rows: CustomerRows, plan: Plan) -> Cells:
    """The figures of all groups, wherever there are rows.

    Raises NotCached where memory can't give them, and NotCachedYet where something has to be read
    first, or they take long, and the caller may not wait.
    """
    if not plan.is_of_days or plan.percentiles or plan.counted_families():
        raise NotCached
    if plan.question.attribute is not None:
        raise NotCached
    found: Cells = defaultdict(dict)
    for family, measures in plan.families_of_sums():
        is_complete = len(measures) == len(plan.measures) and not plan.distincts
        for group, buckets in _sums(rows, plan, family, measures, ()).items():
            of_group = found[group]
            for bucket, sums in buckets.items():
                if is_complete:
                    of_group[bucket] = dict(zip(measures, sums, strict=True))
                else:
                    figures = of_group.setdefault(bucket, no_figures(plan))
                    figures.update(zip(measures, sums, strict=True))
    for metric in plan.distincts:
        for group, counts in _distinct(rows, plan, metric).items():
            for bucket, count in counts.items():
                found[group].setdefault(bucket, no_figures(plan))[metric.name] = count
    return found


def _distinct(rows: CustomerRows, plan: Plan, metric: Metric) -> dict[Group, dict[int, int]]:
    """How many values of the counted dimension each group has in each bucket."""
    assert metric.distinct is not None
    family = plan.family_of(metric.numerator, metric.distinct)
    found: dict[Group, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    sums_of_values = _sums(rows, plan, family, (metric.numerator,), (metric.distinct,))
    for (*group, _value), buckets in sums_of_values.items():
        for bucket, (measure,) in buckets.items():
            found[tuple(group)][bucket] += measure > 0
    return found


def _sums(
    rows: CustomerRows,
    plan: Plan,
    family: Family,
    measures: tuple[str, ...],
    more: tuple[str, ...],
) -> _Sums:
    """Sums of a family by the groups of the question and `more` dimensions of the family."""
    dimensions = (*plan.dimensions, *more)
    # What only counts needs no more than what it counts, and whether there are rows at all.
    present = family.measures[0]
    needed = tuple(dict.fromkeys((present, *measures)))
    source = source_of(family, dimensions, needed if more else None)
    numbers = [source.measures.index(name) for name in (present, *measures)]
    filters = [
        (source.groups.index(name), frozenset(values))
        for name, values in plan.question.filters.items()
        if name in source.groups
    ]
    keys = [
        None if name == "day_of_week" else source.groups.index(name)
        for name in (*plan.question.group_by, *more)
    ]
    dates = 1 if plan.is_one_span else plan.question.window.days
    sums_to_make = rows.group_count(source) * dates * len(numbers)
    if sums_to_make > MOST_SUMS:
        raise NotCached
    if sums_to_make > MOST_SUMS_AT_ONCE and not rows.may_wait:
        raise NotCachedYet
    found: _Sums = defaultdict(dict)
    if plan.is_one_span:
        for group, sums in rows.sums_of(source, plan.question.window).items():
            if sums[numbers[0]] and not any(group[n] not in values for n, values in filters):
                key = tuple([group[n] for n in keys if n is not None])
                _add(found[key], 0, [sums[n] for n in numbers[1:]])
        return found
    for group, buckets, weekdays, columns in _dates_of(rows, plan, source, numbers):
        if any(group[n] not in values for n, values in filters):
            continue
        if weekdays is None:
            of_group = found[tuple([group[n] for n in keys if n is not None])]
            for bucket, present, *date_sums in zip(buckets, *columns, strict=True):
                if present:
                    _add(of_group, bucket, date_sums)
            continue
        for bucket, weekday, present, *date_sums in zip(buckets, weekdays, *columns, strict=True):
            if present and weekday is not None:
                key = tuple([weekday if n is None else group[n] for n in keys])
                _add(found[key], bucket, date_sums)
    return {group: of_group for group, of_group in found.items() if of_group}


def _add(to: dict[int, list[int]], bucket: int, sums: list[int]) -> None:
    before = to.get(bucket)
    to[bucket] = sums if before is None else list(map(add, before, sums))


def _dates_of(
    rows: CustomerRows, plan: Plan, source: SeriesSource, numbers: Sequence[int]
) -> Iterator[tuple[Group, Sequence[int], Sequence[int | None] | None, list[list[int]]]]:
    """By group of the source: for each date its bucket, day of the week, and some sums.

    The days of the week are None as long as none is asked for; one that is filtered out is None.
    """
    question = plan.question
    asked = question.window
    _, buckets = dates_in_buckets(asked, question.granularity)
    weekdays: list[int | None] | None = None
    if plan.by_day:
        first = asked.end.toordinal() - asked.days
        allowed = set(question.filters.get("day_of_week", range(1, 8)))
        of_dates = [(first + step) % 7 + 1 for step in range(asked.days)]
        weekdays = [day if day in allowed else None for day in of_dates]
    for group, columns in rows.days_of(source, asked, numbers).items():
        yield group, buckets, weekdays, columns


def totals_from_memory(rows: CustomerRows, plan: Plan) -> Figures:
    """The figures of everything that the filters leave. Raises what `cells_from_memory` raises."""
    whole = Plan(plan.declared, plan.question.without_groups())
    return cells_from_memory(rows, whole).get((), {}).get(0) or no_figures(whole)
