"""What `dbt_project/metrics.yml` declares, read once and checked for what contradicts itself."""

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from api.installation import dbt_project
from api.metrics.ratio import Shown, exact_ratio, exact_usd

Sums = Mapping[str, int]
"""Sums of measures over the rows that a figure is about, by the names of the measures."""


ATTRIBUTE = "attribute"
"""The dimension of the values of one attribute, which is asked for as `attribute.<name>`."""
KINDS = {
    "sum": "sum",
    "ratio": "ratio",
    "money": "money",
    "distinct": "with",
    "percentile": "of",
}
"""What a metric may be, by the key that says so; and the key of what it is computed from."""


class WrongDeclaration(Exception):
    """The declaration contradicts itself."""


@dataclass(frozen=True)
class Family:
    """Measures that the same marts hold."""

    name: str
    stream: str
    quarter_hourly: str
    dimensions: tuple[str, ...]
    daily: Mapping[str, tuple[str, ...]]
    """The marts of UTC dates, and the dimensions that each keeps."""
    measures: tuple[str, ...]
    lists: tuple[str, ...] = ()
    """Columns that are lists of response-time buckets; only the quarter-hourly mart has them."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """SQL of the dimensions and measures that are no columns of the marts themselves."""
    where: str | None = None
    """SQL of which rows count, over the dimensions and measures; None for all."""
    rows: str | None = None
    """SQL of rows that the quarter-hourly mart does not have as they are; None if it has."""
    counted: tuple[str, ...] = ()
    """Columns whose distinct values are counted, and that nothing is grouped by."""

    @property
    def keys(self) -> tuple[str, ...]:
        """All that its rows are by: what they can be grouped by, and what is counted."""
        return (*self.dimensions, *self.counted)

    @property
    def quarter_hours(self) -> str:
        """SQL of where the rows of quarter hours are read from."""
        return f"marts.{self.quarter_hourly}" if self.rows is None else f"({self.rows})"

    def daily_mart(self, dimensions: Iterable[str]) -> str | None:
        """The daily mart of fewest dimensions that has all of these; None if there is none."""
        wanted = set(dimensions)
        having = [name for name, kept in self.daily.items() if wanted <= set(kept)]
        return min(having, key=lambda name: len(self.daily[name]), default=None)


@dataclass(frozen=True)
class Dimension:
    """What figures can be grouped and filtered by."""

    name: str
    description: str
    is_integer: bool
    time: str | None = None
    """`hour` or `day`: it follows from the time and the zone, at that granularity."""
    is_named: bool = False
    """Whether there are several of it, each asked for by its own name: `attribute.<name>`."""


@dataclass(frozen=True)
class Metric:
    """A figure: how it is computed from sums, and how it is shown."""

    name: str
    unit: str
    description: str
    kind: str
    """`sum`, `ratio`, `money`, `distinct` or `percentile`."""
    numerator: str
    """The measure that is summed, or counted with, or the list that a percentile is of."""
    denominator: str | None = None
    scale: int = 1
    digits: int = 0
    percent: int = 0
    distinct: str | None = None
    """The dimension whose values are counted."""
    whole_of: tuple[str, ...] = ()
    """Dimensions that the denominator is never split by."""

    @property
    def is_additive(self) -> bool:
        """Whether its values over parts add up to its value over the whole."""
        return self.kind == "sum" or (self.kind == "money" and self.denominator is None)

    @property
    def definition(self) -> str:
        """What it is, in a line: the description, and the formula where there is one."""
        if self.kind == "ratio":
            scale = f"{self.scale} · " if self.scale != 1 else ""
            return f"{self.description} {scale}Σ {self.numerator} / Σ {self.denominator}."
        if self.kind == "money" and self.denominator is not None:
            return f"{self.description} Σ {self.numerator} / Σ {self.denominator}."
        if self.kind == "distinct":
            return f"{self.description} Distinct {self.distinct} with {self.numerator} above 0."
        if self.kind == "percentile":
            return (
                f"{self.description} Number ceil({self.percent} · n / 100) of n in ascending order."
            )
        return f"{self.description} Σ {self.numerator}."

    def terms(self) -> tuple[str, ...]:
        """The measures that it is a sum or ratio of."""
        return (self.numerator,) if self.denominator is None else (self.numerator, self.denominator)

    @property
    def needed_measures(self) -> tuple[str, ...]:
        """These, and the measures that say whether an amount of money is known."""
        if self.kind != "money":
            return self.terms()
        of_tokens = ("total_tokens",) if self.denominator is None else ("left_out_fee_events",)
        return (*self.terms(), "unpriced_tokens", *of_tokens)

    def exactly(self, sums: Sums) -> tuple[int, int] | None:
        """Its numerator and denominator; None where an amount of money is not known. For a sum, a
        ratio or money."""
        if self.kind == "money" and self.denominator is None:
            if sums["unpriced_tokens"] == sums["total_tokens"] != 0:
                return None
        elif self.kind == "money" and (sums["unpriced_tokens"] or sums["left_out_fee_events"]):
            return None
        return sums[self.numerator], 1 if self.denominator is None else sums[self.denominator]

    def of(self, sums: Sums) -> Shown:
        """Its value from sums, for a sum, a ratio or money: 0 or None where there is nothing."""
        if self.kind == "money":
            parts = self.exactly(sums)
            return None if parts is None else exact_usd(*parts)
        if self.denominator is None:
            return sums[self.numerator]
        return exact_ratio(sums[self.numerator], sums[self.denominator], self.digits, self.scale)


@dataclass(frozen=True)
class Declared:
    """All of it, by name."""

    families: Mapping[str, Family]
    dimensions: Mapping[str, Dimension]
    metrics: Mapping[str, Metric]
    aliases: Mapping[str, str]

    def family_of(self, measure: str, dimensions: Iterable[str]) -> Family | None:
        """The first family that has the measure by all of these dimensions; None if none has."""
        wanted = set(dimensions)
        for family in self.families.values():
            if measure in (*family.measures, *family.lists) and wanted <= set(family.keys):
                return family
        return None

    def goes_with(self, metric: Metric, dimensions: Iterable[str]) -> bool:
        """Whether the metric can be grouped and filtered by all of these dimensions at once."""
        asked = [name for name in dimensions if self.dimensions[name].time is None]
        if metric.distinct is not None:
            asked = [*asked, metric.distinct]
        whole = [name for name in asked if name not in metric.whole_of]
        return all(
            self.family_of(measure, whole if measure == metric.denominator else asked) is not None
            for measure in metric.needed_measures
        )

    def dimensions_of(self, metric: Metric) -> list[str]:
        """The dimensions that the metric can be grouped and filtered by, each alone."""
        return [name for name in self.dimensions if self.goes_with(metric, [name])]


@functools.cache
def declared() -> Declared:
    """The declaration of this installation. Raises WrongDeclaration if it contradicts itself."""
    return read_declaration((dbt_project() / "metrics.yml").read_text(encoding="utf-8"))


def read_declaration(text: str) -> Declared:
    """The declaration that a YAML text holds. Raises WrongDeclaration if it contradicts itself."""
    source = yaml.safe_load(text)
    dimensions = {name: _dimension(name, each) for name, each in source["dimensions"].items()}
    families = {name: _family(name, each) for name, each in source["families"].items()}
    metrics = {name: _metric(name, each) for name, each in source["metrics"].items()}
    found = Declared(families, dimensions, metrics, source["aliases"])
    _check(found)
    return found


def _family(name: str, source: dict[str, Any]) -> Family:
    return Family(
        name=name,
        stream=source["stream"],
        quarter_hourly=source["quarter_hourly"],
        dimensions=tuple(source["dimensions"]),
        daily={mart: tuple(kept) for mart, kept in source["daily"].items()},
        measures=tuple(source["measures"]),
        lists=tuple(source.get("lists", ())),
        columns=source.get("columns", {}),
        where=source.get("where"),
        rows=source.get("rows"),
        counted=tuple(source.get("counted", ())),
    )


def _dimension(name: str, source: dict[str, Any]) -> Dimension:
    return Dimension(
        name=name,
        description=source["description"],
        is_integer=source["type"] == "integer",
        time=source.get("time"),
        is_named=source.get("named", False),
    )


def _metric(name: str, source: dict[str, Any]) -> Metric:
    (kind,) = source.keys() & KINDS.keys()
    numerator, denominator = source[KINDS[kind]], None
    if kind == "ratio":
        numerator, denominator = source["ratio"]
    if kind == "money":
        denominator = source.get("per")
    return Metric(
        name=name,
        unit=source["unit"],
        description=source["description"],
        kind=kind,
        numerator=numerator,
        denominator=denominator,
        scale=source.get("scale", 1),
        digits=6 if kind == "money" else source.get("digits", 0),
        percent=source.get("percentile", 0),
        distinct=source.get("distinct"),
        whole_of=tuple(source.get("whole_of", ())),
    )


def _check(found: Declared) -> None:
    for family in found.families.values():
        if mistaken := set(family.counted) & set(found.dimensions):
            raise WrongDeclaration(f"{family.name}: {mistaken} is grouped by, not just counted")
        for mart, kept in {family.quarter_hourly: family.keys, **family.daily}.items():
            if unknown := set(kept) - {*found.dimensions, *family.counted}:
                raise WrongDeclaration(f"{family.name}: {mart} has unknown dimensions {unknown}")
            if beyond := set(kept) - set(family.keys):
                raise WrongDeclaration(f"{family.name}: {mart} keeps {beyond} of no quarter hour")
    for metric in found.metrics.values():
        if not found.goes_with(metric, []):
            missing = " and ".join(metric.needed_measures)
            raise WrongDeclaration(f"{metric.name}: no family has {missing}")
    for alias, name in found.aliases.items():
        if name not in found.metrics or alias in found.metrics:
            raise WrongDeclaration(f"alias {alias}: {name} is no metric, or {alias} is one")
