"""Snapshots come and go while requests run."""

import threading
import time
from pathlib import Path

import duckdb
import pytest

from api.settings import ServingSettings
from api.snapshots import Snapshots
from service_fixture import Service, StartService
from snapshot_fixture import ACME, Marts, point_to, publish, sample, usage
from test_api_errors import assert_error

SUMMARY = "/api/stats/usage/summary?days=1"


def marts_with(messages: int) -> Marts:
    """Customer 1 with so many messages today, in two agents."""
    return Marts(
        customers=[(ACME, "Acme", "pro", 90)],
        usage=[
            usage(ACME, agent, 5, "m", "2026-03-10 00:00", message_count=messages)
            for agent in (1, 2)
        ],
    )


def test_every_answer_comes_from_one_snapshot_while_they_are_swapped(
    start: StartService, tmp_path: Path
) -> None:
    """Snapshot n holds 2n messages; header and body always agree, and nothing fails."""
    publish(tmp_path, marts_with(1), snapshot_id="s-1")
    service = start()
    key = service.key(ACME)
    stop = threading.Event()
    wrong: list[str] = []
    seen: set[str] = set()

    def ask() -> None:
        while not stop.is_set():
            answer = service.client.get(SUMMARY, headers={"X-API-Key": key})
            snapshot = answer.headers.get("X-Snapshot-Id", "s-0")
            seen.add(snapshot)
            if answer.json().get("total_messages") != 2 * int(snapshot[2:]):
                wrong.append(answer.text)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    old = tmp_path / "snapshots" / "s-1" / "agentstats.duckdb"
    for number in range(2, 12):
        new = publish(tmp_path, marts_with(number), snapshot_id=f"s-{number}")
        time.sleep(0.05)
        old.unlink()
        old = new
    time.sleep(0.3)
    stop.set()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert "s-11" in seen and len(seen) >= 5


def test_an_old_snapshot_is_closed_when_its_last_request_ends(tmp_path: Path) -> None:
    """A request that began before the swap reads on; after it the file is let go."""
    settings = ServingSettings(_env_file=None, home=tmp_path)
    old = publish(tmp_path, marts_with(1), snapshot_id="s-1")
    snapshots = Snapshots(settings)
    with snapshots.lease() as lease:
        publish(tmp_path, marts_with(2), snapshot_id="s-2")
        old.unlink()
        with snapshots.lease() as newer:
            assert newer.snapshot.snapshot_id == "s-2"
        assert lease.snapshot.snapshot_id == "s-1"
        assert lease.rows("select count(*) as n from marts.agent_daily", {}) == [{"n": 2}]
        assert open_files_deleted(tmp_path)
    assert open_files_deleted(tmp_path) == []
    with pytest.raises(duckdb.Error):
        lease.snapshot.connection.execute("select 1")
    snapshots.close()


def open_files_deleted(folder: Path) -> list[str]:
    """Files below `folder` that this process holds open though they are unlinked."""
    links = []
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            links.append(str(descriptor.readlink()))
        except OSError:
            continue
    return [link for link in links if link.startswith(str(folder)) and link.endswith("(deleted)")]


def test_an_idle_server_lets_go_of_an_unlinked_snapshot(
    start: StartService, tmp_path: Path
) -> None:
    """Deleted data does not stay on disk because no client asks."""
    old = publish(tmp_path, marts_with(1), snapshot_id="s-1")
    service = start()
    assert service.get(SUMMARY).status_code == 200
    publish(tmp_path, marts_with(2), snapshot_id="s-2")
    old.unlink()
    deadline = time.monotonic() + 3
    while open_files_deleted(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert open_files_deleted(tmp_path) == []


@pytest.mark.parametrize("broken", ["missing", "garbage", "outside", "beside", "empty"])
def test_a_broken_new_snapshot_leaves_the_old_one_in_service(
    service: Service, tmp_path: Path, broken: str
) -> None:
    """Answers go on, /readyz shows the problem, and the next good one is taken."""
    assert service.get(SUMMARY).status_code == 200
    folder = tmp_path / "snapshots"
    (folder / "garbage.duckdb").write_bytes(b"not a database" * 500)
    (folder / "empty.duckdb").write_bytes(b"")
    outside = {"outside": "../../etc/passwd", "beside": "../snapshots/garbage.duckdb"}
    point_to(folder, outside.get(broken, f"{broken}.duckdb"))
    answer = service.get(SUMMARY)
    assert answer.status_code == 200
    assert answer.headers["X-Snapshot-Id"] == "20260310T110500Z-00000001"
    ready = service.client.get("/readyz")
    assert ready.status_code == 200
    assert ready.json()["problem"] == "the newest snapshot cannot be read"
    assert "cannot be opened" in service.log_lines()[-1]["problem"]
    publish(tmp_path, sample(), snapshot_id="good")
    deadline = time.monotonic() + 3
    while service.get(SUMMARY).headers["X-Snapshot-Id"] != "good" and time.monotonic() < deadline:
        time.sleep(0.05)
    assert service.client.get("/readyz").json() == {
        "status": "ready",
        "snapshot_id": "good",
        "problem": None,
    }


def test_a_snapshot_that_is_damaged_while_it_is_served_is_503(
    start: StartService, tmp_path: Path
) -> None:
    """What cannot be read is not answered, /readyz says so without a path, the log with it."""
    file = publish(tmp_path, sample())
    service = start(answer_cache_mb=0, rows_cache_mb=0)
    assert service.client.get("/readyz").status_code == 200
    with file.open("r+b") as damaged:
        damaged.seek(12_288)  # behind the headers
        damaged.write(bytes(file.stat().st_size - 12_288))
    assert_error(service.get(SUMMARY), 503, "NOT_READY")
    assert file.parent.name in service.log_lines()[-1]["problem"]
    ready = service.client.get("/readyz")
    assert ready.status_code == 503
    assert ready.json()["details"] == {"reason": "the newest snapshot cannot be read"}
    publish(tmp_path, sample(), snapshot_id="good")
    service.await_snapshot("good")
    assert service.get(SUMMARY).status_code == 200
    assert service.client.get("/readyz").status_code == 200


def test_a_snapshot_that_is_gone_is_served_to_its_end_but_not_ready(
    service: Service, tmp_path: Path
) -> None:
    """The open file is whole; the next process would have none."""
    assert service.get(SUMMARY).status_code == 200
    (tmp_path / "snapshots").rename(tmp_path / "elsewhere")
    assert service.get(SUMMARY).status_code == 200
    ready = service.client.get("/readyz")
    assert ready.status_code == 503
    assert str(tmp_path) not in ready.text
    (tmp_path / "elsewhere").rename(tmp_path / "snapshots")
    assert service.client.get("/readyz").status_code == 200


def test_a_snapshot_cannot_reach_files_or_change_settings(service: Service) -> None:
    """Even SQL that got in could read nothing else."""
    snapshots: Snapshots = service.app.state.services.snapshots
    with snapshots.lease() as lease:
        assert lease.rows("select current_setting('TimeZone') as tz", {}) == [{"tz": "UTC"}]
        assert lease.rows("select current_setting('temp_directory') as d", {}) == [{"d": ""}]
        for sql in (
            "select * from read_text('/etc/hostname')",
            "set enable_external_access = true",
            "set threads = 8",
            "delete from marts.agents",
        ):
            with pytest.raises(duckdb.Error):
                lease.rows(sql, {})
