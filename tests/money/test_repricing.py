"""A price that changes reprices what has it, whichever way it comes, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from installation import Installation, installation_in, usage_event
from orchestration.cli import app
from orchestration.warehouse import rollups

NOW = "2026-11-28T12:00:00Z"
DATES = [f"2026-11-{day}" for day in (20, 21, 22, 23)]
CORRECTION = {
    "provider": "openai", "model": "gpt-5", "token_class": "input", "usd_per_million": 99.5,
    "valid_from": "2026-11-21", "valid_to": "2026-11-22 12:00", "updated_at": NOW,
}  # fmt: skip


@pytest.fixture
def installation(tmp_path: Path) -> Any:
    """Two customers with an event of two models in the morning and evening of four dates."""
    with installation_in(tmp_path / "home", NOW) as installed:
        installed.drop(
            "customers",
            "a.ndjson",
            [{"customer_id": number, "tier": "enterprise"} for number in (1, 2)],
        )
        events = [
            usage_event(
                number, customer_id=customer, agent_id=number + 1, model_used=model,
                occurred_at=f"{day}T{hour}:00:00Z", received_at=None,
                end_user_id=f"user-{number % 3}", session_id=f"session-{number % 5}",
            )
            for number, (customer, model, day, hour) in enumerate(
                (customer, model, day, hour)
                for customer in (1, 2)
                for model in ("gpt-5-2025-08-07", "claude-opus-5")
                for day in DATES
                for hour in ("09", "21")
            )
        ]  # fmt: skip
        installed.drop("agent_usage_events", "a.ndjson", events)
        installed.run()
        yield installed


def costs(installation: Installation) -> dict[tuple[Any, ...], str]:
    """By customer, model and quarter hour."""
    rows = installation.marts(
        "select customer_id, model, bucket_start, cost_usd from marts.usage_quarter_hourly"
    )
    return {
        (row["customer_id"], row["model"], str(row["bucket_start"])): str(row["cost_usd"])
        for row in rows
    }


def changed(
    before: dict[tuple[Any, ...], str], after: dict[tuple[Any, ...], str]
) -> set[tuple[Any, ...]]:
    """What costs something else now."""
    assert before.keys() == after.keys()
    return {key for key in before if before[key] != after[key]}


def rebuilt_dates(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The dates of usage events that a run rebuilds."""
    found: list[str] = []
    build = rollups.build

    def watched(settings: Any, scope: rollups.Scope, **rest: Any) -> Any:
        found.extend(map(str, scope.touched.get("agent_usage_events", [])))
        return build(settings, scope, **rest)

    with monkeypatch.context() as patched:
        patched.setattr(rollups, "build", watched)
        installation.run()
    return found


def test_a_corrected_price_is_that_of_its_model_and_span(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two dates are rebuilt; 100 tokens at 99.5 instead of 1.25; a full rebuild is the same."""
    before, marts = costs(installation), installation.fingerprints()
    installation.drop("prices", "a.ndjson", [CORRECTION])
    assert rebuilt_dates(installation, monkeypatch) == ["2026-11-21", "2026-11-22"]
    after = costs(installation)
    assert changed(before, after) == {
        (customer, "gpt-5-2025-08-07", f"2026-11-{at}:00:00")
        for customer in (1, 2)
        for at in ("21 09", "21 21", "22 09")
    }
    assert after[1, "gpt-5-2025-08-07", "2026-11-21 09:00:00"] == "0.010050000000"
    corrected = installation.fingerprints()
    installation.drop("prices", "again.ndjson", [CORRECTION])
    assert rebuilt_dates(installation, monkeypatch) == []
    assert installation.fingerprints() == corrected
    installation.run(full_refresh=True)
    assert installation.fingerprints() == corrected
    later = "2026-11-28T12:00:01Z"
    installation.drop(
        "prices", "c.ndjson", [CORRECTION | {"usd_per_million": None, "updated_at": later}]
    )
    assert rebuilt_dates(installation, monkeypatch) == ["2026-11-21", "2026-11-22"]
    assert installation.fingerprints() == marts


def test_a_customers_own_price_and_an_alias_change_what_they_are_about(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One customer's events of one model; then all events of one name."""
    before = costs(installation)
    own = {"customer_id": 2, "model": "gpt-5", "token_class": "output", "usd_per_million": 0}
    installation.drop("prices", "a.csv", [own])
    assert rebuilt_dates(installation, monkeypatch) == DATES
    with_own = costs(installation)
    assert {key[:2] for key in changed(before, with_own)} == {(2, "gpt-5-2025-08-07")}
    alias = {"model": "claude-opus-5", "provider": None, "priced_as": "openai/gpt-5"}
    installation.drop("model_aliases", "a.ndjson", [alias])
    assert rebuilt_dates(installation, monkeypatch) == DATES
    with_alias = costs(installation)
    assert {key[1] for key in changed(with_own, with_alias)} == {"claude-opus-5"}
    for customer in (1, 2):
        gpt, claude = (
            with_alias[customer, model, "2026-11-21 09:00:00"]
            for model in ("gpt-5-2025-08-07", "claude-opus-5")
        )
        assert gpt == claude


def test_a_threshold_of_a_delivered_price_is_looked_up_in_the_lake(
    installation: Installation,
) -> None:
    """Events of 100 tokens exceed 99, and not 100."""
    threshold: dict[str, Any] = {
        "model": "claude-opus-5",
        "token_class": "input",
        "usd_per_million": 50,
    }
    installation.drop("prices", "a.ndjson", [threshold | {"context_over_tokens": 100}])
    before = costs(installation)
    installation.run()
    assert changed(before, costs(installation)) == set()
    installation.drop("prices", "b.ndjson", [threshold | {"context_over_tokens": 99}])
    installation.run()
    assert {key[1] for key in changed(before, costs(installation))} == {"claude-opus-5"}
    contexts = installation.marts(
        "select distinct model, context_over_tokens as over from marts.usage_quarter_hourly"
    )
    assert {(row["model"], row["over"]) for row in contexts} == {
        ("gpt-5-2025-08-07", 0),
        ("claude-opus-5", 99),
    }


@pytest.mark.parametrize("step", ["hand_over", "build", "mark_rolled_up"])
def test_a_run_that_is_cut_off_leaves_its_prices_to_the_next(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Wherever that is: the marts come to what a full rebuild makes of them."""
    installation.drop("prices", "a.ndjson", [CORRECTION])
    whole: Callable[..., Any] = getattr(rollups, step)

    def cut_off(*arguments: Any, **rest: Any) -> Any:
        if step != "mark_rolled_up":
            whole(*arguments, **rest)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(rollups, step, cut_off)
        with pytest.raises(KeyboardInterrupt):
            installation.run()
    installation.run()
    found = installation.fingerprints()
    installation.run(full_refresh=True)
    assert installation.fingerprints() == found
    assert costs(installation)[1, "gpt-5-2025-08-07", "2026-11-21 09:00:00"] == "0.010050000000"


def test_dates_of_other_prices_are_rebuilt_without_the_lake(installation: Installation) -> None:
    """Failed attempts among them: no file is read, and a full rebuild makes the same marts."""
    failed = [
        usage_event(
            100 + number, customer_id=1, agent_id=1, model_used="gpt-5", input_tokens=20,
            output_tokens=0, total_tokens=None, cache_read_input_tokens=5, error_type=error,
            input_includes_cache=True, occurred_at="2026-11-21T15:00:00Z", received_at=None,
        )
        for number, error in enumerate(["timeout", "rate_limit", "timeout"])
    ]  # fmt: skip
    installation.drop("agent_usage_events", "failed.ndjson", failed)
    installation.run()
    installation.drop("prices", "a.ndjson", [CORRECTION])
    installation.run()
    # Two customers and a price.
    assert installation.last_run()["lake_read"]["rows"] == 3
    assert installation.last_run()["dates_rebuilt"] == {"agent_usage_events": 2}
    by_type = "select error_type, sum(cost_usd) as usd from marts.errors_daily group by all"
    # 15 tokens at 99.5 and 5 that are read from the cache at 0.125, each time.
    assert {row["error_type"]: str(row["usd"]) for row in installation.marts(by_type)} == {
        "timeout": "0.002986250000",
        "rate_limit": "0.001493125000",
    }
    found = installation.fingerprints()
    installation.run(full_refresh=True)
    assert installation.fingerprints() == found


@pytest.mark.parametrize("is_taken_back", [False, True])
def test_marts_that_are_repriced_by_half_are_brought_to_one_price(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, is_taken_back: bool
) -> None:
    """A run ends after the quarter hours and before the days; then the price may be as it was."""
    before = installation.fingerprints()
    installation.drop("prices", "a.ndjson", [CORRECTION])
    build = rollups.build

    def by_half(settings: Any, scope: rollups.Scope, **rest: Any) -> Any:
        build(settings, scope, **(rest | {"select": ["usage_quarter_hourly"]}))
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(rollups, "build", by_half)
        with pytest.raises(KeyboardInterrupt):
            installation.run()
    if is_taken_back:
        back = {"usd_per_million": None, "updated_at": "2026-11-28T12:00:01Z"}
        installation.drop("prices", "b.ndjson", [CORRECTION | back])
    installation.run()
    found = installation.fingerprints()
    assert (found == before) is is_taken_back
    installation.run(full_refresh=True)
    assert installation.fingerprints() == found


def test_a_home_folder_may_be_called_anything(tmp_path: Path) -> None:
    """Its name is no pattern where the names of models are looked up."""
    with installation_in(tmp_path / "home [1]*", NOW) as installed:
        event = usage_event(1, model_used="gpt-5", occurred_at="2026-11-20T09:00:00Z")
        installed.drop("agent_usage_events", "a.ndjson", [event | {"received_at": None}])
        installed.run()
        assert set(costs(installed).values()) == {"0.000225000000"}


def test_an_erased_customers_prices_are_gone(installation: Installation) -> None:
    """Everybody's stay; the price book is another one then."""
    own = {"model": "gpt-5", "token_class": "input", "usd_per_million": 7}
    installation.drop("prices", "a.ndjson", [own, own | {"customer_id": 2}])
    installation.run()
    count = "select count(*) as n from marts.price_book where source = 'delivered'"
    assert installation.marts(count) == [{"n": 2}]
    erased = CliRunner().invoke(app, ["erase", "--customer", "2"])
    assert erased.exit_code == 0, erased.output
    assert installation.marts(count) == [{"n": 1}]
    assert {key[0] for key in costs(installation)} == {1}


def test_a_price_that_breaks_a_rule_is_rejected_and_the_others_hold(
    installation: Installation,
) -> None:
    """Each with its reason; nothing stops."""
    good: dict[str, Any] = {"model": "m", "token_class": "input", "usd_per_million": "1.5"}
    wrong: dict[str, dict[str, Any]] = {
        "invalid_usd_per_million": {"usd_per_million": "1.0000001"},
        "invalid_token_class": {"token_class": "tokens"},
        "invalid_valid_from": {"valid_from": "2026-11-01 00:10"},
        "invalid_valid_to": {"valid_to": "soon"},
        "invalid_utc_from": {"utc_from": "24:00"},
        "invalid_utc_to": {"utc_to": "06:10"},
        "invalid_context_over_tokens": {"context_over_tokens": "-1"},
        "invalid_customer_id": {"customer_id": "0"},
        "missing_model": {"model": ""},
        "missing_token_class": {"token_class": None},
    }
    rows = [good, *(good | changes for changes in wrong.values()), good | {"usd_per_million": 1e6}]
    installation.drop("prices", "a.ndjson", rows)
    installation.drop("agent_usage_events", "b.ndjson", [usage_event(900, model_used="m",
                      occurred_at="2026-11-22T00:00:00Z")])  # fmt: skip
    installation.try_run()
    load = installation.loads()["prices/a.ndjson"]
    assert load.rejected_by_reason == dict.fromkeys(wrong, 1)
    assert (load.accepted, load.rows_read) == (2, len(rows))
    (row,) = installation.marts("select usd_per_token from marts.cost_daily where model = 'm'"
                                " and token_class = 'input'")  # fmt: skip
    assert str(row["usd_per_token"]) in ("0.000001500000", "1.000000000000")
