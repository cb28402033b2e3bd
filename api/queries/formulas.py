"""The metrics of `dbt_project/macros/metrics.sql` as Python functions, for sums in memory.

The macros are rendered here with another `exact_ratio`, one that writes a call of the function of
that name below. So a metric still has its one definition, and only the arithmetic has two.
"""

import functools
import re
from collections.abc import Callable
from typing import Any

import jinja2

from api.queries.engine import METRICS_FILE

Ratio = int | float | None

_EXACT_RATIO = """
{% macro exact_ratio(numerator, denominator, digits, scale=1) -%}
exact_ratio({{ numerator }}, {{ denominator }}, {{ digits }}, {{ scale }})
{%- endmacro %}
"""
_METRIC = re.compile(r"\{% macro (\w+)\(([^)]*)\)")


def exact_ratio(numerator: int, denominator: int, digits: int, scale: int) -> Ratio:
    """What `macros/engines/exact_ratio.sql` computes.

    scale * numerator / denominator, rounded half away from zero to so many decimals; None for a
    denominator of 0. Neither may be negative.
    """
    if denominator <= 0:
        return None
    unit: int = 10**digits
    rounded = (2 * numerator * scale * unit + denominator) // (2 * denominator)
    return rounded if digits == 0 else float(rounded) / unit


def metric(name: str, *sums: int) -> Ratio:
    """The metric of that name, from the sums that its macro takes, in the same order."""
    return metrics()[name](*sums)


@functools.cache
def metrics() -> dict[str, Callable[..., Ratio]]:
    """All metrics by name."""
    source = METRICS_FILE.read_text(encoding="utf-8")
    environment = jinja2.Environment(autoescape=False, undefined=jinja2.StrictUndefined)
    macros = environment.from_string(_EXACT_RATIO + source).module
    namespace: dict[str, Any] = {"exact_ratio": exact_ratio}
    compiled = {}
    for name, parameters in _METRIC.findall(source):
        arguments = (parameter.strip() for parameter in parameters.split(","))
        expression = str(getattr(macros, name)(*arguments)).strip()
        # Our own file, and nothing that a request sends.
        compiled[name] = eval(f"lambda {parameters}: {expression}", namespace)
    return compiled
