"""The ratios and averages of `dbt_project/macros/metrics.sql`, as data.

The same text is rendered by dbt and by the API; here it becomes SQL macros of the published file,
so that an analyst's average is the API's average, and the page of metrics.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from orchestration.settings import CHECKOUT

MACROS = CHECKOUT / "dbt_project" / "macros"
METRICS_FILE = MACROS / "metrics.sql"
# What the metrics are made of, in the SQL of the published file.
EXACT_RATIO_FILE = MACROS / "engines" / "exact_ratio.sql"

_MACRO = re.compile(
    r"\{#(?P<comment>(?:(?!#\}).)*)#\}\s*"
    r"\{% macro (?P<name>\w+)\((?P<parameters>[^)]*)\)",
    re.DOTALL,
)


@dataclass(frozen=True)
class Metric:
    """A ratio or an average. Each of `parameters` is a sum; `sql` is an expression over them."""

    name: str
    parameters: tuple[str, ...]
    description: str
    sql: str

    @property
    def signature(self) -> str:
        return f"{self.name}({', '.join(self.parameters)})"


def read_metrics(path: Path = METRICS_FILE) -> list[Metric]:
    """Every metric, in the order of the file."""
    metrics_source = path.read_text()
    source = EXACT_RATIO_FILE.read_text() + metrics_source
    environment = Environment(autoescape=False, undefined=StrictUndefined)
    metrics = []
    for match in _MACRO.finditer(metrics_source):
        name = match["name"]
        parameters = tuple(part.strip() for part in match["parameters"].split(","))
        call = "{{ " + f"{name}({', '.join(map(repr, parameters))})" + " }}"
        sql = environment.from_string(source + call).render().strip()
        metrics.append(Metric(name, parameters, " ".join(match["comment"].split()), sql))
    return metrics
