"""What `metrics.yml` declares is what the marts have and sum."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from api.metrics.declared import WrongDeclaration, declared, read_declaration
from published_demo import CHECKOUT, PublishedDemo

MACROS = CHECKOUT / "dbt_project" / "macros"
MEASURES = "".join((MACROS / name).read_text() for name in ("measures.sql", "prices.sql"))
LISTED = {
    "cost": ("costs",),
    "usage": ("usage", "token_parts", "token_classes"),
    "error": ("attempts",),
    "compliance": ("compliance",),
    "feedback": ("feedback",),
}
"""By the name of dbt's macro the families whose measures it lists."""


@pytest.mark.parametrize("macro", sorted(LISTED))
def test_the_daily_marts_sum_what_is_declared(macro: str) -> None:
    """The list of dbt's macro and the declared ones have the same names; what a measure is made of
    is in them, too."""
    (listed,) = re.findall(rf"macro {macro}_measures\(\) -%}}(.*?)endmacro", MEASURES, re.DOTALL)
    names: set[str] = set()
    for family in (declared().families[name] for name in LISTED[macro]):
        names |= set(family.measures)
        for sql in family.columns.values():
            names |= set(re.findall(r"\b(?:class_|unclassed_)\w+_tokens\b", sql))
    money = set(declared().families["costs"].measures)
    if macro == "error":
        names = names - money | set(declared().families["errors"].measures)
    if macro == "cost":
        names = names - {"event_count"}
    assert set(re.findall(r"'(\w+)'", listed)) == names


def test_every_mart_has_what_is_declared_of_it(demo: PublishedDemo) -> None:
    """Dimensions and measures are columns, but for those that are made of others."""
    with demo.connect() as connection:
        columns: dict[str, set[str]] = {}
        for mart, column in connection.execute(
            "select table_name, column_name from duckdb_columns() where schema_name = 'marts'"
        ).fetchall():
            columns.setdefault(mart, set()).add(column)
    for family in declared().families.values():
        made = set(family.columns)
        for mart, kept in family.daily.items():
            assert {*kept, *family.measures} - made <= columns[mart], (family.name, mart)
        if family.rows is not None:
            continue
        own = {*family.dimensions, *family.measures, *family.lists}
        assert own - made <= columns[family.quarter_hourly], family.name


def test_the_first_measure_counts_the_rows(demo: PublishedDemo) -> None:
    """Where it is 0 there is no row: the answers from memory rely on it."""
    with demo.connect() as connection:
        for family in declared().families.values():
            if family.measures and not family.columns and family.rows is None:
                ((least,),) = connection.execute(
                    f"select min({family.measures[0]}) from marts.{family.quarter_hourly}"
                ).fetchall()
                assert least > 0, family.name


def source() -> dict[str, Any]:
    """The declaration, to be spoiled."""
    text = (CHECKOUT / "dbt_project" / "metrics.yml").read_text()
    found: dict[str, Any] = yaml.safe_load(text)
    return found


def test_a_declaration_that_contradicts_itself_is_refused() -> None:
    """A metric of no measure, a mart with more dimensions than its family, an alias of nothing."""
    no_measure = source()
    no_measure["metrics"]["ratings"]["sum"] = "no_such_measure"
    too_fine = source()
    too_fine["families"]["compliance"]["daily"]["compliance_daily"] = ["rating"]
    unknown = source()
    unknown["families"]["usage"]["dimensions"].append("planet")
    no_alias = source()
    no_alias["aliases"]["stars"] = "no_such_metric"
    for wrong in (no_measure, too_fine, unknown, no_alias):
        with pytest.raises(WrongDeclaration):
            read_declaration(yaml.safe_dump(wrong, sort_keys=False))
