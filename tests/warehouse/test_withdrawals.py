"""A row with `deleted` true withdraws an event, in whatever order its versions come."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from installation import Installation, Row, installation_in, rating, scan, usage_event
from orchestration.cli import app
from orchestration.lake.compaction import compact
from orchestration.publication.publish import current_snapshot
from orchestration.storage.ledger import Ledger
from recount.deliveries import IDENTITIES, recount
from recount.quality import per_date
from torture.truth import Expected

NOW = "2026-03-01T12:00:00Z"
MAKES = {"agent_usage_events": usage_event, "audit_events": scan, "feedback_events": rating}
COUNTED = {
    "agent_usage_events": "select coalesce(sum(message_count), 0) as n from marts.customer_daily",
    "audit_events": "select coalesce(sum(scan_count), 0) as n from marts.compliance_daily",
    "feedback_events": "select coalesce(sum(rating_count), 0) as n from marts.feedback_daily",
}
# Its stream, name and rows.
LandingFile = tuple[str, str, Sequence[Mapping[str, Any]]]
USAGE = "agent_usage_events"
SENT = "2026-03-01T09:00:00Z"


def withdrawal(stream: str, number: int, **changes: Any) -> Row:
    """A row that withdraws an event, with no more than it needs."""
    made = MAKES[stream](number)
    needed = ("customer_id", IDENTITIES[stream], "occurred_at")
    return {**{name: made[name] for name in needed}, "deleted": True, **changes}


def counted(installation: Installation, stream: str) -> int:
    """Events of the stream that the marts count."""
    (row,) = installation.marts(COUNTED[stream])
    return int(row["n"])


def adds_up(installation: Installation) -> dict[str, Any]:
    """What `agentstats reconcile` finds; nothing differs."""
    found: dict[str, Any] = json.loads(CliRunner().invoke(app, ["reconcile", "--json"]).stdout)
    assert found["adds_up"], found
    return found


# What comes of an event by when its versions and withdrawals were received, in any order.
CASES: dict[str, tuple[list[int | None], list[int | None], int]] = {
    "withdrawn later": ([8], [9], 0),
    "withdrawn at the same time": ([9], [9], 0),
    "brought back": ([8, 10], [9], 1),
    "withdrawn earlier": ([10], [9], 1),
    "withdrawn again": ([8, 10], [9, 11], 0),
    "neither has a time": ([None], [None], 0),
    "withdrawn without a time": ([9], [None], 1),
    "an event without a time": ([None], [9], 0),
    "never there": ([], [9], 0),
}


@pytest.mark.parametrize("stream", MAKES)
def test_a_withdrawal_wins_over_every_version_that_is_not_newer(
    installation: Installation, stream: str
) -> None:
    """Each case in every order of arrival, each of its rows in a run of its own."""
    number = expected = 0
    rounds: list[list[Row]] = [[], [], [], []]
    withdrawals = 0
    for events, withdrawn, is_counted in CASES.values():
        kinds = [(hour, False) for hour in events] + [(hour, True) for hour in withdrawn]
        for order in itertools.permutations(kinds):
            number += 1
            expected += is_counted
            withdrawals += bool(withdrawn)
            for at, (hour, is_withdrawal) in zip(rounds, order, strict=False):
                received = hour and f"2026-03-01T{hour:02}:00:00Z"
                if is_withdrawal:
                    at.append(withdrawal(stream, number, received_at=received))
                else:
                    at.append(MAKES[stream](number, received_at=received))
    for place, rows in enumerate(rounds):
        installation.drop(stream, f"{place}.ndjson", rows)
        installation.run()
    assert counted(installation, stream) == expected
    found = adds_up(installation)
    assert found["withdrawn"] == withdrawals
    loads = installation.loads().values()
    assert sum(load.withdrawn for load in loads) == withdrawals
    assert sum(load.conflicting_duplicates for load in loads) == 0
    assert sum(load.accepted for load in loads) == withdrawals + sum(
        len(list(itertools.permutations([*events, *withdrawn])))
        for events, withdrawn, _ in CASES.values()
        if events
    )


@pytest.mark.parametrize("name", ["a.parquet", "a.ndjson", "a.csv"])
@pytest.mark.parametrize("stream", MAKES)
def test_a_file_of_withdrawals_needs_no_other_columns(
    installation: Installation, stream: str, name: str
) -> None:
    """And one of the same as is delivered before is a duplicate; so is one of another time of the
    date."""
    first = [MAKES[stream](1), MAKES[stream](2)]
    installation.drop(stream, "0.ndjson", first)
    written = [
        withdrawal(stream, 1, received_at=SENT),
        withdrawal(stream, 1, received_at=SENT),
        withdrawal(stream, 1, received_at=SENT, occurred_at="2026-03-01T08:20:00Z"),
        withdrawal(stream, 3, received_at=SENT),
    ]
    installation.drop(stream, name, written)
    installation.run()
    load = installation.loads()[f"{stream}/{name}"]
    assert (load.rows_read, load.accepted, load.duplicates) == (4, 2, 2)
    assert (load.withdrawn, load.conflicting_duplicates, load.unknown_columns) == (2, 0, 0)
    assert counted(installation, stream) == 1
    adds_up(installation)


def test_in_a_file_with_withdrawals_each_row_shows_what_it_lacks(
    installation: Installation,
) -> None:
    """What a withdrawal says besides is neither judged nor kept; a flag that is none is."""
    rows = [
        withdrawal(USAGE, 1, agent_id="x", input_tokens=-1, attributes={"a": [1]}, note="x"),
        withdrawal(USAGE, 2, deleted=False),
        usage_event(3, deleted=False, received_at=SENT),
        usage_event(3, deleted=None, received_at=SENT),
        usage_event(4, deleted="perhaps"),
        withdrawal(USAGE, 5, occurred_at=None),
        withdrawal(USAGE, 6, customer_id=0),
        withdrawal(USAGE, 7, received_at="yesterday"),
        withdrawal(USAGE, 8, occurred_at="2026-03-01T13:00:00Z"),
        withdrawal(USAGE, 9, received_at="2026-03-01T13:00:00Z"),
    ]
    installation.drop(USAGE, "a.ndjson", rows)
    installation.try_run()
    (load,) = installation.loads().values()
    assert (load.accepted, load.duplicates, load.withdrawn) == (3, 1, 2)
    assert load.rejected_by_reason == {
        "missing_agent_id": 1,
        "invalid_deleted": 1,
        "missing_occurred_at": 1,
        "invalid_customer_id": 1,
        "invalid_received_at": 1,
        "occurred_in_future": 1,
    }
    assert load.received_in_future == 1
    kept = {row["event_id"]: row for row in installation.lake(USAGE)}
    said = {name for name, value in kept["event-1"].items() if value is not None}
    assert said == {
        *("customer_id", "event_id", "occurred_at", "deleted", "is_repeat", "load_id"),
        *("model_used", "processing", "is_total_mismatch"),
    }
    assert (kept["event-1"]["model_used"], kept["event-1"]["is_total_mismatch"]) == (
        "unknown",
        False,
    )
    assert kept["event-3"]["deleted"] is None


def test_a_file_without_the_flag_needs_all_columns(installation: Installation) -> None:
    """As ever: what would be withdrawals is set aside."""
    row = {name: value for name, value in withdrawal(USAGE, 1).items() if name != "deleted"}
    installation.drop(USAGE, "a.csv", [row])
    installation.try_run()
    (load,) = installation.loads().values()
    assert "misses the required columns agent_id" in (load.failure or "")


def test_scans_and_ratings_of_a_withdrawn_event_stay(installation: Installation) -> None:
    """A scan that names no model loses that of its response."""
    installation.drop(USAGE, "a.ndjson", [usage_event(1)])
    installation.drop("audit_events", "a.ndjson", [scan(1)])
    installation.drop("feedback_events", "a.ndjson", [rating(1, event_id="event-1")])
    installation.run()
    model = "select model from marts.compliance_quarter_hourly"
    assert installation.marts(model) == [{"model": "claude-sonnet-4"}]
    installation.drop(USAGE, "b.ndjson", [withdrawal(USAGE, 1, received_at=SENT)])
    installation.run()
    assert [counted(installation, stream) for stream in MAKES] == [0, 1, 1]
    assert installation.marts(model) == [{"model": "unknown"}]


def test_a_withdrawal_of_another_date_leaves_the_event(installation: Installation) -> None:
    """It is the event of that date which it takes back; the nightly check names the id."""
    wrong = withdrawal(USAGE, 1, occurred_at="2026-02-28T23:59:59Z", received_at=SENT)
    installation.drop(USAGE, "a.ndjson", [usage_event(1), wrong])
    installation.run()
    assert counted(installation, USAGE) == 1
    (named,) = adds_up(installation)["on_two_dates"]
    assert (named["id"], named["occurred_dates"]) == ("event-1", "2026-02-28, 2026-03-01")


def test_receipt_and_status_say_how_many_are_withdrawn(installation: Installation) -> None:
    """Of the accepted rows; and so do the marts of deliveries and of loads."""
    installation.drop("customers", "a.csv", [{"customer_id": 1, "tier": "pro"}])
    installation.drop(USAGE, "a.ndjson", [usage_event(1), usage_event(2), usage_event(2)])
    installation.drop(USAGE, "b.ndjson", [withdrawal(USAGE, 1, received_at=SENT)])
    installation.run("nightly")
    installation.run()
    with installation.client() as client:
        asked: dict[str, str | int] = {"metric": "total_messages", "days": 7}
        key = {"X-API-Key": installation.key(1)}
        receipt = client.get("/api/stats/receipt", params=asked, headers=key).json()
        quality = client.get("/api/stats/data-quality", headers=key).json()
    assert receipt["value"] == 1
    assert receipt["rows"] == {"accepted": 3, "duplicates": 1, "rejected": 0, "withdrawn": 1}
    assert (quality["accepted"], quality["withdrawn"]) == (3, 1)
    for mart in ("load_ledger", "delivery_quarter_hourly"):
        (row,) = installation.marts(f"select sum(withdrawn)::bigint as n from marts.{mart}")
        assert row["n"] == 1, mart
    status = CliRunner().invoke(app, ["status"]).stdout
    assert "2 files: 4 read = 3 accepted (1 withdrawn) + 1 duplicates" in status
    assert (
        "1 of the accepted rows withdraw an event" in CliRunner().invoke(app, ["reconcile"]).stdout
    )


def test_a_merged_file_still_withdraws_what_comes_later(installation: Installation) -> None:
    """Until the date is past its retention; then withdrawal and event go together."""
    installation.drop("customers", "c.csv", [{"customer_id": 1, "tier": "free"}])
    for number in range(5):
        row = withdrawal(USAGE, number, received_at=SENT)
        installation.drop(USAGE, f"{number}.ndjson", [row])
        installation.run()
    with closing(Ledger(installation.settings.ledger_path)) as ledger:
        assert compact(installation.settings, ledger).files_before >= 5
    installation.drop(USAGE, "late.ndjson", [usage_event(number) for number in range(6)])
    installation.run()
    assert counted(installation, USAGE) == 1
    adds_up(installation)
    with closing(Ledger(installation.settings.ledger_path)) as ledger:
        (times,) = ledger.event_times()
    assert times.first_event_at.isoformat() == "2026-03-01T08:00:00+00:00"
    installation.environment.setenv("AGENTSTATS_RETENTION_MAX_DELETE_FRACTION", "1")
    installation.set_clock("2026-03-10T12:00:00Z")
    installation.run("nightly")
    assert installation.lake(USAGE) == []
    adds_up(installation)
    with closing(Ledger(installation.settings.ledger_path)) as ledger:
        assert ledger.deleted_events()[USAGE] == 6 + 5


def test_a_customer_is_erased_with_what_was_withdrawn(installation: Installation) -> None:
    """And another's withdrawals stay."""
    rows = [withdrawal(USAGE, 1, customer_id=each, received_at=SENT) for each in (1, 2)]
    installation.drop(USAGE, "a.ndjson", [*rows, usage_event(1), usage_event(1, customer_id=2)])
    installation.run()
    erased = CliRunner().invoke(app, ["erase", "--customer", "1"])
    assert erased.exit_code == 0, erased.output
    assert {row["customer_id"] for row in installation.lake(USAGE)} == {2}
    assert counted(installation, USAGE) == 0
    adds_up(installation)


def test_what_is_lost_of_withdrawals_adds_up(installation: Installation) -> None:
    """A file with an event and a withdrawal is given up, and comes again."""
    rows = [usage_event(1), withdrawal(USAGE, 2, received_at=SENT)]
    installation.drop(USAGE, "a.ndjson", rows)
    installation.run()
    (path,) = (installation.settings.lake / USAGE).rglob("*.parquet")
    path.unlink()
    name = str(path.relative_to(installation.settings.lake))
    given_up = CliRunner().invoke(app, ["lake", "forget", name, "--yes"])
    assert given_up.exit_code == 0, given_up.output
    installation.run()
    assert adds_up(installation)["lost"] == 2
    installation.drop(USAGE, "b.ndjson", [*rows, usage_event(2)])
    installation.run()
    assert counted(installation, USAGE) == 1
    assert adds_up(installation)["lost"] == 2


def histories(chance: random.Random) -> Iterator[tuple[str, Row]]:
    """Versions of events and what withdraws them, many at one time, some twice, some of a wrong
    date. Versions of one event differ in their time of receipt, so that one is the newest."""
    for stream, number, customer_id in itertools.product(MAKES, range(30), (1, 2)):
        day = chance.choice(["2026-02-27", "2026-02-28", "2026-03-01"])
        same = {
            "customer_id": customer_id,
            "occurred_at": f"{day}T0{chance.randrange(10)}:30:00Z",
        }
        times = [None, *(f"2026-03-01T{hour:02}:00:00Z" for hour in range(6, 11))]
        for time in chance.sample(times, chance.randrange(4)):
            tokens = {"output_tokens": chance.randrange(1, 500)} if stream == USAGE else {}
            version = MAKES[stream](number, **same, **tokens, received_at=time)
            yield from [(stream, version)] * chance.choice([1, 1, 2])
        for time in chance.sample(times, chance.choice([0, 1, 1, 2])):
            of_another = {"occurred_at": f"{chance.choice(['2026-02-28', day])}T11:00:00Z"}
            row = withdrawal(stream, number, **{**same, **chance.choice([{}, of_another])})
            yield from [(stream, {**row, "received_at": time})] * chance.choice([1, 1, 2])


def drop(folder: Path, files: Sequence[LandingFile]) -> None:
    """Write landing files."""
    for stream, name, rows in files:
        path = folder / stream / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.mark.parametrize("seed", [1, 2])
def test_any_order_over_several_runs_gives_what_one_rebuild_and_a_recount_give(
    tmp_path: Path, seed: int
) -> None:
    """Late, again, before the event and after it; with small files merged in between."""
    chance = random.Random(seed)
    rows = list(histories(chance))
    chance.shuffle(rows)
    parts: list[list[LandingFile]] = []
    for run in range(4):
        of_run: list[LandingFile] = []
        if run == 0:
            policies = [{"customer_id": each, "tier": "pro"} for each in (1, 2)]
            of_run.append(("customers", "c.ndjson", policies))
        for number, stream in itertools.product(range(3), MAKES):
            chosen = rows[(3 * run + number) :: 12]
            of_stream = [row for each, row in chosen if each == stream]
            of_run.append((stream, f"{number}.ndjson", of_stream))
        if run:
            # What came in the first run comes again.
            stream, _, again = parts[0][run]
            of_run.append((stream, "again.ndjson", again))
        parts.append(of_run)
    now = datetime.fromisoformat(NOW)
    everything = tmp_path / "everything"
    for run, files in enumerate(parts):
        drop(everything, [(stream, f"{run}-{name}", of_it) for stream, name, of_it in files])
    truth = recount(everything, now)
    expected = Expected.of(truth)
    with installation_in(tmp_path / "home", NOW) as installation:
        for run, files in enumerate(parts):
            drop(
                installation.home / "landing",
                [(stream, f"{run}-{name}", of_it) for stream, name, of_it in files],
            )
            installation.run()
            with closing(Ledger(installation.settings.ledger_path)) as ledger:
                compact(installation.settings, ledger)
        snapshot = current_snapshot(installation.settings.snapshots)
        assert snapshot is not None
        comparison = expected.compare(snapshot)
        assert comparison.is_equal, comparison
        assert (
            0 < comparison.events < len({(s, r["customer_id"], r[IDENTITIES[s]]) for s, r in rows})
        )
        first = installation.fingerprints()
        installation.run(full_refresh=True)
        assert installation.fingerprints() == first
        adds_up(installation)
        installation.run("nightly")
        found = {
            (row["stream"], row["customer_id"], row["occurred_date"].isoformat()): row
            for row in installation.marts("select * from marts.reconciliation")
        }
        for key, counts in per_date(truth, now).items():
            assert {name: found[key][name] for name in counts} == counts, key
        assert {row["difference"] for row in found.values()} == {0}
        assert date.fromisoformat(max(key[2] for key in found)) == now.date()
