"""What providers return for a response becomes the token classes that were worked out by hand.

The objects have the published shapes of each API; the numbers are made up. How their fields fill
the columns is what docs/events.md says.
"""

from __future__ import annotations

from typing import Any

import pytest

from installation import Installation, usage_event

OPENAI_CHAT = {
    "prompt_tokens": 2006,
    "completion_tokens": 300,
    "total_tokens": 2306,
    "prompt_tokens_details": {"cached_tokens": 1920, "audio_tokens": 30},
    "completion_tokens_details": {
        "reasoning_tokens": 192, "audio_tokens": 8, "accepted_prediction_tokens": 0,
        "rejected_prediction_tokens": 0,
    },
}  # fmt: skip
OPENAI_RESPONSES = {
    "input_tokens": 36,
    "input_tokens_details": {"cached_tokens": 4},
    "output_tokens": 87,
    "output_tokens_details": {"reasoning_tokens": 60},
    "total_tokens": 123,
}
ANTHROPIC = {
    "input_tokens": 21,
    "cache_creation_input_tokens": 1500,
    "cache_read_input_tokens": 4000,
    "cache_creation": {"ephemeral_5m_input_tokens": 1000, "ephemeral_1h_input_tokens": 500},
    "output_tokens": 393,
    "service_tier": "priority",
}
GEMINI = {
    "promptTokenCount": 700,
    "toolUsePromptTokenCount": 50,
    "cachedContentTokenCount": 600,
    "candidatesTokenCount": 120,
    "thoughtsTokenCount": 400,
    "totalTokenCount": 1270,
}
CONVERSE = {
    "inputTokens": 30, "outputTokens": 70, "totalTokens": 1300, "cacheReadInputTokens": 1000,
    "cacheWriteInputTokens": 200,
}  # fmt: skip
OPENTELEMETRY = {
    "gen_ai.provider.name": "aws.bedrock",
    "gen_ai.usage.input_tokens": 500,
    "gen_ai.usage.output_tokens": 40,
    "gen_ai.usage.cache_read.input_tokens": 450,
    "gen_ai.usage.cache_creation.input_tokens": 20,
}


def of_openai_chat(usage: dict[str, Any]) -> dict[str, Any]:
    """Columns of an event."""
    read, written = usage["prompt_tokens_details"], usage["completion_tokens_details"]
    return {
        "provider": "openai",
        "input_tokens": usage["prompt_tokens"],
        "input_includes_cache": True,
        "cache_read_input_tokens": read["cached_tokens"],
        "audio_input_tokens": read["audio_tokens"],
        "output_tokens": usage["completion_tokens"],
        "reasoning_output_tokens": written["reasoning_tokens"],
        "audio_output_tokens": written["audio_tokens"],
        "total_tokens": usage["total_tokens"],
    }


def of_openai_responses(usage: dict[str, Any]) -> dict[str, Any]:
    """The same of the newer API."""
    return {
        "provider": "OpenAI",
        "input_tokens": usage["input_tokens"],
        "input_includes_cache": True,
        "cache_read_input_tokens": usage["input_tokens_details"]["cached_tokens"],
        "output_tokens": usage["output_tokens"],
        "reasoning_output_tokens": usage["output_tokens_details"]["reasoning_tokens"],
        "total_tokens": usage["total_tokens"],
    }


def of_anthropic(usage: dict[str, Any]) -> dict[str, Any]:
    """What was read and written is beside the input."""
    return {
        "provider": "anthropic",
        "processing": usage["service_tier"],
        "input_tokens": usage["input_tokens"],
        "input_includes_cache": False,
        "cache_read_input_tokens": usage["cache_read_input_tokens"],
        "cache_write_input_tokens": usage["cache_creation_input_tokens"],
        "cache_write_1h_input_tokens": usage["cache_creation"]["ephemeral_1h_input_tokens"],
        "output_tokens": usage["output_tokens"],
        "total_tokens": None,
    }


def of_gemini(usage: dict[str, Any]) -> dict[str, Any]:
    """Thoughts are beside the candidates."""
    return {
        "provider": "google",
        "input_tokens": usage["promptTokenCount"] + usage["toolUsePromptTokenCount"],
        "input_includes_cache": True,
        "cache_read_input_tokens": usage["cachedContentTokenCount"],
        "output_tokens": usage["candidatesTokenCount"] + usage["thoughtsTokenCount"],
        "reasoning_output_tokens": usage["thoughtsTokenCount"],
        "total_tokens": usage["totalTokenCount"],
    }


def of_converse(usage: dict[str, Any]) -> dict[str, Any]:
    """Bedrock's own API counts as Anthropic's does, and its total has the cache."""
    return {
        "provider": "aws.bedrock",
        "input_tokens": usage["inputTokens"],
        "input_includes_cache": False,
        "cache_read_input_tokens": usage["cacheReadInputTokens"],
        "cache_write_input_tokens": usage["cacheWriteInputTokens"],
        "output_tokens": usage["outputTokens"],
        "total_tokens": usage["totalTokens"],
    }


def of_opentelemetry(attributes: dict[str, Any]) -> dict[str, Any]:
    """A span of GenAI, with the older name of what was written."""
    prefix = "gen_ai.usage"
    return {
        "provider": attributes["gen_ai.provider.name"],
        "input_tokens": attributes[f"{prefix}.input_tokens"],
        "input_includes_cache": True,
        "cache_read_input_tokens": attributes[f"{prefix}.cache_read.input_tokens"],
        "cache_write_input_tokens": attributes[f"{prefix}.cache_creation.input_tokens"],
        "output_tokens": attributes[f"{prefix}.output_tokens"],
        "total_tokens": None,
    }


WORKED_OUT = {
    "openai chat": (
        of_openai_chat(OPENAI_CHAT),
        # 2006 - 1920 - 30 = 56; 300 - 192 - 8 = 100.
        {"cache_read_input": 1920, "audio_input": 30, "input": 56, "reasoning_output": 192,
         "audio_output": 8, "output": 100},
    ),
    "openai responses": (
        of_openai_responses(OPENAI_RESPONSES),
        {"cache_read_input": 4, "input": 32, "reasoning_output": 60, "output": 27},
    ),
    "anthropic": (
        of_anthropic(ANTHROPIC),
        # 21 + 4000 + 1500 = 5521 in all, of which 21 have nothing to do with the cache.
        {"cache_read_input": 4000, "cache_write_1h_input": 500, "cache_write_input": 1000,
         "input": 21, "output": 393},
    ),
    "gemini": (
        of_gemini(GEMINI),
        # 750 - 600 = 150; 520 - 400 = 120.
        {"cache_read_input": 600, "input": 150, "reasoning_output": 400, "output": 120},
    ),
    "bedrock converse": (
        of_converse(CONVERSE),
        {"cache_read_input": 1000, "cache_write_input": 200, "input": 30, "output": 70},
    ),
    "opentelemetry": (
        of_opentelemetry(OPENTELEMETRY),
        {"cache_read_input": 450, "cache_write_input": 20, "input": 30, "output": 40},
    ),
}  # fmt: skip
"""By API: the columns, and how many tokens are of each class."""


@pytest.fixture(scope="module")
def classes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, int]]:
    """Of each API's response, the tokens by class as the API of a customer of its own has them."""
    found = {}
    with pytest.MonkeyPatch.context() as environment:
        home = tmp_path_factory.mktemp("providers") / "home"
        installation = Installation(home, environment, "2026-03-02T12:00:00Z")
        for customer, (columns, _) in enumerate(WORKED_OUT.values(), start=1):
            event = usage_event(customer, customer_id=customer, **columns)
            installation.drop("agent_usage_events", f"{customer}.ndjson", [event])
        installation.run()
        loads = installation.loads().values()
        assert [(load.rejected_by_reason, load.total_mismatches) for load in loads] == [
            ({}, 0)
        ] * len(WORKED_OUT)
        with installation.client() as client:
            for customer, name in enumerate(WORKED_OUT, start=1):
                answer = client.get(
                    "/api/stats/query?metrics=total_tokens&group_by=token_class&days=2",
                    headers={"X-API-Key": installation.key(customer)},
                ).json()
                found[name] = {row["token_class"]: row["total_tokens"] for row in answer["rows"]}
    return found


@pytest.mark.parametrize("api", WORKED_OUT)
def test_tokens_are_of_the_classes_worked_out(classes: dict[str, dict[str, int]], api: str) -> None:
    """None is counted twice, and none is lost, in either convention."""
    assert classes[api] == WORKED_OUT[api][1]
