"""Values of every type arrive as they are, and those that break a rule are rejected one by one."""

from __future__ import annotations

from datetime import datetime

import pytest

from installation import Installation
from source.platform_rows import pull_and_land
from source.server import Server

pytestmark = pytest.mark.postgres

ID = "00000000-0000-0000-0000-00000000000"


def test_every_stream_arrives_with_its_values(server: Server, platform: Installation) -> None:
    """Enum, uuid, numeric, jsonb, times with and without zone, and nulls."""
    server.run(
        "insert into agent_usage_events values ('Ünï 🙂', 1, 11, 5, null, 7, 8, 16, 1499.5, "
        "'2026-03-01T09:00:00.123456+01', null)",
        f"insert into audit_events values ('{ID}1', 1, 11, 5, 'Ünï 🙂', 0.9375, null, "
        """'{"EMAIL": 2, "NÄME": 0}', '2026-03-01 08:00:00', '2026-03-01 08:00:05')""",
        "insert into feedback_events values (77, 1, 5, null, 4, 0, '2026-03-01T08:00:00Z', null)",
    )
    done, loads = pull_and_land(platform)
    assert not done.problems
    assert sum(load.rejected for load in loads) == 0
    (event,) = platform.lake("agent_usage_events")
    assert event["event_id"] == "Ünï 🙂"
    assert event["model_used"] is None or event["model_used"] == "unknown"
    assert event["response_time_ms"] == 1500
    assert event["is_total_mismatch"] is True
    assert event["occurred_at"] == datetime(2026, 3, 1, 8, 0, 0, 123456)
    assert event["received_at"] is None
    (found,) = platform.lake("audit_events")
    assert found["audit_id"] == f"{ID}1"
    assert found["toxicity_score"] == 0.9375
    assert found["pii_redactions"] == {"EMAIL": 2, "NÄME": 0}
    assert found["occurred_at"] == datetime(2026, 3, 1, 8)
    (stars,) = platform.lake("feedback_events")
    assert stars["feedback_id"] == "77" and stars["agent_id"] is None
    (customer,) = platform.lake("customers")
    assert customer["tier"] == "enterprise" and customer["retention_days"] == 2557


def test_a_value_that_does_not_fit_rejects_its_own_row(
    server: Server, platform: Installation
) -> None:
    """The others load; each of these is kept with its reason, as from a file."""
    server.run(
        "alter table agent_usage_events alter input_tokens type text, "
        "alter output_tokens type numeric",
        *(
            f"insert into agent_usage_events values ('{name}', {customer}, 11, 5, 'm', "
            f"{tokens_in}, {tokens_out}, null, {time}, '{at}', {received})"
            for name, customer, tokens_in, tokens_out, time, at, received in [
                ("good", 1, "'12'", "3.00", "0", "2026-03-01Z", "null"),
                ("word", 1, "'twelve'", "3", "0", "2026-03-01Z", "null"),
                ("fraction", 1, "'12'", "3.5", "0", "2026-03-01Z", "null"),
                ("nan", 1, "'12'", "'NaN'", "0", "2026-03-01Z", "null"),
                ("endless", 1, "'12'", "3", "'Infinity'", "2026-03-01Z", "null"),
                ("of no customer", -1, "'12'", "3", "0", "2026-03-01Z", "null"),
                ("never", 1, "'12'", "3", "0", "infinity", "null"),
                ("long ago", 1, "'12'", "3", "0", "0044-03-15 BC", "null"),
                ("received never", 1, "'12'", "3", "0", "2026-03-01Z", "'-infinity'"),
                ("far", 1, "'12'", "3", "0", "294276-12-31Z", "null"),
            ]
        ),
    )
    pull_and_land(platform)
    (load,) = [load for load in platform.loads().values() if load.stream == "agent_usage_events"]
    assert (load.rows_read, load.accepted, load.rejected) == (10, 1, 9)
    assert load.rejected_by_reason == {
        "invalid_customer_id": 1,
        "invalid_input_tokens": 1,
        "invalid_occurred_at": 3,
        "invalid_output_tokens": 2,
        "invalid_received_at": 1,
        "invalid_response_time_ms": 1,
    }


def test_names_may_be_anything_that_postgresql_allows(
    server: Server, platform: Installation
) -> None:
    """Schemas, tables and columns with capitals, spaces and quotes, by the settings."""
    server.run(
        'create schema "App Data"',
        'grant usage on schema "App Data" to reader',
        'create table "App Data"."Agents ""1""" as select agent_id as "Agent ""Id", customer_id, '
        'agent_type_id, agent_name as "select", updated_at from agents',
        'grant select on all tables in schema "App Data" to reader',
    )
    platform.environment.setenv(
        "AGENTSTATS_POSTGRES_TABLES", r'{"agents": "\"App Data\".\"Agents \"\"1\"\"\""}'
    )
    platform.environment.setenv(
        "AGENTSTATS_POSTGRES_COLUMNS",
        r'{"agents": {"agent_id": "Agent \"Id", "agent_name": "select"}}',
    )
    assert not pull_and_land(platform)[0].problems
    (agent,) = platform.lake("agents")
    assert (agent["agent_id"], agent["agent_name"]) == (11, "Ada")


def test_reference_tables_that_have_not_changed_make_no_load(
    server: Server, platform: Installation
) -> None:
    """They are read whole each time, and delivered only when they say something else."""
    pull_and_land(platform)
    assert len(platform.loads()) == 3
    done, loads = pull_and_land(platform)
    assert done.rows == 0 and not loads
    server.run("update customers set customer_name = 'Acme 2', updated_at = '2026-02-01Z'")
    _, loads = pull_and_land(platform)
    assert [load.stream for load in loads] == ["customers"]
