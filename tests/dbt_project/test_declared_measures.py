"""What `metrics.yml` declares is what the marts have and sum."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from api.metrics.declared import WrongDeclaration, declared, read_declaration
from published_demo import CHECKOUT, PublishedDemo

MEASURES = (CHECKOUT / "dbt_project" / "macros" / "measures.sql").read_text()
FAMILIES = ("usage", "compliance", "feedback")
"""Those whose measures a macro of dbt lists under their name."""


@pytest.mark.parametrize("family", FAMILIES)
def test_the_daily_marts_sum_what_is_declared(family: str) -> None:
    """The list of dbt's macro and the declared one have the same names."""
    (listed,) = re.findall(rf"macro {family}_measures\(\) -%}}(.*?)endmacro", MEASURES, re.DOTALL)
    assert set(re.findall(r"'(\w+)'", listed)) == set(declared().families[family].measures)


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
        own = {*family.dimensions, *family.measures, *family.lists}
        assert own - made <= columns[family.quarter_hourly], family.name


def test_the_first_measure_counts_the_rows(demo: PublishedDemo) -> None:
    """Where it is 0 there is no row: the answers from memory rely on it."""
    with demo.connect() as connection:
        for family in declared().families.values():
            if family.measures and not family.columns:
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
    too_fine["families"]["compliance"]["daily"]["compliance_daily"] = ["model"]
    unknown = source()
    unknown["families"]["usage"]["dimensions"].append("planet")
    no_alias = source()
    no_alias["aliases"]["stars"] = "no_such_metric"
    for wrong in (no_measure, too_fine, unknown, no_alias):
        with pytest.raises(WrongDeclaration):
            read_declaration(yaml.safe_dump(wrong, sort_keys=False))
