"""The dbt project by itself: its unit tests, and what every model must have."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from api.installation import parsed_ahead
from installation import Installation, rating, scan, usage_event
from orchestration.contract.streams import STREAMS
from orchestration.warehouse.dbt import PROJECT, build, parse_into
from published_demo import CHECKOUT


@pytest.fixture(scope="module")
def manifest() -> dict[str, Any]:
    """What dbt makes of the project."""
    content: dict[str, Any] = json.loads(parse_into(parsed_ahead()).read_text())
    return content


def test_every_unit_test_of_the_models_passes(installation: Installation, tmp_path: Path) -> None:
    """dbt runs the unit tests over the tables of an empty installation."""
    installation.drop("customers", "c.csv", [{"customer_id": 1, "tier": "pro"}])
    installation.run()
    dbt = subprocess.run(
        [
            str(Path(sys.executable).with_name("dbt")),
            *("test", "--select", "test_type:unit", "--project-dir", str(PROJECT)),
            *("--profiles-dir", str(CHECKOUT), "--target-path", str(tmp_path / "target")),
            *("--log-path", str(tmp_path), "--no-use-colors"),
        ],
        env={
            **os.environ,
            "WAREHOUSE_PATH": str(installation.settings.warehouse),
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert dbt.returncode == 0, dbt.stdout
    results = json.loads((tmp_path / "target" / "run_results.json").read_text())["results"]
    tests = [result for result in results if result["unique_id"].startswith("unit_test.")]
    assert len(tests) >= 7
    assert {result["status"] for result in tests} == {"pass"}


def test_every_model_says_what_a_row_is_and_has_its_grain_tested(manifest: dict[str, Any]) -> None:
    """Descriptions begin with the grain; a test holds it, for all but two steps on the way."""
    untested = {"int_scans_flagged_once_per_message", "int_ids_on_two_dates"}
    tested = {
        node["attached_node"]
        for node in manifest["nodes"].values()
        if node["resource_type"] == "test"
        and (node.get("test_metadata") or {}).get("name") == "one_row_per"
    }
    for name, node in manifest["nodes"].items():
        if node["resource_type"] == "model":
            assert node["description"].startswith("One row per "), name
            assert name in tested or node["name"] in untested, name


def test_every_mart_is_contracted_and_every_column_described(manifest: dict[str, Any]) -> None:
    """What the API and analysts read cannot change unnoticed, nor be there unexplained."""
    marts = [
        node
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model" and node["schema"] == "marts"
    ]
    assert len(marts) >= 15
    for mart in marts:
        assert mart["contract"]["enforced"], mart["name"]
        for column in mart["columns"].values():
            assert column["description"], (mart["name"], column["name"])
            assert column["data_type"], (mart["name"], column["name"])
            if column["data_type"] == "bigint" and not column["name"].endswith("_id"):
                assert "Unit: " in column["description"], (mart["name"], column["name"])


def test_sources_are_what_landing_writes() -> None:
    """The event contract in YAML has the columns and types of the lake, in order."""
    text = (PROJECT / "models" / "staging" / "_staging__sources.yml").read_text()
    tables = {table["name"]: table for table in yaml.safe_load(text)["sources"][0]["tables"]}
    for stream in STREAMS:
        columns = [
            (column["name"], column["data_type"]) for column in tables[stream.name]["columns"]
        ]
        dated = [("is_repeat", "boolean"), ("occurred_date", "date")]
        if stream.name == "agent_usage_events":
            columns.remove(("extra", "map(varchar, varchar)"))
        derived = [] if stream.is_reference else dated
        assert columns == [*stream.lake_columns, *derived]


def test_only_engine_macros_know_an_engine() -> None:
    """Models and data tests call no function of one engine, and ask no target what it is."""
    engine_words = ("read_parquet", "unnest", "list_", "map_", "target.type", "is_incremental")
    for folder in ("models", "data_tests"):
        for path in (PROJECT / folder).rglob("*.sql"):
            found = [word for word in engine_words if word in path.read_text()]
            assert not found, (path.name, found)


def test_a_row_that_comes_twice_and_a_null_are_found_in_every_mart_of_dates(
    installation: Installation,
) -> None:
    """The grain is tested together with nulls: either of them fails a build."""
    installation.environment.setenv("AGENTSTATS_ATTRIBUTES", "team")
    events = [
        usage_event(1, end_user_id="u", session_id="s"),
        usage_event(2, error_type="timeout"),
    ]
    installation.drop("agent_usage_events", "a.ndjson", events)
    installation.drop("audit_events", "a.ndjson", [scan(1)])
    installation.drop("feedback_events", "a.ndjson", [rating(1)])
    installation.run()
    marts = sorted(
        path.stem
        for folder in ("daily", "quarter_hourly")
        for path in (PROJECT / "models" / "marts" / folder).glob("*.sql")
    )
    with duckdb.connect(str(installation.settings.warehouse)) as warehouse:
        for mart in marts:
            if mart in ("customer_daily", "delivery_quarter_hourly"):
                warehouse.execute(f"insert into marts.{mart} from marts.{mart}")
            else:
                (measure,) = warehouse.execute(
                    "select column_name from duckdb_columns() where schema_name = 'marts' and "
                    f"table_name = '{mart}' and data_type = 'BIGINT' order by column_index desc"
                ).fetchone()[:1]  # type: ignore[index]  # every mart has a measure
                warehouse.execute(f"update marts.{mart} set {measure} = null")

    results = build(
        installation.settings, select=["test_name:one_row_per"], exclude=[], full_refresh=False
    )

    # The recount, which comes after all of them, is skipped.
    failed = [
        result.unique_id.split(".")[2]
        for result in results
        if not result.is_ok and "reconciled_sums" not in result.unique_id
    ]
    assert len(failed) == len(marts) == 23
    assert all(any(name.startswith(f"one_row_per_{mart}_") for name in failed) for mart in marts)
