"""What ends a run other than `kill -9`: SIGTERM, a full disk, a warehouse that cannot be opened."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from fuzz.outcome import Outcome
from orchestration.storage.ledger import Ledger
from torture.crash import check_again, check_readers, evenly
from torture.generated import NOW, Size
from torture.prepared import Prepared, environment_at, prepare, settings_of
from torture.steps import Ended, Runs

STOPPED_BY_SIGNAL = 143
_ENVIRONMENT = environment_at(NOW)


def run(
    folder: Path,
    *,
    size: Size,
    terms: int,
    limits: Sequence[int],
    disks: Sequence[int],
    warehouses: Sequence[str],
) -> Outcome:
    """SIGTERM at so many steps, files that may not grow beyond `limits` bytes, disks with so many
    MiB free (which takes root), and broken warehouses by name."""
    outcome = Outcome()
    runs = Runs(folder / "runs")
    try:
        before = prepare(folder, runs, size)[0]
        for at in evenly(len(before.steps), terms + 1)[1:]:
            _check(outcome, folder, runs, before, f"SIGTERM at step {at}", _terminated(at))
        for limit in limits:
            what = f"files of at most {limit // 1024} KiB"
            _check(outcome, folder, runs, before, what, _limited(limit))
        for mib in disks:
            _full_disk(outcome, folder, runs, before, mib)
        for name in warehouses:
            trial = _damaged(WAREHOUSES[name])
            _check(outcome, folder, runs, before, f"a warehouse that {name}", trial)
    finally:
        runs.close()
    return outcome


_Trial = Callable[[Outcome, Runs, Path, str], None]


def _check(
    outcome: Outcome, folder: Path, runs: Runs, before: Prepared, what: str, trial: _Trial
) -> None:
    home = folder / "trial"
    shutil.copytree(before.home, home, symlinks=True)
    trial(outcome, runs, home, what)
    _check_after(outcome, runs, home, before, what)
    shutil.rmtree(home)


def _check_after(outcome: Outcome, runs: Runs, home: Path, before: Prepared, what: str) -> None:
    problems = check_readers(home, before)
    again, found = check_again(runs, home, before)
    for problem in [*problems, *again]:
        outcome.failures.append(f"{what}: {problem}")
    for name in ("lost", "doubled", "left_behind"):
        so_far = outcome.figures.get(name.replace("_", " "), 0)
        assert isinstance(so_far, int)
        outcome.figures[name.replace("_", " ")] = so_far + getattr(found, name)


def _terminated(at: int) -> _Trial:
    def trial(outcome: Outcome, runs: Runs, home: Path, what: str) -> None:
        ended = runs.run(home, "run", "hourly", environment=_ENVIRONMENT, at=at, by=signal.SIGTERM)
        step = ended.steps[at - 1] if len(ended.steps) >= at else "?"
        with closing(Ledger(settings_of(home).ledger_path)) as ledger:
            newest = ledger.runs(1)[0]
        is_over = step.startswith("after ledger commit") and newest.status == "succeeded"
        outcome.claim(
            is_over or ended.status == STOPPED_BY_SIGNAL,
            f"{what} ({step}): ended with {ended.status}: {ended.output[-1000:]}",
        )
        outcome.claim(
            is_over or newest.status == "interrupted",
            f"{what} ({step}): the record says {newest.status}",
        )
        count = outcome.figures.get("stopped by SIGTERM", 0)
        assert isinstance(count, int)
        outcome.figures["stopped by SIGTERM"] = count + 1

    return trial


def _limited(limit: int) -> _Trial:
    def trial(outcome: Outcome, runs: Runs, home: Path, what: str) -> None:
        ended = runs.run(home, "run", "hourly", environment=_ENVIRONMENT, file_bytes=limit)
        outcome.figures[what] = f"ended with {ended.status}: {_last_line(ended)}"
        outcome.claim(ended.status == 1, f"{what}: ended with {ended.status}")
        _check_nothing_set_aside(outcome, home, what)

    return trial


def _full_disk(outcome: Outcome, folder: Path, runs: Runs, before: Prepared, free_mib: int) -> None:
    """The home folder on a disk of its own with so little free; then there is room again."""
    home = folder / "disk"
    what = f"a disk with {free_mib} MiB free"
    with _disk(home, mib=500):
        shutil.copytree(before.home, home / "home", symlinks=True)
        free = shutil.disk_usage(home).free
        ballast = home / "ballast"
        with ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, free - free_mib * 2**20)
        ended = runs.run(home / "home", "run", "hourly", environment=_ENVIRONMENT)
        outcome.figures[what] = f"ended with {ended.status}: {_last_line(ended)}"
        outcome.claim(ended.status == 1, f"{what}: ended with {ended.status}")
        _check_nothing_set_aside(outcome, home / "home", what)
        ballast.unlink()
        _check_after(outcome, runs, home / "home", before, what)


@contextmanager
def _disk(at: Path, *, mib: int) -> Iterator[None]:
    at.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mib}m", "none", str(at)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(at)], check=True)
        at.rmdir()


def _check_nothing_set_aside(outcome: Outcome, home: Path, what: str) -> None:
    """A full disk is no fault of a file's."""
    failed = home / "landing/_failed"
    outcome.claim(
        not [path for path in failed.rglob("*") if path.is_file()], f"{what}: a file was set aside"
    )


def _last_line(ended: Ended) -> str:
    return ended.output.strip().split("\n")[-1][:200]


def _damaged(damage: Callable[[Path], None]) -> _Trial:
    def trial(outcome: Outcome, runs: Runs, home: Path, what: str) -> None:
        warehouse = settings_of(home).warehouse
        damage(warehouse)
        ended = runs.run(home, "run", "hourly", environment=_ENVIRONMENT)
        outcome.claim(ended.status == 0, f"{what}: ended with {ended.status}: {ended.output}")
        outcome.claim("warehouse_set_aside" in ended.output, f"{what}: not a word about it")
        set_aside = warehouse.with_name("warehouse.duckdb.broken")
        outcome.claim(set_aside.exists(), f"{what}: it is gone")
        if set_aside.is_dir():
            shutil.rmtree(set_aside)
        else:
            set_aside.unlink(missing_ok=True)

    return trial


def _garbage(path: Path) -> None:
    path.write_bytes(b"this was a database once" * 1000)


def _truncated(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 3)


def _of_a_later_version(path: Path) -> None:
    """The storage version stands behind the checksum and the magic bytes."""
    with path.open("r+b") as file:
        file.seek(12)
        file.write((2**40).to_bytes(8, "little"))


def _folder(path: Path) -> None:
    path.unlink()
    (path / "inside").mkdir(parents=True)


def _flipped(path: Path) -> None:
    """Every block behind the three headers."""
    with path.open("r+b") as file:
        for at in range(3 * 4096 + 100, path.stat().st_size, 4096):
            file.seek(at)
            file.write(b"\xff\x00\xff\x00")


WAREHOUSES: dict[str, Callable[[Path], None]] = {
    "is garbage": _garbage,
    "is truncated": _truncated,
    "is of a later version": _of_a_later_version,
    "is a folder": _folder,
    "has damaged blocks": _flipped,
}
