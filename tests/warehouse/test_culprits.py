"""A load that the marts cannot be built with is set aside, and the others are published."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from installation import Installation, usage_event
from orchestration import pipeline
from orchestration.landing import checks
from orchestration.warehouse.culprits import MOST, find_culprits

STREAM = "agent_usage_events"


def test_the_culprits_are_found_among_any_number_of_loads() -> None:
    """One or several, in few builds; none where it fails without any of them."""
    chance = random.Random(1)
    for size in (1, 2, 3, 17, 100):
        for wrong in range(min(size, MOST) + 1):
            culprits = set(chance.sample(range(size), wrong))
            tried: list[Sequence[int]] = []

            def fails_with(
                loads: Sequence[int],
                culprits: set[int] = culprits,
                tried: list[Sequence[int]] = tried,
            ) -> bool:
                tried.append(loads)
                return bool(culprits & set(loads))

            if culprits:
                assert set(find_culprits(range(size), fails_with)) == culprits
                assert len(tried) <= 1 + wrong * (size.bit_length() + 1)
    assert find_culprits(range(5), lambda _: True) == []


def test_a_load_that_cannot_be_rolled_up_is_set_aside(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its file, its rows and its counts; its duplicates in another file count as the other's."""
    with monkeypatch.context() as lenient:
        # As if landing had a rule too few: the sum of two such rows is no 64-bit integer.
        lenient.setattr(checks, "MAX_COUNT", 2**62)
        much = {"input_tokens": 2**62, "output_tokens": 0, "total_tokens": None}
        bad = [usage_event(1, **much), usage_event(2, **much), usage_event(3)]
        installation.drop(STREAM, "bad.ndjson", bad)
        with installation.ledger() as ledger:
            pipeline.land(installation.settings, ledger)
    good = [usage_event(3), usage_event(3, output_tokens=11), usage_event(4)]
    installation.drop(STREAM, "good.ndjson", good)
    outcome = installation.run()
    (line,) = outcome.set_aside
    assert line.startswith(f"{STREAM}/bad.ndjson was set aside: ")
    assert "failed with it, and not without it" in line
    failed = installation.settings.landing / "_failed" / STREAM
    assert (failed / "bad.ndjson").exists()
    assert "not without it" in (failed / "bad.ndjson.reason.txt").read_text()
    loads = installation.loads()
    assert (loads[f"{STREAM}/bad.ndjson"].status, loads[f"{STREAM}/bad.ndjson"].rows_read) == (
        *("failed", 0),
    )
    assert loads[f"{STREAM}/good.ndjson"].accepted == 2
    assert {path.name[:20] for path in installation.settings.quarantine.rglob("*.parquet")} >= {
        loads[f"{STREAM}/bad.ndjson"].load_id
    }
    assert installation.marts("select sum(message_count) as n from marts.customer_daily") == [
        {"n": 2}
    ]
    assert installation.run("nightly").set_aside == []
