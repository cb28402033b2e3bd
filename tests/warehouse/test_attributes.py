"""Usage by attributes: those that the setting names, of the lake as far back as it goes."""

from __future__ import annotations

from typing import Any

import pytest

from installation import Installation, usage_event
from orchestration.settings import SettingsError, read_settings


def by_value(installation: Installation, attribute: str, what: str = "total_tokens") -> Any:
    """The sum by value."""
    rows = installation.marts(
        f"select value, cast(sum({what}) as bigint) as total from marts.usage_attribute_daily "
        f"where attribute = '{attribute}' group by all order by all"
    )
    return {row["value"]: row["total"] for row in rows}


def test_another_setting_fills_the_marts_from_the_lake(installation: Installation) -> None:
    """Of attributes, and of columns that the contract does not have; the first of both wins."""
    events = [
        usage_event(1, attributes={"team": "blue", "tier.of-user": "gold"}, region="eu"),
        usage_event(2, attributes={"team": "red"}, region="us", team="green"),
        usage_event(3, region="eu"),
    ]
    installation.drop("agent_usage_events", "a.ndjson", events)
    installation.run()
    assert by_value(installation, "team") == {}
    installation.environment.setenv("AGENTSTATS_ATTRIBUTES", "team, region,tier.of-user")
    installation.run()
    assert by_value(installation, "team") == {"(none)": 110, "blue": 110, "red": 110}
    assert by_value(installation, "region") == {"eu": 220, "us": 110}
    assert by_value(installation, "tier.of-user", "message_count") == {"(none)": 2, "gold": 1}
    names = installation.marts("select name from marts.attributes order by name")
    assert [row["name"] for row in names] == ["region", "team", "tier.of-user"]
    found = installation.fingerprints()
    installation.run()
    assert installation.fingerprints() == found
    installation.environment.setenv("AGENTSTATS_ATTRIBUTES", "region")
    installation.run()
    assert by_value(installation, "team") == {}


def test_a_value_that_is_a_label_is_another_one(installation: Installation) -> None:
    """It has a pair of brackets more, as has one that was delivered with more of them."""
    given = ["(none)", "((none))", "(other)", "(otherwise)", "none", "((none)", None]
    events = [
        usage_event(number, attributes=None if text is None else {"team": text})
        for number, text in enumerate(given)
    ]
    installation.drop("agent_usage_events", "a.ndjson", events)
    installation.environment.setenv("AGENTSTATS_ATTRIBUTES", "team")
    installation.run()
    assert by_value(installation, "team", "event_count") == dict.fromkeys(
        ["((none))", "(((none)))", "((other))", "(otherwise)", "none", "(((none))", "(none)"], 1
    )


def test_beyond_200_values_of_a_date_the_least_used_are_one(installation: Installation) -> None:
    """Of each customer, attribute and date the 200 of most tokens; ties go by bytes."""
    events = [
        usage_event(
            number, input_tokens=5 if number < 3 else 1, output_tokens=0, total_tokens=None,
            attributes={"user": f"v{number:03}"},
        )
        for number in range(203)
    ]  # fmt: skip
    others = [
        usage_event(300, attributes={"user": "v202"}, occurred_at="2026-02-28T08:00:00Z"),
        usage_event(301, attributes={"user": "v202"}, customer_id=2),
        usage_event(302),
    ]
    installation.drop("agent_usage_events", "a.ndjson", [*events, *others])
    installation.environment.setenv("AGENTSTATS_ATTRIBUTES", "user")
    installation.run()
    rows = installation.marts(
        "select customer_id, cast(occurred_date as varchar) as day, value, total_tokens "
        "from marts.usage_attribute_daily"
    )
    found = {(row["customer_id"], row["day"], row["value"]): row["total_tokens"] for row in rows}
    expected = {(1, "2026-03-01", f"v{number:03}"): 5 if number < 3 else 1 for number in range(200)}
    expected |= {
        (1, "2026-03-01", "(other)"): 3,
        (1, "2026-03-01", "(none)"): 110,
        (1, "2026-02-28", "v202"): 110,
        (2, "2026-03-01", "v202"): 110,
    }
    assert found == expected


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        ("a,b,c,d,e,f,g,h,i", "8 names at most"),
        ("team,team", "each name once"),
        ("team,a b", "'a b' must be"),
        ("team,,x", "'' must be"),
        ("x" * 65, "must be 1 to 64"),
    ],
)
def test_a_wrong_list_is_an_error_that_says_why(names: str, problem: str) -> None:
    """Before anything is read or built."""
    with pytest.raises(SettingsError, match=r"AGENTSTATS_ATTRIBUTES") as raised:
        read_settings({"AGENTSTATS_ATTRIBUTES": names})
    assert problem in str(raised.value)
