"""Since when a customer is one, and its time zone: optional, and the newest that is given holds."""

from __future__ import annotations

import hashlib
from typing import Any

import duckdb
import pytest
from typer.testing import CliRunner

import api.windows
from installation import Installation
from orchestration import pipeline
from orchestration.cli import app
from orchestration.contract.zones import zone_names
from orchestration.storage.ledger import Load

FORMATS = ("a.parquet", "a.ndjson", "a.csv")


def customer(number: int, **changes: Any) -> dict[str, Any]:
    """A customer's row; `changes` replace or add columns."""
    return {"customer_id": number, "tier": "pro", "updated_at": "2026-02-01T08:00:00Z", **changes}


def land(installation: Installation) -> dict[str, Load]:
    """Land what waits; the loads of this landing by source file."""
    with installation.ledger() as ledger:
        return {load.source_file: load for load in pipeline.land(installation.settings, ledger)}


def in_marts(installation: Installation) -> dict[int, tuple[str | None, str | None]]:
    """(created_at, time_zone) of each customer that is published."""
    rows = installation.marts(
        "select customer_id, cast(created_at as varchar) as created_at, time_zone "
        "from marts.customers"
    )
    return {row["customer_id"]: (row["created_at"], row["time_zone"]) for row in rows}


@pytest.mark.parametrize("name", FORMATS)
def test_a_time_zone_that_there_is_not_is_taken_as_null_and_counted(
    installation: Installation, name: str
) -> None:
    """Whatever it is; a row without a zone, or with a blank one, is not counted."""
    written = {
        1: "Asia/Kathmandu",
        2: " Europe/Paris ",
        3: "asia/kathmandu",
        4: "Mars/Olympus",
        5: "+05:45",
        6: "x" * 300,
        7: "  ",
        8: None,
    }
    rows = [customer(number, time_zone=zone) for number, zone in written.items()]
    installation.drop("customers", name, rows)
    installation.drop("customers", f"again-{name}", rows[2:4])
    loads = land(installation)
    first, again = loads[f"customers/{name}"], loads[f"customers/again-{name}"]
    assert (first.accepted, first.rejected, first.unknown_time_zones) == (8, 0, 4)
    assert (again.duplicates, again.unknown_time_zones) == (2, 2)
    found = {row["customer_id"]: row["time_zone"] for row in installation.lake("customers")}
    assert {number: zone for number, zone in found.items() if zone} == {
        1: "Asia/Kathmandu",
        2: "Europe/Paris",
    }
    shown = CliRunner().invoke(app, ["status"], catch_exceptions=False).stdout
    assert "Time zones    6 rows of customers name none that there is" in shown


def test_a_nested_time_zone_is_none(installation: Installation) -> None:
    """An object or a list is no name; the row is kept."""
    installation.drop(
        "customers", "a.ndjson", [customer(1, time_zone={"a": 1}), customer(2, time_zone=["UTC"])]
    )
    (load,) = land(installation).values()
    assert (load.accepted, load.unknown_time_zones) == (2, 2)


def test_a_time_that_is_none_rejects_the_row(installation: Installation) -> None:
    """As every time of the contract does."""
    installation.drop("customers", "a.ndjson", [customer(1, created_at="yesterday")])
    (load,) = land(installation).values()
    assert load.rejected_by_reason == {"invalid_created_at": 1}


def test_the_newest_that_is_given_holds_whatever_comes_later(installation: Installation) -> None:
    """Each by itself; an unknown zone does not take the one before away, nor does an older row."""
    installation.drop("customers", "1.ndjson", [
        customer(1, time_zone="Asia/Tokyo", created_at="2025-05-01", updated_at="2026-02-02"),
        customer(2, time_zone="Asia/Tokyo"),
        customer(3),
    ])  # fmt: skip
    installation.run()
    installation.drop("customers", "2.ndjson", [
        customer(1, tier="free", updated_at="2026-02-03"),
        customer(1, time_zone="Europe/Paris", created_at="2024-01-01", updated_at="2026-02-01"),
        customer(2, time_zone="Mars/Olympus", created_at="2025-01-31", updated_at="2026-02-02"),
    ])  # fmt: skip
    installation.run()
    assert in_marts(installation) == {
        1: ("2025-05-01 00:00:00", "Asia/Tokyo"),
        2: ("2025-01-31 00:00:00", "Asia/Tokyo"),
        3: (None, None),
    }
    (tier,) = installation.marts("select tier from marts.customers where customer_id = 1")
    assert tier["tier"] == "free"


def test_lake_files_of_before_there_were_these_columns_are_read(
    installation: Installation,
) -> None:
    """By landing, which still knows its duplicates; by the marts, retention and erasure."""
    installation.drop("customers", "old.ndjson", [customer(1), customer(2, tier="free")])
    land(installation)
    with installation.ledger() as ledger:
        (path,) = ledger.lake_paths_of("customers")
        older = installation.settings.lake / path
        with duckdb.connect() as connection:
            connection.execute(
                "create table kept as select * exclude (created_at, time_zone) "
                f"from read_parquet('{older}')"
            )
            connection.execute(f"copy kept to '{older}' (format parquet)")
        digest = hashlib.sha256(older.read_bytes()).hexdigest()
        ledger._connection.execute(
            "update lake_file set sha256 = ?, bytes = ? where path = ?",
            (digest, older.stat().st_size, path),
        )
        ledger._connection.commit()
    installation.drop("customers", "again.ndjson", [customer(1), customer(2, tier="free")])
    installation.drop("customers", "new.ndjson", [customer(1, time_zone="Asia/Tokyo")])
    installation.run()
    assert installation.loads()["customers/again.ndjson"].duplicates == 2
    assert in_marts(installation) == {1: (None, "Asia/Tokyo"), 2: (None, None)}
    installation.run("nightly")
    assert CliRunner().invoke(app, ["erase", "--customer", "2"]).exit_code == 0
    assert list(in_marts(installation)) == [1]


def test_pipeline_and_api_know_the_same_zones() -> None:
    """Both take them from the pinned package; neither imports the other."""
    assert zone_names() == api.windows.zone_names()
    assert "Asia/Kathmandu" in zone_names()
