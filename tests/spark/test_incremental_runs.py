"""A full build, then incremental runs with late, repeated, changed and vanished data."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from installation import Installation
from orchestration import pipeline
from orchestration.cli.deletion import erase
from spark.deliveries import NOW, write_customers
from spark.engine_pair import EnginePair, copy_landing
from spark.generated import (
    DAYS_OF_ERASED,
    DAYS_OF_RETIRED,
    ERASED,
    EVENTS,
    LAPSED,
    RUNS,
    deliver_an_hour,
)

pytestmark = pytest.mark.spark


def test_a_full_build_makes_the_same_marts(generated: EnginePair) -> None:
    """Row by row and type by type, and all events are in them."""
    assert generated.differences() == []
    (counted,) = generated.spark.marts(
        "select sum(message_count)::bigint as messages from marts.customer_daily"
    )
    assert counted["messages"] >= EVENTS * 0.8


def test_every_incremental_run_leaves_the_same_marts(generated: EnginePair, tmp_path: Path) -> None:
    """After each of them: no run builds anything in full, and none leaves a difference."""
    for number in range(1, RUNS + 1):
        deliver_an_hour(tmp_path / f"hour-{number}", number)
        now = (NOW + timedelta(hours=number)).isoformat()
        for engine in generated.engines:
            installation = generated.turn_to(engine)
            installation.set_clock(now)
            copy_landing(tmp_path / f"hour-{number}")(installation)
            installation.run()
            assert installation.last_run()["full_refresh"] is False
            assert installation.last_run()["marts_changed"] is True
        assert generated.differences() == [], f"after run {number}"


def test_a_date_whose_events_are_past_retention_is_empty(
    generated: EnginePair, tmp_path: Path
) -> None:
    """A customer's tier lapses: by night its dates vanish from the lake, and so from the marts."""
    assert all(traces_of_dates(generated, DAYS_OF_RETIRED).values())
    write_customers(tmp_path, "lapsed", LAPSED, "2026-02-01")
    generated.each(copy_landing(tmp_path))
    generated.each(land)
    generated.run("nightly")
    assert generated.differences() == []
    assert not any(traces_of_dates(generated, DAYS_OF_RETIRED).values())


def test_a_date_whose_events_are_erased_is_empty(generated: EnginePair) -> None:
    """An erasure reaches the tables of Spark, and proves it by a search of them."""
    assert all(traces_of_dates(generated, DAYS_OF_ERASED).values())
    generated.each(lambda _: erase(customer=ERASED, as_json=True))
    assert generated.differences() == []
    assert not any(traces_of_dates(generated, DAYS_OF_ERASED).values())


def land(installation: Installation) -> None:
    """Land what waits, as any hourly run does, and no more."""
    with installation.ledger() as ledger:
        pipeline.land(installation.settings, ledger)


def traces_of_dates(pair: EnginePair, days: range) -> dict[str, int]:
    """What is there of the dates that the days before now lie on: rows of published marts on
    either engine, and files of Spark's own tables."""
    dates = [NOW.date() - timedelta(days=day) for day in range(days.start, days.stop + 1)]
    listed = ", ".join(f"date '{day}'" for day in dates)
    found = {}
    for mart in ("usage_quarter_hourly", "customer_daily", "compliance_daily", "pii_daily"):
        query = f"select count(*) as rows from marts.{mart} where occurred_date in ({listed})"
        for engine in pair.engines:
            found[f"{mart} by {engine}"] = pair.turn_to(engine).marts(query)[0]["rows"]
        found[f"files of {mart}"] = sum(
            len(list(pair.spark.settings.spark_tables.glob(f"*/{mart}/occurred_date={day}/*")))
            for day in dates
        )
    return found
