"""`agentstats erase`: one customer is gone from every file, the others are untouched."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import datetime
from typing import Any

import pytest
from typer.testing import CliRunner

from api.auth.keys import KeyStore
from installation import Installation, usage_event
from orchestration import pipeline
from orchestration.cli import app
from orchestration.contract.streams import MAX_TEXT_LENGTH
from orchestration.publication.export import export
from orchestration.retention import search
from orchestration.storage.ledger import Ledger
from retention.searching import files_that_hold
from retention.test_nightly_deletes import (
    customer,
    drop_needles,
    installation,
    needle,
    needles_of_events,
)

__all__ = ["installation"]

AT = "2026-03-01T08:00:00Z"


def drop_names(installation: Installation, number: int) -> list[str]:
    """Reference rows whose names are unique texts; returns those."""
    names = [needle(number, what) for what in ("agentname", "typename", "company", "typemodel")]
    installation.drop(
        "agents",
        f"agents-{number}.csv",
        [
            {
                "agent_id": 11,
                "customer_id": number,
                "agent_type_id": 5,
                "agent_name": names[0],
                "updated_at": AT,
            }
        ],
    )
    installation.drop(
        "agent_types",
        f"types-{number}.ndjson",
        [
            {
                "agent_type_id": 5,
                "customer_id": number,
                "agent_type_name": names[1],
                "model": names[3],
                "updated_at": AT,
            }
        ],
    )
    row = customer(number, "pro", customer_name=names[2], updated_at=AT)
    installation.drop("customers", f"named-{number}.csv", [row])
    return names


def erase(customer_id: int) -> dict[str, Any]:
    return reported("erase", "--customer", str(customer_id))


def reported(*command: str) -> dict[str, Any]:
    """The report of a command that must succeed; log lines come before it."""
    run = CliRunner().invoke(app, [*command, "--json"])
    assert run.exit_code == 0, run.output
    report: dict[str, Any] = json.loads(run.stdout[run.stdout.index("{\n") :])
    return report


def test_no_file_holds_a_byte_of_the_erased_customer(installation: Installation) -> None:
    """Names, events, rejected rows, keys, files that wait or failed, exports, notes: all gone."""
    for number in (1, 2):
        drop_needles(installation, number, AT)
    texts = [*needles_of_events(1), *drop_names(installation, 1), needle(1, "keyname")]
    others = drop_names(installation, 2)
    installation.run()
    KeyStore(installation.settings.keys_path).create(1, needle(1, "keyname"))
    other_key = installation.key(2)
    export(installation.settings, installation.home / "exports" / "all")
    (installation.home / "demo.json").write_text(
        json.dumps({"customer_id": 1, "customer_name": needle(1, "company")})
    )
    waits = usage_event(9, customer_id=1, event_id=needle(1, "waits"))
    installation.drop("agent_usage_events", "waits.ndjson", [waits])
    texts.append(needle(1, "waits"))
    assert set(texts) <= {
        text for found in files_that_hold(installation.home, texts).values() for text in found
    }

    report = erase(1)

    assert files_that_hold(installation.home, texts) == {}
    assert report["keys_deleted"] == 1
    proof = report["proof"]
    assert proof["hits"] == []
    assert proof["words_searched"] >= 5
    # The other customer is all there, in the lake, in the marts, and by its key.
    assert {row["event_id"] for row in installation.lake("agent_usage_events")} == {
        needle(2, "event"),
        needle(2, "zipped"),
    }
    assert [row["customer_name"] for row in installation.lake("customers")] == [
        "Customer 2",
        others[2],
    ]
    with installation.client() as client:
        answer = client.get("/api/stats/usage/summary", headers={"X-API-Key": other_key})
    assert answer.json()["total_messages"] == 2
    rows = installation.marts(
        "select table_name, cause, rows_deleted from marts.retention_ledger "
        "where customer_id = 1 order by table_name"
    )
    assert {row["cause"] for row in rows} == {"erasure"}
    assert {row["table_name"]: row["rows_deleted"] for row in rows} == {
        "agent_types": 1,
        "agent_usage_events": 3,
        "agents": 1,
        "api_keys": 1,
        "audit_events": 1,
        "customer": 0,
        "customers": 2,
        # One for each file of events, and the customer.
        "delivery_counts": 6,
        "feedback_events": 1,
        "rejected_rows": 1,
    }


def test_what_was_erased_does_not_come_back(installation: Installation) -> None:
    """Old events and old names delivered again are expired; later ones are a customer's again."""
    drop_needles(installation, 1, AT)
    names = drop_names(installation, 1)
    installation.run()
    erase(1)
    drop_needles(installation, 1, AT)
    drop_names(installation, 1)
    installation.drop(
        "agent_usage_events",
        "same-day.ndjson",
        [usage_event(5, occurred_at="2026-03-01T08:59:00Z")],
    )
    installation.run()
    loads = installation.loads()
    assert loads["agent_usage_events/same-day.ndjson"].rejected_by_reason == {"expired": 1}
    assert loads["agents/agents-1.csv"].rejected_by_reason == {"expired": 1}
    assert installation.lake("agents") == []
    installation.run("nightly")
    assert files_that_hold(installation.home / "lake", [*needles_of_events(1), *names]) == {}

    installation.set_clock("2026-03-02T12:00:00Z")
    again = customer(1, "pro", updated_at="2026-03-02T00:00:00Z")
    installation.drop("customers", "again.csv", [again])
    new = usage_event(6, occurred_at="2026-03-02T00:00:00Z")
    installation.drop("agent_usage_events", "new.ndjson", [new])
    installation.run()
    with installation.client() as client:
        answer = client.get(
            "/api/stats/usage/summary?days=90", headers={"X-API-Key": installation.key(1)}
        )
    assert answer.json()["total_messages"] == 1
    assert answer.headers["X-Covered-From"] == "2026-03-02"


def test_erasing_twice_is_erasing_once(installation: Installation) -> None:
    """The second time nothing is there to delete, and the search finds nothing."""
    drop_needles(installation, 1, AT)
    installation.run()
    first, second = erase(1), erase(1)
    assert first["rows_deleted"] == 6
    assert second["rows_deleted"] == 0


def test_a_name_of_any_length_and_a_part_of_anothers_text_are_erased(
    installation: Installation,
) -> None:
    """The longest name, a rejected megabyte, and names that another customer's text holds."""
    drop_needles(installation, 1, AT)
    drop_needles(installation, 2, AT)
    ending = " and Acme One"
    long = needle(1, "long").ljust(MAX_TEXT_LENGTH - len(ending), "x")
    longer = needle(1, "longer") + "x" * 1_000_000
    names = [(1, long), (1, longer), (1, ".*| (a) \\ needle"), (1, "Acme One"), (2, long + ending)]
    for number, name in names:
        row = customer(number, "pro", customer_name=name, updated_at=AT)
        file = f"{number}-{len(name)}.ndjson"
        installation.drop("customers", file, [row])
    with closing(Ledger(installation.settings.ledger_path)) as ledger:
        pipeline.land(installation.settings, ledger)
        words = search.words_of(installation.settings, ledger, 1)
    landed = installation.loads()
    assert landed[f"customers/1-{len(longer)}.ndjson"].rejected_by_reason == {
        "invalid_customer_name": 1
    }
    assert landed[f"customers/2-{MAX_TEXT_LENGTH}.ndjson"].accepted == 1
    assert not {long, "Acme One"} & set(words)
    assert ".*| (a) \\ needle" in words
    report = erase(1)
    assert report["proof"]["hits"] == []
    assert files_that_hold(installation.home / "lake", [needle(1, "longer")]) == {}


@pytest.mark.parametrize("name", ["kept.csv", "kept.parquet", "kept.ndjson.gz"])
def test_the_search_finds_what_is_left(installation: Installation, name: str) -> None:
    """A copy that somebody put below the home folder is a hit, packed or not."""
    drop_needles(installation, 1, AT)
    installation.run()
    copy = usage_event(1, customer_id=1, event_id=needle(1, "event"))
    installation.drop("agent_usage_events", name, [copy]).rename(installation.home / name)
    with closing(Ledger(installation.settings.ledger_path)) as ledger:
        words = search.words_of(installation.settings, ledger, 1)
    assert needle(1, "event") in words
    found = search.search(installation.settings, 1, words)
    assert name in {hit.file for hit in found.hits}


def test_dry_run_lists_what_would_go(installation: Installation) -> None:
    """Per customer and table, with the cutoff; and nothing is deleted."""
    drop_needles(installation, 1, AT)
    installation.run()
    installation.set_clock("2026-03-09T03:00:00Z")
    report = reported("retention", "--dry-run")
    cutoff = datetime(2026, 3, 2).isoformat()
    assert [
        (group["customer_id"], group["table_name"], group["cutoff"][:19], group["rows"])
        for group in report["groups"]
    ] == [
        (1, "agent_usage_events", cutoff, 2),
        (1, "audit_events", cutoff, 1),
        (1, "delivery_counts", cutoff, 5),
        (1, "feedback_events", cutoff, 1),
        (1, "rejected_rows", cutoff, 1),
    ]
    # Those five, counts aside, and the two rows of customers.
    assert report["rows_in_lake"] == 7
    assert len(installation.lake("agent_usage_events")) == 2
    assert CliRunner().invoke(app, ["retention"]).exit_code == 2
