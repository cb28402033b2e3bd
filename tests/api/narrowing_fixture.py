"""Rows of several agents, those of some of them alone, and questions that can be narrowed."""

import dataclasses
from typing import Any

from snapshot_fixture import ACME, Marts, ratings, sample, usage

STATS = "/api/stats"
NARROWABLE = (
    "usage/summary?days=30&compare=previous",
    "usage/summary?days=1",
    "usage/by-agent?days=90",
    "usage/by-agent?days=90&limit=1&offset=1",
    "usage/by-agent?days=90&format=csv",
    "usage/by-agent-type?days=30",
    "usage/by-model?days=90&limit=1",
    "usage/by-model?days=5&tz=Asia/Kathmandu",
    "usage/timeline?days=10&tz=Asia/Kathmandu",
    "usage/latency?days=90&by=agent",
    "usage/latency?days=90&by=agent-type",
    "usage/latency?days=5&by=day",
    "compliance/summary?days=30&compare=week",
    "compliance/by-agent-type?days=30",
    "compliance/timeline?days=10&format=csv",
    "feedback/summary?days=30&compare=month",
    "feedback/by-agent-type?days=30",
    "feedback/timeline?days=10",
    "agent-types/comparison?days=90",
    "agent-types/comparison?days=5&tz=Asia/Kathmandu",
    "query?metrics=total_tokens,active_agents&group_by=model&days=90&limit=1",
    "query?metrics=total_tokens&group_by=agent_id&granularity=day&days=10",
    "query?metrics=error_count,error_rate_percent&group_by=error_type&days=30",
    "query?metrics=total_messages&agent_id=42&agent_id=43&agent_id=44&days=90&compare=previous",
    "query?metrics=response_time_p95,total_messages&group_by=hour_of_day&days=90",
    "query?metrics=pii_per_message,pii_redactions&group_by=entity_type&days=30",
    "query?metrics=ratings,average_rating&group_by=load_bucket&rating=4&rating=5&days=30",
    "query?metrics=total_tokens&group_by=token_class&days=30&format=csv",
    "query?metrics=cost_usd,cost_per_message_usd&group_by=model&days=30&order_by=-cost_usd",
    "query?metrics=cost_usd,unpriced_tokens&group_by=token_class&granularity=week&days=30",
    "query?metrics=cost_per_good_rating_usd,cost_usd&days=90",
    "cost/summary?days=90",
    "cost/summary?days=5&tz=Asia/Kathmandu",
    "explain?metric=total_tokens&days=7",
    "explain?metric=total_messages&days=7&tz=Asia/Kathmandu&compare=week",
    "metrics",
)
OF_THE_WHOLE = (
    *("data-quality", "retention", "account", "receipt?metric=total_tokens"),
    *("forecast?metric=total_messages&until=day", "forecast?metric=cost_usd&until=week"),
    "budgets",
)
WITH_AGENT = {"usage": 1, "errors": 1, "compliance": 8, "pii": 5, "feedback": 11}
"""Where each list of rows has the agent."""


def more_than_the_sample() -> Marts:
    """The sample, its scans and ratings of several agents, and what rates are made of."""
    found = sample()
    found.compliance = [
        (*row, 42 + number % 3, "gpt-4o") for number, row in enumerate(found.compliance)
    ]
    found.pii = [(*row, 42 + number % 3, "gpt-4o") for number, row in enumerate(found.pii)]
    found.feedback = [
        (*row, 42 + number % 3, "gpt-4o") for number, row in enumerate(found.feedback)
    ]
    # Ratings of no agent are the whole customer's alone; 45 has nothing but ratings.
    found.feedback.append((ACME, 5, "low", *ratings(7, 0, 0, 0, 0), "2026-03-10 00:00", 0, "m"))
    found.feedback.append((ACME, 5, "low", *ratings(0, 7, 0, 0, 0), "2026-03-10 00:00", 45, "m"))
    found.usage += [
        usage(ACME, 43, 5, "gpt-4o", "2026-03-08 09:00", [10, 20, 90], message_count=3,
              input_tokens=30, output_tokens=3),
        usage(ACME, 42, 5, "gpt-4o", "2026-03-08 09:00", [70], message_count=1,
              input_tokens=1, output_tokens=3),
        usage(ACME, 43, 6, "gpt-4o", "2026-01-08 09:00", message_count=9,
              input_tokens=900, output_tokens=3),
    ]  # fmt: skip
    return found


def of_agents(marts: Marts, agents: set[int], customer_id: int = ACME) -> Marts:
    """The rows of these agents of a customer and no others, but for names."""

    def is_of_them(name: str, row: tuple[Any, ...]) -> bool:
        agent = row[WITH_AGENT[name]] if len(row) > WITH_AGENT[name] else 1
        return row[0] == customer_id and agent in agents

    kept = {
        name: [row for row in getattr(marts, name) if is_of_them(name, row)] for name in WITH_AGENT
    }
    names = {
        "agents": [row for row in marts.agents if row[0] == customer_id and row[1] in agents],
        "agent_types": [row for row in marts.agent_types if row[0] == customer_id],
        "customers": [row for row in marts.customers if row[0] == customer_id],
    }
    return dataclasses.replace(Marts(), **kept, **names)
