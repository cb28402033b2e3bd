"""What a file does to whoever reads it is that file's own end, and no other's."""

from __future__ import annotations

import os
import signal
import time
import uuid
from collections.abc import Callable
from contextlib import closing
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import duckdb
import pytest

from installation import Installation, usage_event
from orchestration import pipeline
from orchestration.landing import files, land
from orchestration.landing.child import Child, ChildDied, OutOfTime
from orchestration.storage.ledger import Load

STREAM = "agent_usage_events"
FREE = 10**8


def landed(installation: Installation) -> dict[str, Load]:
    """Land what waits; the loads of this landing by source file."""
    with installation.ledger() as ledger:
        loads = pipeline.land(installation.settings, ledger)
        assert not ledger.files_attempted()
    assert not list(installation.settings.scratch.glob("*"))
    return {load.source_file.removeprefix(f"{STREAM}/"): load for load in loads}


def many_events() -> list[dict[str, Any]]:
    """Events whose ids do not compress."""
    return [usage_event(number, event_id=str(uuid.uuid4())) for number in range(2_000)]


def test_a_file_that_ends_its_reader_is_set_aside_and_the_others_load(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One crashes it, one takes for ever, one takes more disk than it may."""
    content_of = files.content_of

    def crashing(path: Path) -> files.Content:
        if path.name == "crash.csv":
            os.kill(os.getpid(), signal.SIGFPE)
        return content_of(path)

    monkeypatch.setattr(files, "content_of", crashing)
    installation.drop(STREAM, "a.ndjson", [usage_event(1)])
    installation.drop(STREAM, "crash.csv", [usage_event(2)])
    installation.drop(STREAM, "disk.ndjson", many_events())
    # Nothing is stored of it: to read it takes hours.
    os.truncate(installation.drop_bytes(STREAM, "hang.ndjson", b""), 2**43)
    installation.drop(STREAM, "z.ndjson", [usage_event(9)])
    installation.environment.setenv("AGENTSTATS_LANDING_TIMEOUT_SECONDS", "4")
    installation.environment.setenv("AGENTSTATS_LANDING_TEMP_GB", "0.00003")
    loads = landed(installation)
    assert {name: load.accepted for name, load in loads.items()} == {
        "a.ndjson": 1,
        "z.ndjson": 1,
        "crash.csv": 0,
        "disk.ndjson": 0,
        "hang.ndjson": 0,
    }
    failures = {name: load.failure or "" for name, load in loads.items()}
    assert "SIGFPE" in failures["crash.csv"]
    assert "AGENTSTATS_LANDING_TEMP_GB" in failures["disk.ndjson"]
    assert "AGENTSTATS_LANDING_TIMEOUT_SECONDS" in failures["hang.ndjson"]
    failed = installation.settings.landing / "_failed" / STREAM
    for name in ("crash.csv", "disk.ndjson", "hang.ndjson"):
        assert failures[name] in (failed / f"{name}.reason.txt").read_text()
    assert {row["event_id"] for row in installation.lake(STREAM)} == {"event-1", "event-9"}


def test_a_file_that_ended_two_runs_is_not_opened_again(installation: Installation) -> None:
    """The second of those runs had loaded everything else before it came to that file."""
    installation.drop(STREAM, "a.ndjson", [usage_event(1)])

    def run_killed_while_a_is_read() -> None:
        run = os.fork()
        if run == 0:
            receive = Child.receive

            def killing(child: Child, deadline: float) -> object:
                with installation.ledger() as ledger:
                    if ledger.files_attempted() == {f"{STREAM}/a.ndjson"}:
                        os.kill(os.getpid(), signal.SIGKILL)
                return receive(child, deadline)

            Child.receive = killing  # type: ignore[method-assign,assignment]  # in this process
            with installation.ledger() as ledger:
                pipeline.land(installation.settings, ledger)
            os._exit(0)
        _, status = os.waitpid(run, 0)
        assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL

    run_killed_while_a_is_read()
    installation.drop(STREAM, "b.ndjson", [usage_event(2)])
    run_killed_while_a_is_read()
    assert {Path(name).name for name in installation.loads()} == {"b.ndjson"}
    installation.drop(STREAM, "c.ndjson", [usage_event(3)])
    loads = landed(installation)
    assert "2 runs ended while it was read" in (loads["a.ndjson"].failure or "")
    assert loads["c.ndjson"].accepted == 1
    # Mended, or just dropped again, it is another file.
    installation.drop(STREAM, "a.ndjson", [usage_event(1), usage_event(4)])
    assert landed(installation)["a.ndjson"].accepted == 2


def test_a_run_reads_no_file_longer_than_a_file_may_take(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run was cut off before it moved such a file, and another left a lake file behind."""
    installation.environment.setenv("AGENTSTATS_LANDING_TIMEOUT_SECONDS", "2")
    # To read one takes hours.
    os.truncate(installation.drop_bytes(STREAM, "hang.ndjson", b""), 2**43)
    with monkeypatch.context() as cut_off:
        cut_off.setattr(land, "move_away", Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            landed(installation)
    path = installation.drop(STREAM, "small.ndjson", [usage_event(1)])
    load_id = files.content_of(path).sha256[: land.LOAD_ID_LENGTH]
    os.truncate(installation.drop_bytes(STREAM, "hang-again.ndjson", b""), 2**43 - 1)
    lake = installation.settings.lake
    left = [lake / STREAM / f"{each}.parquet" for each in (load_id, "0" * 20)]
    for each in left:
        each.parent.mkdir(parents=True, exist_ok=True)
        each.write_bytes(b"")
    loads = landed(installation)
    assert loads["small.ndjson"].accepted == 1
    again = loads["hang-again.ndjson"].failure or ""
    assert "AGENTSTATS_LANDING_TIMEOUT_SECONDS" in again
    assert not any(each.exists() for each in left)
    # What nothing waiting stands for is kept; the first is of a load that comes again.
    kept = [each.name for each in installation.settings.quarantine.rglob("*.parquet")]
    assert kept == [left[1].name]
    assert not (installation.settings.landing / STREAM / "hang.ndjson").exists()


def test_a_full_disk_is_no_fault_of_a_file(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run fails, the file stays where it is, and that is no attempt of its."""
    path = installation.drop(STREAM, "a.ndjson", many_events())
    installation.environment.setenv("AGENTSTATS_LANDING_TEMP_GB", "0.00003")
    # As little as if the disk were full.
    monkeypatch.setattr(land, "_ROOM_BYTES", 10**18)
    for _ in range(land.ATTEMPTS + 1):
        with installation.ledger() as ledger, pytest.raises(duckdb.Error, match="File too large"):
            pipeline.land(installation.settings, ledger)
    installation.environment.delenv("AGENTSTATS_LANDING_TEMP_GB")
    assert path.exists()
    assert landed(installation)["a.ndjson"].accepted == 2_000


def test_nothing_waiting_makes_no_process(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that finds nothing costs nothing."""
    monkeypatch.setattr(land, "Child", None)
    assert landed(installation) == {}


def take_memory(pipe: Connection) -> None:
    """Want more than there may be."""
    allocated = [bytearray(10**8) for _ in range(3)]
    pipe.send(len(allocated))


def write_much(pipe: Connection, *, path: Path) -> None:
    """Write a file beyond its limit."""
    try:
        path.write_bytes(bytes(10**6))
    except OSError as error:
        pipe.send(error.strerror)


def die(_: Connection, *, by: signal.Signals) -> None:
    os.kill(os.getpid(), by)
    time.sleep(60)


def sleep(_: Connection) -> None:
    time.sleep(60)


@pytest.mark.parametrize(
    ("work", "end"),
    [
        (take_memory, "it ended with 1"),
        (partial(die, by=signal.SIGKILL), "SIGKILL"),
        (partial(die, by=signal.SIGSEGV), "SIGSEGV"),
        (partial(die, by=signal.SIGABRT), "SIGABRT"),
    ],
)
def test_how_a_child_died_is_reported(work: Callable[[Connection], None], end: str) -> None:
    """Its parent goes on."""
    child = Child(work, memory_bytes=FREE, file_bytes=FREE)
    with pytest.raises(ChildDied, match=end):
        child.receive(time.monotonic() + 30)


def test_a_child_is_bounded_in_time_and_in_what_it_writes(tmp_path: Path) -> None:
    """A signal that stops a run does not stop it: its parent answers that."""
    path = tmp_path / "much"
    child = Child(partial(write_much, path=path), memory_bytes=FREE, file_bytes=1000)
    assert child.receive(time.monotonic() + 30) == "File too large"
    child.kill()
    assert path.stat().st_size == 1000
    for signals in ([], [signal.SIGTERM, signal.SIGINT]):
        child = Child(sleep, memory_bytes=FREE, file_bytes=FREE)
        for number in signals:
            os.kill(child._pid or 0, number)
        with pytest.raises(OutOfTime):
            child.receive(time.monotonic() + 0.1)


def test_a_child_dies_with_its_parent() -> None:
    """However that ends, so that the next run finds no other writer."""
    read, write = os.pipe()
    parent = os.fork()
    if parent == 0:
        child = Child(sleep, memory_bytes=FREE, file_bytes=FREE)
        os.write(write, str(child._pid).encode())
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(parent, 0)
    number = int(os.read(read, 20))
    deadline = time.monotonic() + 30
    while Path(f"/proc/{number}").exists() and time.monotonic() < deadline:
        state = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
        if state == "Z":
            break
        time.sleep(0.01)
    else:
        assert not Path(f"/proc/{number}").exists()


def drop_redactions(installation: Installation, name: str, select: str) -> Path:
    """Drop scans as Parquet, of (audit_id, pii_redactions)."""
    path = installation.settings.landing / "audit_events" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(duckdb.connect()) as connection:
        connection.execute(
            "copy (select *, 1 as customer_id, 1 as agent_id, 1 as agent_type_id, "
            f"timestamp '2026-02-28 08:00:00' as occurred_at from ({select})) "
            f"to '{path}' (format parquet, compression zstd)"
        )
    return path


MANY_REDACTIONS = (
    "select 'many-' || row as audit_id, map_from_entries(list_transform(range(1000), "
    "lambda number: ('E' || number, 1000000000000))) as pii_redactions from range(4096) as t (row)"
)


def test_many_redactions_of_many_scans_are_judged_by_row(installation: Installation) -> None:
    """Each scan has a thousand, of more than may be; all that is done with them would take more
    memory than there is."""
    drop_redactions(installation, "many.parquet", MANY_REDACTIONS)
    installation.environment.setenv("AGENTSTATS_MEMORY_LIMIT", "500MB")
    (load,) = landed(installation).values()
    assert load.failure is None
    assert load.rejected_by_reason == {"invalid_pii_redactions": 4096}


def test_a_file_that_takes_more_memory_than_its_process_may_is_set_aside_alone(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the memory of a process there is less than DuckDB believes to have."""
    drop_redactions(installation, "many.parquet", MANY_REDACTIONS)
    drop_redactions(installation, "good.parquet", "select 'good' as audit_id, "
                    "map([]::varchar[], []::bigint[]) as pii_redactions")  # fmt: skip
    installation.environment.setenv("AGENTSTATS_MEMORY_LIMIT", "4GB")
    monkeypatch.setattr(land, "_MORE_MEMORY_BYTES", -(8 * 10**9) + 10**8)
    loads = landed(installation)
    assert loads["audit_events/good.parquet"].accepted == 1
    assert "memory" in (loads["audit_events/many.parquet"].failure or "")
