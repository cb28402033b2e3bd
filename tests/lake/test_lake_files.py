"""The lake's files: read only while they are what the ledger recorded; never unlinked unknown."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
from collections.abc import Callable
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from installation import Installation, rating, scan, usage_event
from orchestration import pipeline
from orchestration.cli import app, output
from orchestration.contract.streams import STREAMS_BY_NAME
from orchestration.lake.deletion_plan import erasure_rule
from orchestration.lake.forgetting import NotToForget
from orchestration.lake.verified import LakeDamaged, find_faults, verified_paths
from orchestration.landing.leftovers import clear_unknown
from orchestration.publication.publish import current_snapshot
from orchestration.retention import search
from orchestration.retention.nightly import delete_expired, plan_retention
from orchestration.retention.quarantine import clean_quarantine
from orchestration.settings import Settings
from orchestration.storage.ledger import Ledger
from orchestration.warehouse import rollups
from orchestration.warehouse.reconciliation import Reconciliation, reconcile
from retention.lakes import Lake

NOW = "2026-03-01T12:00:00Z"
CUSTOMERS = [{"customer_id": 1, "tier": "free", "updated_at": "2026-02-01T00:00:00Z"},
             {"customer_id": 2, "tier": "pro", "updated_at": "2026-02-01T00:00:00Z"}]  # fmt: skip


def flip(path: Path, bit: int) -> None:
    """Let one bit of the file be the other."""
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Two customers with events of every stream, landed, and no marts."""
    lake = Lake(tmp_path / "made" / "home", NOW)
    lake.drop("customers", CUSTOMERS)
    lake.drop("agent_usage_events", [usage_event(1), usage_event(2, customer_id=2)])
    lake.drop("audit_events", [scan(1), scan(2, pii_redactions="none")])
    lake.drop("feedback_events", [rating(1)])
    lake.land()
    return lake


def land_another(settings: Settings, ledger: Ledger) -> None:
    """A delivery of the date, which may repeat what is in the file."""
    lake = Lake(settings.home, NOW)
    lake._files = 10
    lake.drop("agent_usage_events", [usage_event(1)])
    lake.land()


READERS: dict[str, Callable[[Settings, Ledger], Any]] = {
    "landing": land_another,
    "retention": plan_retention,
    "erasure": lambda settings, ledger: search.words_of(settings, ledger, 1),
}


@pytest.mark.parametrize("reader", READERS)
def test_no_reader_accepts_a_file_with_other_bytes(lake: Lake, reader: str) -> None:
    """One bit, anywhere in the file, or the whole file: it is named, and left as it is."""
    with closing(Ledger(lake.settings.ledger_path)) as ledger:
        (file,) = ledger.lake_files_of("agent_usage_events")
        path = lake.settings.lake / file.path
        whole = path.read_bytes()
        for bit in (0, 4 * len(whole), 8 * len(whole) - 1):
            flip(path, bit)
            damaged = path.read_bytes()
            with pytest.raises(LakeDamaged, match=f"{path} does not have the bytes"):
                READERS[reader](lake.settings, ledger)
            assert path.read_bytes() == damaged
            path.write_bytes(whole)
        path.unlink()
        with pytest.raises(LakeDamaged, match=rf"{path} is missing.*lake forget"):
            READERS[reader](lake.settings, ledger)
        path.write_bytes(whole)
        READERS[reader](lake.settings, ledger)


def test_damage_of_one_date_holds_up_no_other(lake: Lake) -> None:
    """A delivery of the date waits, unread, and is named; those of other dates load."""
    said: list[str] = []
    lake.drop("agent_usage_events", [usage_event(6)])
    lake.drop("agent_usage_events", [usage_event(7, occurred_at="2026-02-28T08:00:00Z")])
    with closing(Ledger(lake.settings.ledger_path)) as ledger:
        (file,) = ledger.lake_files_of("agent_usage_events")
        flip(lake.settings.lake / file.path, 99)
        loads = pipeline.land(lake.settings, ledger, report_damage=said.append)
        assert [load.source_file for load in loads] == ["agent_usage_events/6.ndjson"]
        (problem,) = said
        assert problem.startswith("agent_usage_events/5.ndjson waits") and file.path in problem
        flip(lake.settings.lake / file.path, 99)
        (load,) = pipeline.land(lake.settings, ledger, report_damage=said.append)
        assert load.source_file == "agent_usage_events/5.ndjson"


def test_every_single_bit_matters(lake: Lake) -> None:
    """Each of 400 bits, spread over all files, is found, though the ledger has seen them whole."""
    with closing(Ledger(lake.settings.ledger_path)) as ledger:
        files = ledger.lake_files()
        assert verified_paths(lake.settings.lake, ledger, files)
        for number in range(400):
            file = files[number % len(files)]
            bit = number * 7919 % (8 * file.bytes)
            flip(lake.settings.lake / file.path, bit)
            (fault,) = find_faults(lake.settings.lake, ledger, files)
            assert (fault.file, fault.state) == (file, "damaged")
            flip(lake.settings.lake / file.path, bit)
        assert find_faults(lake.settings.lake, ledger, files) == []


def test_a_build_and_a_recount_refuse_what_is_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is named and nothing is published; with its bytes back, all of it works again."""
    installation = Installation(tmp_path / "home", monkeypatch, NOW)
    installation.drop("agent_usage_events", "a.ndjson", [usage_event(1)])
    installation.drop("agent_usage_events", "b.ndjson", [usage_event(2, customer_id=None)])
    installation.run()
    settings = installation.settings
    snapshot = current_snapshot(settings.snapshots)
    assert snapshot is not None
    with installation.ledger() as ledger:
        (events,) = ledger.lake_paths_of("agent_usage_events")
        (rejected,) = ledger.lake_paths_of("rejected_rows")
        counts = ledger.lake_paths_of("delivery_counts")[0]
        for name in (events, rejected, counts):
            flip(settings.lake / name, 800)
            with pytest.raises(LakeDamaged, match=name):
                reconcile(settings, ledger)
            flip(settings.lake / name, 800)
    flip(settings.lake / events, 801)
    for full_refresh in (True, False):
        refused = installation.try_run(full_refresh=full_refresh)
        # Nothing new: an hourly run reads no date, and so no file of one.
        assert refused.succeeded is not full_refresh
        if full_refresh:
            assert events in str(refused.problem) and "lake forget" in str(refused.problem)
    assert current_snapshot(settings.snapshots) == snapshot
    flip(settings.lake / events, 801)
    # As if the clock had been years ahead then: the next one is newer all the same.
    os.utime(snapshot, (2e9, 2e9))
    installation.run(full_refresh=True)
    newer = current_snapshot(settings.snapshots)
    assert newer is not None and newer != snapshot
    assert newer.stat().st_mtime_ns > snapshot.stat().st_mtime_ns


def test_a_file_that_the_ledger_does_not_know_is_kept(lake: Lake) -> None:
    """Beside an older ledger the newer files go to the quarantine, bytes and all; what was on its
    way to count, and can be made again, is removed."""
    settings = lake.settings
    shutil.copyfile(settings.ledger_path, lake.home / "kept.db")
    before = {path: path.read_bytes() for path in settings.lake.rglob("*.parquet")}
    lake.drop("agent_usage_events", [usage_event(3)])
    lake.land()
    lake.drop("feedback_events", [rating(2)])
    lake.land()
    newer = {
        str(path.relative_to(settings.lake)): path.read_bytes()
        for path in settings.lake.rglob("*.parquet")
        if path not in before
    }
    foreign = settings.lake / "agents" / "notes.txt"
    foreign.parent.mkdir()
    foreign.write_text("whose is this?")
    unfinished = settings.lake / "agents" / ".a.parquet.tmp"
    unfinished.write_bytes(b"PAR1")
    (lake.home / "kept.db").replace(settings.ledger_path)
    # Its file is back where it was when the load was cut off.
    (lake.home / "landing/_loaded/feedback_events/6.ndjson").replace(
        lake.home / "landing/feedback_events/6.ndjson"
    )
    with closing(Ledger(settings.ledger_path)) as ledger:
        clear_unknown(settings, ledger)
        quarantined = {
            str(path.relative_to(settings.quarantine)): path.read_bytes()
            for path in settings.quarantine.rglob("*")
            if path.is_file()
        }
        assert quarantined == {
            "agents/notes.txt": b"whose is this?",
            **{name: content for name, content in newer.items() if "feedback_events" not in name},
        }
        assert len(quarantined) == 3
        assert not unfinished.exists()
        assert find_faults(settings.lake, ledger, ledger.lake_files()) == []
        # A second one of the same name is kept beside the first.
        foreign.write_text("another")
        clear_unknown(settings, ledger)
    assert (settings.quarantine / "agents/notes.2.txt").read_text() == "another"
    lake.land()
    assert lake.agrees_with_ledger()


def test_a_load_that_was_cut_off_is_ours_though_its_file_waits_in_two_streams(lake: Lake) -> None:
    """The same bytes under a stream that comes first say nothing of the other's lake files."""
    settings = lake.settings
    first, second = list(STREAMS_BY_NAME)[:2]
    for stream in (first, second):
        waiting = settings.landing / stream / "same.ndjson"
        waiting.parent.mkdir(parents=True, exist_ok=True)
        waiting.write_bytes(b"{}")
    load_id = hashlib.sha256(b"{}").hexdigest()[:20]
    cut_off = settings.lake / second / "occurred_date=2026-03-01" / f"{load_id}.parquet"
    cut_off.parent.mkdir(parents=True)
    cut_off.write_bytes(b"PAR1")
    with closing(Ledger(settings.ledger_path)) as ledger:
        assert clear_unknown(settings, ledger) == []
    assert not cut_off.exists()


def test_retention_and_erasure_reach_the_quarantine(lake: Lake) -> None:
    """Rows that go are taken out of files there; what cannot be read goes by its age, or whole."""
    settings = lake.settings
    lake.drop("agent_usage_events", [
        usage_event(number, customer_id=customer, occurred_at="2026-02-25T08:00:00Z")
        for number, customer in ((7, 1), (8, 2))
    ])  # fmt: skip
    lake.land()
    folder = "agent_usage_events/occurred_date=2026-02-25"
    (file,) = (settings.lake / folder).iterdir()
    target = settings.quarantine / folder / file.name
    target.parent.mkdir(parents=True)
    shutil.copyfile(file, target)
    garbage = settings.quarantine / folder / "x.parquet"
    garbage.write_bytes(b"event-7")
    # A week later the rows of customer 1, on the free tier, are past their retention.
    lake.now = "2026-03-05T12:00:00Z"
    lake.delete()
    assert b"event-7" not in target.read_bytes() and b"event-8" in target.read_bytes()
    assert not garbage.exists()
    assert lake.deleted_rows()[1, "quarantine"] == 1
    garbage.write_bytes(b"event-8")
    with closing(Ledger(settings.ledger_path)) as ledger:
        rule = erasure_rule(2, settings.clock())
        assert len(clean_quarantine(settings, ledger, rule, run_id="erasure")) == 2
    assert [path for path in settings.quarantine.rglob("*") if path.is_file()] == []
    assert lake.deleted_rows()[2, "quarantine"] == 1


def test_a_new_home_is_its_owners_alone(tmp_path: Path) -> None:
    """Folders above it, and one that was there before, are as they would be anyway."""
    home = tmp_path / "above" / "home"
    for mode in (0o700, 0o750):
        with closing(Ledger(home / "ledger.db")) as ledger:
            assert ledger._connection.execute("pragma synchronous").fetchone()[0] == 3
        assert stat.S_IMODE(home.stat().st_mode) == mode
        home.chmod(0o750)
    assert stat.S_IMODE(home.parent.stat().st_mode) == 0o755


def test_a_clock_that_was_put_back_hides_nothing(lake: Lake) -> None:
    """The newest run and the newest load are found by their numbers; the data's age does not go
    back with the clock, and ignores a clock that was days ahead."""
    for now, expected in (
        ("2026-03-01T11:00:00Z", "2026-03-01T12:00"),
        ("2031-01-01T00:00:00Z", "2031-01-01T00:00"),
        ("2026-03-01T12:30:00Z", "2026-03-01T12:30"),
    ):
        lake.now = now
        lake.drop("feedback_events", [rating(lake._files, occurred_at=now)])
        lake.land()
        with closing(Ledger(lake.settings.ledger_path)) as ledger:
            as_of = ledger.newest_load_at(lake.settings.clock())
            assert as_of is not None and as_of.isoformat().startswith(expected)
            accepted = ledger.newest_accepted_at(["feedback_events"])
            assert accepted == lake.settings.clock()
            run_id = f"at {now}"
            ledger.start_run(run_id=run_id, job="hourly", pid=1, at=lake.settings.clock())
            assert ledger.runs(1)[0].run_id == run_id
    with closing(Ledger(lake.settings.ledger_path)) as ledger:
        # Loaded in 2031 by its own clock, and before the load after it in truth.
        assert ledger.loaded_at_the_latest(6) == lake.settings.clock()


def test_the_command_names_every_file_that_is_not_whole(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Damaged, missing and unknown, as a table and as JSON, with 1; nothing is changed."""
    monkeypatch.setenv("AGENTSTATS_HOME", str(lake.home))
    monkeypatch.setenv("AGENTSTATS_NOW", NOW)
    runner = CliRunner()
    whole = json.loads(runner.invoke(app, ["lake", "verify", "--json"]).stdout)
    assert whole["is_whole"] and whole["ok"] == whole["files"] == 8 and whole["found"] == []
    with closing(Ledger(lake.settings.ledger_path)) as ledger:
        damaged, missing = ledger.lake_files()[:2]
    flip(lake.settings.lake / damaged.path, 77)
    (lake.settings.lake / missing.path).unlink()
    (lake.settings.lake / "unknown").write_text("")
    for _ in range(2):
        found = runner.invoke(app, ["lake", "verify", "--json"])
        assert found.exit_code == 1
        assert {(each["path"], each["state"]) for each in json.loads(found.stdout)["found"]} == {
            (damaged.path, "damaged"),
            (missing.path, "missing"),
            ("unknown", "unknown"),
        }
    # The width of a terminal is read when the command starts, which it did with these tests.
    monkeypatch.setattr(output.out, "width", 200)
    table = runner.invoke(app, ["lake", "verify"])
    assert table.exit_code == 1 and damaged.path in table.stdout


def test_what_is_given_up_is_recorded_and_adds_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By stream, customer and date, as its own line; what is lost may be delivered again, and
    retention may take its date afterwards."""
    installation = Installation(tmp_path / "home", monkeypatch, NOW)
    settings, runner = installation.settings, CliRunner()
    early = "2026-02-24T08:00:00Z"
    lost = [usage_event(1), usage_event(2, customer_id=2), usage_event(3, occurred_at=early)]
    installation.drop("customers", "c.ndjson", CUSTOMERS)
    installation.drop("agent_usage_events", "a.ndjson", lost)
    installation.drop(
        "agent_usage_events",
        "b.ndjson",
        [usage_event(4), usage_event(5, input_tokens=7, occurred_at=early)],
    )
    installation.drop(
        "feedback_events", "r.ndjson", [rating(1, occurred_at="2026-02-27T08:00:00Z")]
    )

    def rebuilt(*, adds_up: bool = True) -> Reconciliation:
        with installation.ledger() as ledger:
            pipeline.land(settings, ledger)
            assert not pipeline.roll_up(installation.settings, ledger).failed
            proof = reconcile(installation.settings, ledger)
            assert proof.adds_up is adds_up, proof
            return proof

    rebuilt()
    with installation.ledger() as ledger:
        of_a = [path for path in ledger.lake_paths_of("agent_usage_events")
                if path.endswith(f"{ledger.loads()[1].load_id}.parquet")]  # fmt: skip
        (counts,) = ledger.lake_paths_of("delivery_counts", [date(2026, 2, 27)])
    assert len(of_a) == 2
    flip(settings.lake / of_a[0], 300)
    (settings.lake / of_a[1]).unlink()
    flip(settings.lake / counts, 300)
    whole = runner.invoke(app, ["lake", "forget", of_a[0], "customers/no.parquet"])
    assert whole.exit_code == 1 and isinstance(whole.exception, NotToForget)
    asked = runner.invoke(app, ["lake", "forget", str(settings.lake / of_a[0])], input="n\n")
    assert asked.exit_code == 1 and "Record this as lost?" in asked.output
    forgotten = runner.invoke(app, ["lake", "forget", *of_a, counts, "--yes", "--json"])
    assert forgotten.exit_code == 0, forgotten.output
    report = forgotten.stdout[forgotten.stdout.index("{") :]
    amounts = {
        (each["stream"], each["customer_id"], each["occurred_date"], each["measure"]): each["lost"]
        for each in json.loads(report)["lost"]
    }
    usage, ratings = "agent_usage_events", "feedback_events"
    assert (
        amounts[usage, 1, "2026-03-01", "events"] == amounts[usage, 2, "2026-03-01", "events"] == 1
    )
    assert amounts[usage, 1, "2026-02-24", "input_tokens"] == 100
    # Of those it is the count that is lost.
    assert amounts[ratings, 1, "2026-02-27", "events"] == -1
    assert amounts[ratings, 1, "2026-02-27", "rating"] == -4
    assert (settings.quarantine / "forgotten" / of_a[0]).exists()
    assert runner.invoke(app, ["lake", "verify"]).exit_code == 0

    proof = rebuilt()
    assert (proof.events, proof.lost, len(proof.lost_files)) == (3, 2, 3)
    with rollups.open_warehouse(settings) as warehouse:
        assert warehouse.execute(
            "select occurred_date::varchar, message_count from marts.customer_daily order by 1"
        ).fetchall() == [("2026-02-24", 1), ("2026-03-01", 1)]

    # Delivered again, and then the free customer's early date is past its retention.
    installation.drop("agent_usage_events", "again.ndjson", lost)
    installation.set_clock("2026-03-05T12:00:00Z")
    monkeypatch.setenv("AGENTSTATS_RETENTION_MAX_DELETE_FRACTION", "1")
    with installation.ledger() as ledger:
        pipeline.land(installation.settings, ledger)
        assert delete_expired(installation.settings, ledger, run_id="nightly").rows > 0
    proof = rebuilt()
    assert (proof.events, proof.lost) == (4, 1)


def test_a_damaged_file_of_customers_stops_every_run_until_it_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whose policy was in it is unknown. Given up, its customers have none, so that nothing of
    theirs is deleted; delivered again, byte for byte, it counts again."""
    installation = Installation(tmp_path / "home", monkeypatch, NOW)
    for row in CUSTOMERS:
        installation.drop("customers", f"{row['customer_id']}.ndjson", [row])
    usage = "agent_usage_events"
    installation.drop(usage, "a.ndjson", [usage_event(1), usage_event(2, customer_id=2)])
    installation.run()
    with installation.ledger() as ledger:
        free = ledger.loads()[0]
        (path,) = (each for each in ledger.lake_paths_of("customers") if free.load_id in each)
    published = installation.fingerprints()

    flip(installation.settings.lake / path, 300)
    installation.drop(usage, "b.ndjson", [usage_event(3)])
    for job in ("hourly", "nightly"):
        outcome = installation.try_run(job)
        assert not outcome.succeeded and outcome.problem
        assert path in outcome.problem and "lake forget FILE" in outcome.problem
    assert installation.fingerprints() == published

    given_up = CliRunner().invoke(app, ["lake", "forget", path, "--yes"])
    assert given_up.exit_code == 0, given_up.output
    # Past what the free customer keeps, and not what the other does.
    installation.set_clock("2026-03-20T12:00:00Z")
    installation.run()
    installation.run("nightly")
    messages = "select customer_id, sum(message_count)::bigint as n from marts.customer_daily "
    assert installation.marts(f"{messages} group by 1 order by 1") == [
        {"customer_id": 1, "n": 2}, {"customer_id": 2, "n": 1},
    ]  # fmt: skip

    installation.drop("customers", "1-again.ndjson", CUSTOMERS[:1])
    installation.environment.setenv("AGENTSTATS_RETENTION_MAX_DELETE_FRACTION", "1")
    installation.run()
    installation.run("nightly")
    assert installation.marts(f"{messages} group by 1") == [{"customer_id": 2, "n": 1}]
