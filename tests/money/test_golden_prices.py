"""Cases with the amount that was worked out by hand, from a landing file to the API's JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from installation import Installation, installation_in, usage_event

NOW = "2026-11-28T12:00:00Z"
MILLION = 10**6


@dataclass(frozen=True)
class Case:
    """An event of an agent of its own, and what it costs."""

    model: str
    at: str
    input_tokens: int
    output_tokens: int
    usd: str | None
    """As it is shown; None where all tokens are unpriced."""
    unpriced: int = 0
    columns: dict[str, Any] = field(default_factory=dict)


def _with(includes_cache: bool, **columns: Any) -> dict[str, Any]:
    return {"input_includes_cache": includes_cache, **columns}


GPT_5 = _with(True, cache_read_input_tokens=40_000, reasoning_output_tokens=6_000)
NOVEMBER = "2026-11-01T10:00:00Z"

# Prices per million tokens are beside each group, as the providers publish them.
CASES = [
    # o3: 10 in, 40 out until 2025-06-09; 2 and 8 from then on.
    Case("o3", "2025-06-09T23:59:59.999999Z", MILLION, MILLION, "50.000000"),
    Case("o3", "2025-06-10T00:00:00Z", MILLION, MILLION, "10.000000"),
    Case("gpt-5.6", "2026-08-20T12:00:00Z", 100_000, 100_000, "3.500000"),
    Case("gpt-5.6", "2026-08-21T00:00:00Z", 100_000, 100_000, "2.400000"),
    # claude-opus-4-6: above 200,000 tokens 10 in and 37.50 out, until that ended.
    Case("claude-opus-4-6", "2026-03-12T12:00:00Z", 300_000, 1_000, "3.037500"),
    Case("claude-opus-4-6", "2026-03-13T00:00:00Z", 300_000, 1_000, "1.525000"),
    # claude-sonnet-4-5: 3 in and 15 out; above 200,000 tokens 6 and 22.50, for all tokens.
    Case("claude-sonnet-4-5", NOVEMBER, 200_000, 1_000, "0.615000"),
    Case("claude-sonnet-4-5", NOVEMBER, 200_001, 1_000, "1.222506"),
    # What the cache has to do with is part of the input that a threshold is about.
    Case("claude-sonnet-4-5", NOVEMBER, 100_000, 1_000, "0.345000",
         columns=_with(False, cache_read_input_tokens=100_000)),
    Case("claude-sonnet-4-5", NOVEMBER, 100_000, 1_000, "0.682501",
         columns=_with(False, cache_read_input_tokens=100_001)),
    # 10 · 5 + 1,000 · 0.5 + 300 · 6.25 + 200 · 10 + 40 · 25 + 60 · 25 millionths.
    Case("claude-opus-4-7", NOVEMBER, 10, 100, "0.006925",
         columns=_with(False, cache_read_input_tokens=1_000, cache_write_input_tokens=500,
                       cache_write_1h_input_tokens=200, reasoning_output_tokens=40)),
    Case("gpt-5.4", NOVEMBER, 272_000, 1_000, "0.695000"),
    Case("gpt-5.4", NOVEMBER, 272_001, 1_000, "1.382505"),
    Case("gpt-5.4", NOVEMBER, 272_001, 1_000, "1.390005", columns={"processing": "priority"}),
    # Flex, priority and batch have prices of their own from some day on; before, standard's.
    Case("gpt-5", "2026-10-11T12:00:00Z", 100_000, 10_000, "0.180000",
         columns={**GPT_5, "processing": "flex"}),
    Case("gpt-5", "2026-10-12T12:00:00Z", 100_000, 10_000, "0.090000",
         columns={**GPT_5, "processing": "flex"}),
    Case("gpt-5", "2026-10-12T12:00:00Z", 100_000, 10_000, "0.360000",
         columns={**GPT_5, "processing": "priority"}),
    Case("gpt-5", "2026-10-13T12:00:00Z", 100_000, 10_000, "0.180000",
         columns={**GPT_5, "processing": "batch"}),
    Case("gpt-5", "2026-10-14T12:00:00Z", 100_000, 10_000, "0.090000",
         columns={**GPT_5, "processing": "batch"}),
    # 400 audio from the cache · 0.1 + 100 others · 0.03 + 400 audio · 1 + 100 · 0.3 millionths.
    Case("gemini-2.5-flash", NOVEMBER, 1_000, 0, "0.000473",
         columns=_with(True, audio_input_tokens=800, cache_read_input_tokens=500,
                       cache_read_audio_input_tokens=400)),
    Case("mistral-large-4", "2026-10-19T23:59:59.999999Z", MILLION, MILLION, "2.770000"),
    Case("mistral-large-4", "2026-10-20T00:00:00Z", MILLION, MILLION, "5.540000"),
    Case("mistral-large-4", "2026-10-29T00:00:00Z", MILLION, MILLION, "2.800000"),
    # No price for an hour in the cache: that of what is written to it.
    Case("gpt-5.6", NOVEMBER, 1_000, 0, "0.005000",
         columns=_with(True, cache_write_1h_input_tokens=1_000)),
    Case("claude-opus-5", NOVEMBER, 1_000, 1_000, "0.030000"),
    Case("claude-opus-5", NOVEMBER, 1_000, 1_000, "0.060000", columns={"processing": "fast"}),
    # Free by its name; listed without a price; not listed at all.
    Case("deepseek/deepseek-r1:free", NOVEMBER, 1_000, 1_000, "0.000000",
         columns={"provider": "openrouter"}),
    Case("gpt-4o", NOVEMBER, 1_000, 1_000, None, 2_000, {"provider": "github-copilot"}),
    Case("claude-nonexistent-9", NOVEMBER, 1_000, 0, None, 1_000),
    # The parts of the input exceed it: that side has no price.
    Case("claude-opus-4-7", NOVEMBER, 10, 100, "0.002500", 10,
         _with(True, cache_read_input_tokens=1_000)),
    # deepseek-flash by the hour of UTC: 0.15 and 0.60, double from 1 to 4 and from 6 to 10.
    Case("deepseek-flash", "2026-11-02T00:59:59Z", MILLION, MILLION, "0.750000"),
    Case("deepseek-flash", "2026-11-02T01:00:00Z", MILLION, MILLION, "1.500000"),
    Case("deepseek-flash", "2026-11-02T04:00:00Z", MILLION, MILLION, "0.750000"),
    Case("deepseek-flash", "2026-11-02T09:59:59Z", MILLION, MILLION, "1.500000"),
    Case("deepseek-flash", "2026-11-02T10:00:00Z", MILLION, MILLION, "0.750000"),
    # Another provider's model, under a dated name with and without dashes.
    Case("gpt-5-2025-08-07", NOVEMBER, MILLION, 0, "1.250000"),
    Case("gpt-5-20250807", NOVEMBER, MILLION, 0, "1.250000", columns={"provider": "openai"}),
    # Several requests in one row: as if none of them had exceeded a threshold.
    Case("claude-sonnet-4-5", NOVEMBER, 300_000, 1_000, "0.915000",
         columns={"model_requests": 3}),
    Case("claude-sonnet-4-5", NOVEMBER, 300_000, 1_000, "1.822500",
         columns={"model_requests": 1}),
    # A failed attempt costs what its tokens cost.
    Case("claude-opus-5", NOVEMBER, 1_000, 0, "0.005000", columns={"error_type": "timeout"}),
    # An unknown processing takes standard's prices; a provider that no list knows has none.
    Case("claude-opus-5", NOVEMBER, 1_000, 1_000, "0.030000", columns={"processing": "turbo"}),
    Case("claude-opus-5", NOVEMBER, 1_000, 1_000, None, 2_000, {"provider": "my own cloud"}),
]  # fmt: skip


@pytest.fixture(scope="module")
def priced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """All cases landed and published, each event of an agent of its own."""
    with installation_in(tmp_path_factory.mktemp("prices") / "home", NOW) as installation:
        installation.drop(
            "customers",
            "a.ndjson",
            [{"customer_id": 1, "tier": "enterprise", "retention_days": 2557,
              "updated_at": "2025-01-01T00:00:00Z"}],
        )  # fmt: skip
        events = [
            usage_event(
                number, agent_id=number, model_used=case.model, occurred_at=case.at,
                received_at=None, total_tokens=None, input_tokens=case.input_tokens,
                output_tokens=case.output_tokens, **case.columns,
            )
            for number, case in enumerate(CASES, start=1)
        ]  # fmt: skip
        for name, some in (("a.ndjson", events[::2]), ("b.parquet", events[1::2])):
            installation.drop("agent_usage_events", name, some)
        installation.run()
        yield installation


def test_each_event_costs_what_was_worked_out_by_hand(priced: Installation) -> None:
    """`cost_usd` and `unpriced_tokens` of its agent, in the API's answer."""
    with priced.client() as client:
        rows = client.get(
            "/api/stats/usage/by-agent?days=2557", headers={"X-API-Key": priced.key(1)}
        ).json()
    found = {row["agent_id"]: (row["cost_usd"], row["unpriced_tokens"]) for row in rows}
    assert found == {
        number: (case.usd, case.unpriced) for number, case in enumerate(CASES, start=1)
    }


def test_nothing_is_rounded_before_it_is_shown(priced: Installation) -> None:
    """Half a millionth of a dollar is in the mart."""
    (row,) = priced.marts(
        "select cost_usd from marts.usage_quarter_hourly where context_over_tokens = 200000 "
        "and cache_read_input_tokens = 100001"
    )
    assert str(row["cost_usd"]) == "0.682500600000"


def test_classes_models_and_days_add_up_to_the_whole(priced: Installation) -> None:
    """Whatever the figures are split by, and in each zone."""
    headers = {"X-API-Key": priced.key(1)}
    with priced.client() as client:
        whole = client.get("/api/stats/cost/summary?days=2557", headers=headers).json()
        micro = _micro(whole["cost_usd"])
        for part in ("by_token_class", "by_model"):
            parts = sum(_micro(row["cost_usd"]) for row in whole[part])
            assert abs(parts - micro) <= len(whole[part])
        for tz in ("UTC", "Asia/Kathmandu", "America/New_York", "Pacific/Apia", "Europe/Paris"):
            for group in ("model", "token_class", "processing", "error_type", "hour_of_day"):
                asked = {"metrics": "cost_usd,unpriced_tokens", "group_by": group, "tz": tz,
                         "start": "2025-06-01", "limit": "2"}  # fmt: skip
                answer = client.get("/api/stats/query", params=asked, headers=headers).json()
                rows = answer["rows"] + answer["other"]
                assert sum(row["unpriced_tokens"] for row in rows) == whole["unpriced_tokens"]
                assert abs(sum(_micro(row["cost_usd"]) for row in rows) - micro) <= len(rows)
    assert not whole["complete"]
    sums = "select sum(cost_usd) as usd, sum(unpriced_tokens) as unpriced from marts."
    marts = {
        mart: priced.marts(f"{sums}{mart}")
        for mart in ("usage_quarter_hourly", "cost_quarter_hourly", "cost_daily", "customer_daily",
                     "agent_daily", "model_daily", "agent_type_model_daily", "provider_daily")
    }  # fmt: skip
    assert len({str(rows) for rows in marts.values()}) == 1, marts


def test_names_without_a_price_are_named(priced: Installation) -> None:
    """With their tokens; a class that exceeds its side is among them."""
    found = priced.marts("select provider, model, unpriced_tokens from marts.unpriced_models")
    assert {tuple(row.values()) for row in found} == {
        ("unknown", "claude-nonexistent-9", 1_000),
        ("github-copilot", "gpt-4o", 2_000),
        ("my own cloud", "claude-opus-5", 2_000),
        ("unknown", "claude-opus-4-7", 10),
    }


def _micro(usd: str | None) -> int:
    return int((usd or "0.000000").replace(".", ""))
