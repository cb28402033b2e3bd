"""The one SQL statement of a question: names from the declaration, values as parameters."""

from datetime import datetime
from typing import Any

from api.metrics.declared import ATTRIBUTE, Family, Metric
from api.metrics.ratio import ratio_order_sql, usd_order_sql
from api.questions.question import Plan
from api.windows import without_offset


class Statement:
    """The SQL of a plan and its parameters.

    Its columns are `is_total`, `bucket`, `place` (of the group; null for what has no rows),
    `group_count`, `row_count`, the dimensions of the groups, then sums, distinct counts and
    percentiles. There is one row with `is_total`, at the end.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        question = plan.question
        window = question.window
        self.parameters: dict[str, Any] = {}
        self._groups = question.group_by
        self._uses_dates = plan.is_one_span or (plan.is_of_days and window.is_of_utc_days)
        placed = " union all by name ".join(
            f"({self._placed(family, measures)})" for family, measures in plan.families()
        )
        steps = [f"placed as ({placed})", self._ranked()]
        steps.append(
            "cells_placed as (select placed.*, "
            + (
                "ranked.place, ranked.group_count from placed left join ranked using"
                f" ({', '.join(self._groups)})"
                if self._groups
                else "ranked.place, ranked.group_count from placed cross join ranked"
            )
            + ")"
        )
        columns = [f"min({name}) as {name}" for name in self._groups] + self._sums()
        cells = (
            "cells as (select grouping(bucket) = 1 as is_total, bucket, place,"
            f" max(group_count) as group_count{''.join(f', {column}' for column in columns)}"
            " from cells_placed group by grouping sets ((bucket, place), ()))"
        )
        steps.append(cells)
        percentile_columns = ""
        join = ""
        for measure, metrics in self._percentiles_by_list().items():
            steps += percentile_steps(
                measure, "cells_placed", ("bucket", "place"), metrics, totals=True
            )
            found = f"{measure}_percentiles"
            percentile_columns += "".join(f", {found}.{each.name}" for each in metrics)
            join += (
                f" left join {found} on cells.is_total = {found}.is_total"
                f" and cells.bucket is not distinct from {found}.bucket"
                f" and cells.place is not distinct from {found}.place"
            )
        counted = (
            f"counted as (select cells.*{percentile_columns},"
            " count(cells.place) over () as row_count"
            f" from cells{join})"
        )
        steps.append(counted)
        self.columns = ("is_total", "bucket", "place", "group_count", "row_count", *self._groups)
        self.columns += plan.measures
        self.columns += tuple(each.name for each in (*plan.distincts, *plan.percentiles))
        self.sql = (
            f"with {self._parts()}{', '.join(steps)} select {', '.join(self.columns)} from counted"
            f" where is_total or row_count <= {question.most_rows}"
            " order by is_total, bucket, place nulls last"
        )

    def _sums(self) -> list[str]:
        plan = self._plan
        sums = [f"coalesce(sum({name}), 0)::hugeint as {name}" for name in plan.measures]
        for metric in plan.distincts:
            sums.append(f"{_distinct(metric)} as {metric.name}")
        return sums

    def _parts(self) -> str:
        plan = self._plan
        if plan.is_one_span:
            return ""
        parts = [part for part in plan.buckets.parts if part.start < part.end]
        self.parameters |= {
            "part_starts": [without_offset(part.start) for part in parts],
            "part_ends": [without_offset(part.end) for part in parts],
            "part_buckets": [part.bucket for part in parts],
        }
        columns = [
            "unnest($part_starts::timestamp[]) as part_start",
            "unnest($part_ends::timestamp[]) as part_end",
            "unnest($part_buckets::bigint[]) as bucket",
        ]
        for name in plan.time_dimensions:
            self.parameters[f"part_{name}"] = [getattr(part, name) for part in parts]
            columns.append(f"unnest($part_{name}::bigint[]) as {name}")
        return f"parts as (select {', '.join(columns)}), "

    def _placed(self, family: Family, measures: tuple[str, ...]) -> str:
        """The rows of a family in their buckets."""
        plan = self._plan
        dimensions = list(plan.dimensions)
        for metric in plan.distincts:
            if metric.distinct in family.keys and metric.numerator in measures:
                dimensions.append(str(metric.distinct))
        dimensions = list(dict.fromkeys(dimensions))
        rows = self._rows(family, dimensions, measures)
        conditions = []
        for name, values in plan.question.filters.items():
            if plan.declared.dimensions[name].time is None:
                self.parameters[f"filter_{name}"] = list(values)
                kind = "bigint" if plan.declared.dimensions[name].is_integer else "varchar"
                conditions.append(f"list_contains($filter_{name}::{kind}[], {name})")
        if family.where is not None:
            conditions.append(family.where)
        columns = [*dimensions, *measures]
        if plan.is_one_span:
            where = f" where {' and '.join(conditions)}" if conditions else ""
            return f"select 0 as bucket, {', '.join(columns)} from ({rows}){where}"
        conditions.append("instant < part_end")
        return (
            f"select {', '.join(('bucket', *plan.time_dimensions, *columns))}"
            f" from ({rows}) as mart asof join parts on mart.instant >= parts.part_start"
            f" where {' and '.join(conditions)}"
        )

    def _rows(self, family: Family, dimensions: list[str], measures: tuple[str, ...]) -> str:
        """The rows of a family over the window, from dates where they will do."""
        window = self._plan.question.window
        # Which rows count is said of the first measure.
        first = family.measures[:1] if family.where else ()
        columns = ", ".join(
            f"{family.columns[name]} as {name}" if name in family.columns else name
            for name in dict.fromkeys([*dimensions, *measures, *first])
        )
        of_attribute = ""
        if ATTRIBUTE in family.dimensions:
            self.parameters["attribute_name"] = self._plan.question.attribute
            of_attribute = " and attribute = $attribute_name"
        daily = None
        if self._uses_dates and not set(measures) & set(family.lists):
            daily = family.daily_mart(dimensions)

        def of_quarter_hours(name: str, start: datetime, end: datetime) -> str:
            self.parameters[f"{name}_from"] = without_offset(start)
            self.parameters[f"{name}_to"] = without_offset(end)
            of_dates = ""
            if family.counted:
                # The mart is by date, and only then made into quarter hours.
                of_dates = (
                    f" and occurred_date >= ${name}_from::date"
                    f" and occurred_date <= ${name}_to::date"
                )
            return (
                f"select {columns}, bucket_start as instant from {family.quarter_hours}"
                f" where customer_id = $customer_id{of_attribute} and bucket_start >= ${name}_from"
                f" and bucket_start < ${name}_to{of_dates}"
            )

        if daily is None:
            return of_quarter_hours("window", window.from_instant, window.to_instant)
        self.parameters["whole_days_from"] = window.whole_days.start.date()
        self.parameters["whole_days_to"] = window.whole_days.end.date()
        selects = [
            f"select {columns}, cast(occurred_date as timestamp) as instant from marts.{daily}"
            f" where customer_id = $customer_id{of_attribute} and occurred_date >= $whole_days_from"
            " and occurred_date < $whole_days_to"
        ]
        # Two edges, not one with `or`: each is a plain range that skips row groups.
        for name, edge in (("head", window.head), ("tail", window.tail)):
            if edge.start < edge.end:
                selects.append(of_quarter_hours(name, edge.start, edge.end))
        return " union all ".join(selects)

    def _ranked(self) -> str:
        question = self._plan.question
        self.parameters["skipped"] = question.offset
        self.parameters["last_place"] = question.offset + (
            question.most_rows if question.limit is None else question.limit
        )
        shown = "case when {place} > $skipped and {place} <= $last_place then {place} end"
        if not self._groups:
            return f"ranked as (select {shown.format(place='1')} as place, 1 as group_count)"
        groups = ", ".join(self._groups)
        order, joined = self._order()
        direction = "desc" if question.descending else "asc"
        ties = "".join(f", {name}" for name in self._groups if name != question.ordered_by)
        return (
            joined + f"ordered as (select {groups}, row_number() over (order by {order}"
            f" {direction} nulls last{ties}) as rank_of_all, count(*) over () as group_count"
            f" from grouped), ranked as (select {groups},"
            f" {shown.format(place='rank_of_all')} as place, group_count from ordered)"
        )

    def _order(self) -> tuple[str, str]:
        """What groups are ordered by, and the steps before it."""
        plan = self._plan
        groups = ", ".join(self._groups)
        name = plan.question.ordered_by
        by = next((each for each in plan.question.metrics if each.name == name), None)
        if by is not None and by.kind == "percentile":
            steps = percentile_steps("group", "placed", self._groups, [by], totals=False)
            joined = ", ".join([*steps, f"group_keys as (select distinct {groups} from placed)"])
            return (
                name,
                f"{joined}, grouped as (select group_keys.*, group_percentiles.{name} from"
                f" group_keys left join group_percentiles using ({groups})), ",
            )
        sums = ", ".join(self._sums())
        grouped = f"grouped as (select {groups}"
        grouped += f", {sums}" if sums else ""
        grouped += f" from placed group by {groups}"
        if plan.question.counted_by:
            has_some = " or ".join(f"sum({name}) > 0" for name in plan.question.counted_by)
            grouped += f" having {has_some}"
        grouped += "), "
        if by is not None and by.kind == "ratio":
            return (
                ratio_order_sql(by.numerator, str(by.denominator), by.digits, by.scale),
                grouped,
            )
        if by is not None and by.kind == "money":
            return _money_order(by), grouped
        return (by.numerator if by is not None and by.kind == "sum" else name), grouped

    def _percentiles_by_list(self) -> dict[str, list[Metric]]:
        """The percentiles that are asked for, by the lists that they are of."""
        found: dict[str, list[Metric]] = {}
        for metric in self._plan.percentiles:
            found.setdefault(metric.numerator, []).append(metric)
        return found


def _money_order(metric: Metric) -> str:
    """SQL of what an amount of money is ordered by: null where it is not known."""
    if metric.denominator is None:
        return (
            f"case when unpriced_tokens = 0 or unpriced_tokens < total_tokens"
            f" then {metric.numerator} end"
        )
    return (
        f"case when unpriced_tokens = 0 and left_out_fee_events = 0 and {metric.denominator} > 0"
        f" then {usd_order_sql(metric.numerator, metric.denominator)} end"
    )


def percentile_steps(
    prefix: str, source: str, keys: tuple[str, ...], metrics: list[Metric], *, totals: bool
) -> list[str]:
    """Steps to percentiles of the lists in `source`, by `keys` and, if asked, over all; the last is
    named `<prefix>_percentiles`.

    Rank rule: of n response times in ascending order, the p-th percentile is number
    ceil(p * n / 100), counted from 1. Its bucket is found exactly, and the time that stands for the
    bucket is at most 1 % from the one that was measured.
    """
    start = f"{prefix}_"
    key_list = ", ".join(keys)
    (measure,) = {metric.numerator for metric in metrics}
    sets = f"grouping sets (({key_list}, time_bucket), (time_bucket))" if totals else "all"
    is_total = f"grouping({keys[0]}) = 1" if totals else "false"
    by = f"is_total, {key_list}"
    columns = ", ".join(
        f"min(response_time_buckets.middle_ms) filter (where {start}accumulated.up_to >="
        f" ({start}accumulated.of_all * {metric.percent} + 99) // 100) as {metric.name}"
        for metric in metrics
    )
    return [
        f"{start}times as (select {key_list}, unnest({measure}) as time_bucket from {source})",
        f"{start}histogram as (select {is_total} as is_total, {key_list}, time_bucket,"
        f" count(*) as times from {start}times group by {sets})",
        f"{start}accumulated as (select {by}, time_bucket, sum(times) over (partition by {by}"
        f" order by time_bucket) as up_to, sum(times) over (partition by {by}) as of_all"
        f" from {start}histogram)",
        f"{start}percentiles as (select {by}, {columns} from {start}accumulated"
        " inner join marts.response_time_buckets"
        f" on {start}accumulated.time_bucket = response_time_buckets.response_time_bucket"
        f" group by {by})",
    ]


def _distinct(metric: Metric) -> str:
    return f"count(distinct case when {metric.numerator} > 0 then {metric.distinct} end)"
