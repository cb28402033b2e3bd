"""Additivity, shown: whatever keys an analyst drops from a mart, the totals stay."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, combinations

import duckdb
import pytest

from api.installation import parsed_ahead
from orchestration.publication.descriptions import read_descriptions
from orchestration.warehouse import dbt
from published_demo import PublishedDemo

_DIMENSIONS = {
    *("model", "provider", "processing", "error_type", "entity_type", "load_bucket", "stream"),
    *("bucket_start", "occurred_date", "context_over_tokens", "is_context_assumed"),
    *("token_class", "usd_per_token", "is_price_assumed"),
}

# Marts of events: their measures are numbers, and everything else is a key.
FAMILIES = {
    "usage_quarter_hourly": ["customer_daily", "agent_daily", "model_daily",
                             "agent_type_model_daily", "provider_daily"],
    "errors_quarter_hourly": ["errors_daily"],
    "cost_quarter_hourly": ["cost_daily"],
    "compliance_quarter_hourly": ["compliance_daily", "compliance_agent_type_daily"],
    "pii_quarter_hourly": ["pii_daily", "pii_agent_type_daily"],
    "feedback_quarter_hourly": ["feedback_daily", "load_bucket_daily"],
}  # fmt: skip
MARTS = sorted(chain(FAMILIES, *FAMILIES.values()))


def _keys_and_measures(mart: str) -> tuple[list[str], list[str]]:
    columns = list(read_descriptions(dbt.parse_into(parsed_ahead()))[mart].columns)
    keys = [name for name in columns if name.endswith("_id") or name in _DIMENSIONS]
    return keys, [name for name in columns if name not in keys]


def _subsets(keys: list[str]) -> Iterator[tuple[str, ...]]:
    """Each subset of the keys; of many keys those of few of them, and all but one."""
    sizes = range(1, len(keys) + 1) if len(keys) <= 8 else (1, 2, len(keys) - 1, len(keys))
    return chain.from_iterable(combinations(keys, size) for size in sizes)


def _sums(measures: list[str]) -> str:
    """Each measure added up: numbers by their sum, lists by putting them together."""
    return ", ".join(
        f"list_sort(flatten(list({name}))) as {name}"
        if name in ("response_time_buckets", "time_to_first_token_buckets")
        else f"sum({name}) as {name}"
        for name in measures
    )


def _totals(connection: duckdb.DuckDBPyConnection, relation: str, measures: list[str]) -> object:
    return connection.execute(f"select {_sums(measures)} from {relation}").fetchall()


def test_every_mart_of_events_is_tested() -> None:
    """A mart that says its measures may be summed is one of those that are regrouped here."""
    promised = {
        name
        for name, each in read_descriptions(dbt.parse_into(parsed_ahead())).items()
        if "Additivity: every measure may be summed" in each.text
    }
    assert promised == set(MARTS)


@pytest.mark.parametrize("mart", MARTS)
def test_any_subset_of_the_keys_gives_the_same_totals(demo: PublishedDemo, mart: str) -> None:
    """Summed by each subset of its keys, and then in all, a mart gives the same as at once."""
    keys, measures = _keys_and_measures(mart)
    with demo.connect() as connection:
        at_once = _totals(connection, f"marts.{mart}", measures)
        for subset in _subsets(keys):
            by_subset = f"select {_sums(measures)} from marts.{mart} group by {', '.join(subset)}"
            assert _totals(connection, f"({by_subset})", measures) == at_once, subset


@pytest.mark.parametrize(
    ("quarter_hourly", "daily"),
    [(quarter_hourly, daily) for quarter_hourly, dailies in FAMILIES.items() for daily in dailies],
)
def test_a_daily_mart_and_its_quarter_hours_agree_by_any_subset_of_their_keys(
    demo: PublishedDemo, quarter_hourly: str, daily: str
) -> None:
    """By each subset of a daily mart's keys, its rows sum to what the quarter hours sum to."""
    keys, measures = _keys_and_measures(daily)
    with demo.connect() as connection:
        for subset in _subsets(keys):
            grouped = f"select {', '.join(subset)}, {_sums(measures)} from marts.{{}} group by all"
            a, b = grouped.format(quarter_hourly), grouped.format(daily)
            differing = connection.execute(
                f"select count(*) from (({a} except all {b}) union all ({b} except all {a}))"
            ).fetchall()
            assert differing == [(0,)], subset


def test_the_parts_of_every_ratio_stand_beside_each_other() -> None:
    """A sum that an average divides has its count in the same mart, and no mart has an average."""
    beside = [("response_time_ms_sum", "response_time_count"), ("rating_sum", "rating_count"),
              ("timed_output_tokens", "response_time_ms_sum")]  # fmt: skip
    for mart in MARTS:
        _, measures = _keys_and_measures(mart)
        for numerator, denominator in beside:
            assert numerator not in measures or denominator in measures, mart
        assert not [
            name
            for name in measures
            if name.startswith("avg_") or name.endswith(("_percent", "_per_message"))
        ], mart
