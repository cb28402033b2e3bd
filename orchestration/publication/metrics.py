"""The declared ratios and percentiles as SQL macros of the published file.

So an analyst's average is the API's average.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from api.metrics.declared import Declared, declared
from api.metrics.declared import Metric as DeclaredMetric
from api.metrics.ratio import ratio_sql, usd_sql


@dataclass(frozen=True)
class Metric:
    """A macro. Each of `parameters` is a sum, or a list of response-time buckets of many rows."""

    name: str
    parameters: tuple[str, ...]
    description: str
    sql: str

    @property
    def signature(self) -> str:
        return f"{self.name}({', '.join(self.parameters)})"

    @property
    def example(self) -> str | None:
        """A query that calls it over a mart with all its parts; None where no mart has them all."""
        for family in declared().families.values():
            if set(self.parameters) <= {*family.measures, *family.lists} and not family.columns:
                arguments = ", ".join(
                    f"flatten(list({name}))" if name in family.lists else f"sum({name})"
                    for name in self.parameters
                )
                mart = next(iter(family.daily), family.quarter_hourly)
                return f"select marts.{self.name}({arguments}) from marts.{mart}"
        return None


def read_metrics(source: Declared | None = None) -> list[Metric]:
    """Every ratio and percentile, in the order of the declaration, then other names of theirs."""
    source = source or declared()
    macros = [macro for metric in source.metrics.values() for macro in _macros(metric)]
    by_name = {macro.name: macro for macro in macros}
    for alias, name in source.aliases.items():
        known = by_name[name]
        description = f"{name}, under another name."
        macros.append(Metric(alias, known.parameters, description, known.sql))
    return macros


def _macros(metric: DeclaredMetric) -> Iterator[Metric]:
    if metric.kind == "money" and metric.denominator is not None:
        units = f"replace(cast({metric.numerator} as varchar), '.', '')"
        sql = (
            f"case when unpriced_tokens = 0 and left_out_fee_events = 0 then "
            f"{usd_sql(units, metric.denominator)} end"
        )
        description = f"{metric.description} Unit: {metric.unit}. {metric.digits} decimals."
        yield Metric(metric.name, metric.needed_measures, description, sql)
    elif metric.denominator is not None:
        sql = ratio_sql(metric.numerator, metric.denominator, metric.digits, metric.scale)
        decimals = {0: "Whole number", 1: "1 decimal"}.get(
            metric.digits, f"{metric.digits} decimals"
        )
        description = f"{metric.description} Unit: {metric.unit}. {decimals}."
        yield Metric(metric.name, metric.terms(), description, sql)
    elif metric.kind == "percentile":
        times = metric.numerator
        place = f"(len({times}) * {metric.percent} + 99) // 100"
        sql = (
            "(select middle_ms from marts.response_time_buckets"
            f" where response_time_bucket = list_sort({times})[{place}])"
        )
        description = f"{metric.description} Of a list of all buckets. Unit: {metric.unit}."
        yield Metric(metric.name, (times,), description, sql)
