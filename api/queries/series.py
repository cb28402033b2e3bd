"""SQL of what is cached of a customer: additive measures by group and position, in order."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from api.metrics.declared import Family

DATE_POSITION = "date_diff('day', date '0001-01-01', occurred_date) + 1"
"""The ordinal of a UTC date: 0001-01-01 is 1."""
QUARTER_HOUR_POSITION = "cast(epoch(bucket_start) as bigint) // 900"
"""The number of a quarter hour since 1970."""


@dataclass(frozen=True)
class SeriesSource:
    """Where a series comes from: a daily mart, the quarter-hourly one for the edges of a window."""

    daily: str
    """SQL of a daily mart, or of quarter hours if no daily mart has all the groups."""
    quarter_hours: str
    """SQL of the rows of quarter hours."""
    groups: tuple[str, ...]
    measures: tuple[str, ...]
    columns: tuple[tuple[str, str], ...] = ()
    """Groups and measures that are no columns of the marts, and their SQL."""
    where: str | None = None
    is_narrowed: bool = False
    """Whether only rows of the agents `$agent_ids` are read."""

    def narrowed(self) -> "SeriesSource":
        """The same of the agents `$agent_ids` alone.

        Raises ValueError where it has not the agents among its groups: nothing would leave out the
        others.
        """
        if "agent_id" not in self.groups:
            raise ValueError(f"rows by {', '.join(self.groups)} cannot be narrowed to agents")
        return replace(self, is_narrowed=True)

    def by_date(self) -> str:
        """By UTC date."""
        return self._select(self.daily, DATE_POSITION, "")

    def by_quarter_hour(self) -> str:
        """By quarter hour, between `$window_from` and `$window_to`."""
        within = "and bucket_start >= $window_from and bucket_start < $window_to"
        return self._select(self.quarter_hours, QUARTER_HOUR_POSITION, within)

    def early_in_the_day(self) -> str:
        """By UTC date, of each only what is before the time of day `$time_of_day`."""
        early = "and bucket_start < occurred_date + $time_of_day"
        return self._select(self.quarter_hours, DATE_POSITION, early)

    def _select(self, rows_from: str, position: str, condition: str) -> str:
        columns = dict(self.columns)
        selected = [
            f"{columns[name]} as {name}" if name in columns else name
            for name in (*self.groups, *self.measures)
        ]
        if self.is_narrowed:
            condition += " and list_contains($agent_ids::bigint[], agent_id)"
        rows = (
            f"select {', '.join([*selected, f'{position} as position'])} from {rows_from}"
            f" where customer_id = $customer_id {condition}"
        )
        sums = [f"sum({name}) as {name}" for name in self.measures]
        where = f" where {self.where}" if self.where else ""
        return (
            f"select {', '.join([*self.groups, 'position', *sums])} from ({rows}){where}"
            " group by all order by all"
        )


def source_of(
    family: Family, groups: Iterable[str], measures: tuple[str, ...] | None = None
) -> SeriesSource:
    """The series of a family that has these groups: all of its measures, or some.

    It has the groups of the daily mart that it comes from, which may be more.
    """
    wanted = tuple(name for name in family.dimensions if name in set(groups))
    mart = family.daily_mart(wanted)
    kept = wanted if mart is None else family.daily[mart]
    return SeriesSource(
        daily=family.quarter_hours if mart is None else f"marts.{mart}",
        quarter_hours=family.quarter_hours,
        groups=kept,
        measures=family.measures if measures is None else measures,
        columns=tuple(family.columns.items()),
        where=family.where,
    )
