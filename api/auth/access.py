"""What a credential opens: whose data, of which agents, by which families of endpoints."""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property

STATISTICS = "/api/stats/"
NARROWABLE = frozenset(
    {"usage", "cost", "compliance", "feedback", "agent-types", "query", "explain", "metrics"}
)
"""Families whose every figure can be narrowed to some agents. All others are about the customer as
a whole, and refused to a token of some agents; so is a new family until it is listed here."""


@dataclass(frozen=True)
class Access:
    """What a verified credential opens. A key opens all of its customer's data."""

    customer_id: int
    agent_ids: tuple[int, ...] | None = None
    """The agents that every answer is narrowed to, ascending; None for all."""
    scope: frozenset[str] | None = None
    """Families of endpoints that may be asked; None for all."""

    @cached_property
    def place(self) -> tuple[int, str]:
        """Where what this access was answered is cached: customer, agents and scope."""
        if self.agent_ids is None and self.scope is None:
            return self.customer_id, ""
        narrowed = [self.agent_ids, None if self.scope is None else sorted(self.scope)]
        return self.customer_id, hashlib.sha256(json.dumps(narrowed).encode()).hexdigest()

    @property
    def headers(self) -> dict[str, str]:
        """What every answer says of a token that does not open all families."""
        return {} if self.scope is None else {"X-Scope": " ".join(sorted(self.scope))}

    def refusal_of(self, path: str) -> str | None:
        """Why the address `path` may not be asked with this access; None if it may."""
        family = family_of(path)
        if family is None:
            return None
        if self.scope is not None and family not in self.scope:
            return f"the token's scope does not have {family}"
        if self.agent_ids is not None and family not in NARROWABLE:
            return f"{family} is about the customer as a whole, and the token about some agents"
        return None


def family_of(path: str) -> str | None:
    """The family of an endpoint, `usage` of /api/stats/usage/summary; None of another address."""
    if not path.startswith(STATISTICS):
        return None
    return path.removeprefix(STATISTICS).partition("/")[0]
