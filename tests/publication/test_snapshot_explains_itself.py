"""Descriptions: complete, in the published file, and the metrics as macros beside the marts."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from api.installation import parsed_ahead
from api.metrics.declared import declared
from orchestration.publication.descriptions import read_descriptions
from orchestration.publication.metrics import read_metrics
from orchestration.warehouse import dbt
from published_demo import PublishedDemo

SUMS = re.compile(r"May be summed|Never summed")
INTEGERS = {"BIGINT", "INTEGER", "DOUBLE"}


@pytest.fixture(scope="module")
def manifest() -> dict[str, Any]:
    """The dbt project, parsed."""
    parsed: dict[str, Any] = json.loads(dbt.parse_into(parsed_ahead()).read_text())
    return parsed


def test_every_published_table_and_column_has_its_description_as_a_comment(
    demo: PublishedDemo,
) -> None:
    """The comments in the file are the descriptions of the YAML, for every table and column."""
    descriptions = read_descriptions(dbt.parse_into(parsed_ahead()))
    with demo.connect() as connection:
        tables = connection.execute(
            "select table_name, comment from duckdb_tables() where schema_name = 'marts' union all "
            "select view_name, comment from duckdb_views() where schema_name = 'marts'"
        ).fetchall()
        columns = connection.execute(
            "select table_name, column_name, comment from duckdb_columns() "
            "where schema_name = 'marts' order by table_name, column_index"
        ).fetchall()
    assert dict(tables) == {name: each.text for name, each in descriptions.items()}
    assert columns == [
        (name, column, text)
        for name, each in descriptions.items()
        for column, text in each.columns.items()
    ]
    assert all(text for _, text in tables)
    assert all(text for _, _, text in columns)


def test_types_that_are_written_down_are_those_of_the_file(demo: PublishedDemo) -> None:
    """A data type in the YAML, of tables that dbt does not build too, is the one in the file."""
    with demo.connect() as connection:
        types = {
            (table, column): data_type.lower().replace(" ", "")
            for table, column, data_type in connection.execute(
                "select table_name, column_name, data_type from duckdb_columns() "
                "where schema_name = 'marts'"
            ).fetchall()
        }
    for name, each in read_descriptions(dbt.parse_into(parsed_ahead())).items():
        for column, data_type in each.types.items():
            if data_type:
                assert types[name, column] == data_type.replace(" ", ""), (name, column)


def test_every_description_says_grain_additivity_and_time_basis() -> None:
    """Each table starts with its grain, and says what may be summed and what its times mean."""
    for name, each in read_descriptions(dbt.parse_into(parsed_ahead())).items():
        assert each.text.startswith("One row per "), name
        assert "Additivity: " in each.text, name
        assert "Time basis: " in each.text, name
        assert each.meta.keys() >= {"owner", "tier", "freshness"}, name


def test_every_number_has_a_unit_and_says_whether_it_may_be_summed(demo: PublishedDemo) -> None:
    """Numbers that are no ids name their unit and their additivity; times say that they are UTC."""
    descriptions = read_descriptions(dbt.parse_into(parsed_ahead()))
    with demo.connect() as connection:
        columns = connection.execute(
            "select table_name, column_name, data_type from duckdb_columns() "
            "where schema_name = 'marts'"
        ).fetchall()
    for table, column, data_type in columns:
        text = descriptions[table].columns[column]
        if data_type in INTEGERS and not column.endswith("_id"):
            assert "Unit: " in text and SUMS.search(text), (table, column)
        if data_type in {"TIMESTAMP", "DATE"}:
            assert "UTC" in text, (table, column)


def test_marts_are_public_and_nothing_else_is(manifest: dict[str, Any]) -> None:
    """A model is public just where it is in the marts' schema, and then it has a contract."""
    models = [node for node in manifest["nodes"].values() if node["resource_type"] == "model"]
    for model in models:
        is_mart = model["schema"] == "marts"
        assert model["access"] == ("public" if is_mart else "private"), model["name"]
        assert model["group"] == "warehouse", model["name"]
        assert model["contract"]["enforced"] is is_mart, model["name"]


def test_exposures_rest_on_public_marts_only(manifest: dict[str, Any]) -> None:
    """The API and the dashboard are exposed, and read nothing that may change under them."""
    exposures = {each["name"]: each for each in manifest["exposures"].values()}
    assert set(exposures) == {"stats_api", "usage_dashboard"}
    for exposure in exposures.values():
        for unique_id in exposure["depends_on"]["nodes"]:
            if unique_id.startswith("source."):
                # A table that publication writes itself.
                assert manifest["sources"][unique_id]["source_name"] == "published", unique_id
                continue
            node = manifest["nodes"][unique_id]
            assert node["resource_type"] == "seed" or node["access"] == "public", unique_id


def test_the_api_exposure_names_every_mart_that_the_api_reads(manifest: dict[str, Any]) -> None:
    """What the API's queries select from is what its exposure depends on."""
    from api.queries.engine import Queries

    queries = Queries()
    read = {
        table for name in queries.names for table in re.findall(r"marts\.(\w+)", queries.sql(name))
    }
    for family in declared().families.values():
        read |= {family.quarter_hourly, *family.daily}
    exposure = manifest["exposures"]["exposure.agentstats.stats_api"]
    exposed = {unique_id.split(".")[-1] for unique_id in exposure["depends_on"]["nodes"]}
    # Read outside the queries: whose data is kept how long.
    assert exposed >= read | {"customers"}


def test_metrics_are_macros_of_the_file(demo: PublishedDemo) -> None:
    """Each metric can be called in the file, and gives null without data."""
    with demo.connect() as connection:
        for metric in read_metrics():
            sums = ", ".join(
                "0 * sum(n)" if "left_out" in each or "unpriced" in each else "sum(n)"
                for each in metric.parameters
            )
            example = metric.example or f"select marts.{metric.name}({sums}) from one"
            found = connection.execute(f"with one as (select 1 as n) {example}").fetchall()
            empty = connection.execute(
                f"with one as (select 1 as n) {example} where false"
            ).fetchall()
            comment = connection.execute(
                "select comment from duckdb_functions() where schema_name = 'marts' "
                "and function_name = ?",
                [metric.name],
            ).fetchall()
            assert found[0][0] is not None, metric.name
            assert empty == [(None,)], metric.name
            assert comment == [(metric.description,)], metric.name


def test_a_macro_of_the_file_gives_what_the_api_gives(demo: PublishedDemo) -> None:
    """Halves round away from zero in the macros too: 1/8 of a redaction a message is 0.125."""
    with demo.connect() as connection:
        found = connection.execute(
            "select marts.average_rating(605, 200), marts.pii_per_message(1, 16),"
            " marts.avg_response_time_ms(5, 2)"
        ).fetchall()
    assert found == [(3.03, 0.063, 3)]
