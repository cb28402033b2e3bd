"""Of two versions of a row one counts: the same for landing, the marts and the nightly deletion."""

from __future__ import annotations

from contextlib import closing

from installation import Installation, usage_event
from orchestration.lake.policy import policy_files, read_policies
from orchestration.storage.database import connect


def test_versions_of_one_time_have_one_winner_whatever_came_first(
    installation: Installation,
) -> None:
    """A tier that came twice, in both orders, with a time and without; and a streamed log."""
    delivered = {1: ("pro", "enterprise"), 2: ("enterprise", "pro"), 3: ("free", "pro")}
    for customer, tiers in delivered.items():
        updated_at = None if customer == 3 else "2026-02-01T00:00:00Z"
        for place, tier in enumerate(tiers):
            row = {"customer_id": customer, "tier": tier, "updated_at": updated_at}
            installation.drop("customers", f"{customer}-{place}.ndjson", [row])
    for place, tokens in enumerate((3, 427, 1)):
        row = usage_event(1, output_tokens=tokens, received_at=None)
        installation.drop("agent_usage_events", f"{place}.ndjson", [row])
    installation.run()

    in_marts = {
        row["customer_id"]: row["tier"]
        for row in installation.marts("select customer_id, tier from marts.customers")
    }
    with installation.ledger() as ledger, closing(connect(installation.settings)) as connection:
        policies = read_policies(connection, policy_files(installation.settings, ledger))
    assert {policy.customer_id: policy.tier for policy in policies.of_customers} == in_marts
    assert in_marts[1] == in_marts[2]
    (usage,) = installation.marts("select output_tokens::bigint as n from marts.customer_daily")
    assert usage["n"] == 427
