"""Whether a run's process lives: real processes, killed and stopped for real."""

from __future__ import annotations

import signal
from pathlib import Path

from dagster_daemon.workers import RUN_ID, worker
from orchestration.clock import run_worker
from orchestration.clock.run_worker import Life, life_of


def test_a_process_is_alive_until_it_ends_however_it_ends(tmp_path: Path) -> None:
    """A stopped one still holds what it holds; a killed one holds nothing."""
    assert life_of(tmp_path, RUN_ID) is Life.NOT_SHOWN
    with worker(tmp_path) as process:
        assert life_of(tmp_path, RUN_ID) is Life.ALIVE
        process.send_signal(signal.SIGSTOP)
        assert life_of(tmp_path, RUN_ID) is Life.ALIVE
        process.kill()
        process.wait()
        assert life_of(tmp_path, RUN_ID) is Life.DEAD
    run_worker.remove_dead(tmp_path)
    assert life_of(tmp_path, RUN_ID) is Life.NOT_SHOWN


def test_a_block_of_this_process_leaves_nothing_behind(tmp_path: Path) -> None:
    """What a command does, whose process may go on."""
    with run_worker.alive(tmp_path, RUN_ID):
        assert life_of(tmp_path, RUN_ID) is Life.ALIVE
        run_worker.remove_dead(tmp_path)
        assert life_of(tmp_path, RUN_ID) is Life.ALIVE
    assert life_of(tmp_path, RUN_ID) is Life.NOT_SHOWN
    assert list((tmp_path / run_worker.FOLDER).iterdir()) == []


def test_a_process_that_does_not_listen_is_killed_after_its_grace(tmp_path: Path) -> None:
    """And not before: what listens ends by itself."""
    for manner, grace, number in (("polite", 60, signal.SIGTERM), ("deaf", 1.5, signal.SIGKILL)):
        with worker(tmp_path, manner) as process:
            assert run_worker.end(tmp_path, RUN_ID, grace_seconds=grace, is_asked=False)
            assert process.wait() == -number


def test_a_process_of_another_container_is_left_alone(tmp_path: Path) -> None:
    """Its number means another process here."""
    with worker(tmp_path, "deaf") as process:
        (path,) = (tmp_path / run_worker.FOLDER).iterdir()
        path.write_text(path.read_text().replace('"namespace": "', '"namespace": "not-'))
        assert not run_worker.end(tmp_path, RUN_ID, grace_seconds=0.3, is_asked=False)
        assert process.poll() is None
