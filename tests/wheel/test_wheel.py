"""The wheel in an environment of its own, and a checkout: both are read-only, and both work."""

from __future__ import annotations

import json
import os
import shutil
import socket
import stat
import subprocess
import sys
import sysconfig
import time
import urllib.request
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from published_demo import CHECKOUT

pytestmark = pytest.mark.wheel

BESIDE_THE_PACKAGES = ("dbt_project/", "profiles.yml")
LOAD_DEFINITIONS = """
import api, orchestration
from orchestration.definitions import defs

print(api.__path__[0], orchestration.__path__[0])
print(*sorted(schedule.name for schedule in defs.get_repository_def().schedule_defs))
"""


@pytest.fixture(scope="module")
def wheel() -> Path:
    """What `make wheel` built."""
    (built,) = (CHECKOUT / "build" / "wheel").glob("agentstats-*.whl")
    # Where dbt parsed it: what still looked for something there would find it.
    assert not (CHECKOUT / "build" / "lib").exists()
    return built


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The Python of a read-only environment: the wheel, and the dependencies of the checkout."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    made = folder / "bin" / "python"
    # Before the link below: pip would find the checkout's own agentstats, and stop at it.
    subprocess.run(
        [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--python", made,
         "install", "--no-deps", "--no-index", wheel],
        check=True,
    )  # fmt: skip
    # A path file of a folder that a path file names is not read: the checkout stays out.
    (packages_of(folder) / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    with read_only(folder):
        yield made


def packages_of(environment: Path) -> Path:
    """Where a virtual environment has its packages."""
    base = {"base": str(environment), "platbase": str(environment)}
    return Path(sysconfig.get_path("purelib", "venv", base))


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Take every right to write to the folder, and below it, for this block."""
    everything = [folder, *folder.rglob("*")]
    modes = {path: path.stat().st_mode for path in everything if not path.is_symlink()}
    writing = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH
    for path, mode in modes.items():
        path.chmod(mode & ~writing)
    yield
    for path, mode in modes.items():
        path.chmod(mode)


def as_anybody(command: Sequence[str | Path]) -> list[str | Path]:
    """The command, without the right of root to write wherever it wants."""
    if os.geteuid() != 0:
        return [*command]
    return ["setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override", *command]


def environment(folder: Path, **more: str) -> dict[str, str]:
    """Nothing of the checkout's, and a user's folder of its own."""
    kept = {key: os.environ[key] for key in ("PATH", "LANG", "TZ") if key in os.environ}
    return {**kept, "HOME": str(folder), "AGENTSTATS_NOW": "2026-11-22T12:00:00Z", **more}


def ran(command: Sequence[str | Path], folder: Path, **more: str) -> str:
    """Standard output of a command that has to work, run in `folder`."""
    done = subprocess.run(
        as_anybody(command), cwd=folder, env=environment(folder, **more), capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_read_only_folder_cannot_be_written_to(tmp_path: Path) -> None:
    """Or the other tests here would prove nothing."""
    with read_only(tmp_path), pytest.raises(AssertionError, match="Permission denied"):
        ran(["touch", tmp_path / "new"], tmp_path)


def test_the_wheel_has_what_lies_beside_the_packages(wheel: Path) -> None:
    """Each tracked file of the packages and of the dbt project is in it, and nothing of tests."""
    with zipfile.ZipFile(wheel) as archive:
        inside = set(archive.namelist())
    listed = subprocess.run(
        ["git", "ls-files", "-z", "api", "orchestration", *BESIDE_THE_PACKAGES],
        cwd=CHECKOUT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    tracked = {
        f"agentstats/{name}" if name.startswith(BESIDE_THE_PACKAGES) else name
        for name in listed.stdout.split("\0")
        if name
    }
    parsed = {"manifest.json", "partial_parse.msgpack", "parsed_from"}
    described = {name for name in inside if name.split("/")[0].endswith(".dist-info")}
    assert inside - described == tracked | {f"agentstats/parsed/{name}" for name in parsed}


def test_everything_works_from_the_wheel(python: Path, tmp_path: Path) -> None:
    """Sample, both jobs, recount, status, Dagster and server, without a checkout in reach."""
    agentstats = python.with_name("agentstats")
    ran([agentstats, "demo", "--no-serve"], tmp_path)
    home = tmp_path / ".local" / "share" / "agentstats"
    assert (home / "snapshots" / "CURRENT").is_file()
    assert json.loads(ran([agentstats, "run", "hourly", "--json"], tmp_path))["job"] == "hourly"
    assert json.loads(ran([agentstats, "run", "nightly", "--json"], tmp_path))["job"] == "nightly"
    ran([agentstats, "status"], tmp_path)
    ran([agentstats, "reconcile"], tmp_path)
    packages = packages_of(python.parents[1])
    assert ran([python, "-W", "ignore", "-c", LOAD_DEFINITIONS], tmp_path).splitlines() == [
        f"{packages / 'api'} {packages / 'orchestration'}",
        "hourly_at_minute_5 nightly_at_3",
    ]
    # What came with the wheel was good enough: nothing was parsed.
    assert not (home / ".dbt" / "duckdb").exists()
    assert "<title>" in served_page(agentstats, tmp_path)
    # Nothing but the home folder was made where the commands were run.
    assert {path.name for path in tmp_path.iterdir()} == {".local", ".env"}


def served_page(agentstats: Path, folder: Path) -> str:
    """The dashboard, from a server whose port is in `.env` of the folder that it is started in."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / ".env").write_text(f"AGENTSTATS_PORT={port}\n")
    server = subprocess.Popen(
        as_anybody([agentstats, "serve"]), cwd=folder, env=environment(folder),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            assert server.poll() is None, "the server ended"
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
                    return str(answer.read().decode())
            except OSError:
                time.sleep(0.1)
        raise AssertionError("the server does not answer")
    finally:
        server.terminate()
        server.wait(timeout=60)


def test_a_read_only_checkout_works(tmp_path: Path) -> None:
    """What was not parsed ahead is parsed into the home folder, where all the data goes too."""
    checkout, user = tmp_path / "checkout", tmp_path / "user"
    checkout.mkdir()
    user.mkdir()
    for name in ("api", "orchestration", "dbt_project"):
        shutil.copytree(
            CHECKOUT / name, checkout / name,
            ignore=shutil.ignore_patterns("target", "logs", "__pycache__"),
        )  # fmt: skip
    shutil.copy(CHECKOUT / "profiles.yml", checkout)
    with read_only(checkout):
        ran(
            [sys.executable, "-c", "from orchestration.cli import main; main()", "run", "hourly"],
            user, PYTHONPATH=str(checkout), AGENTSTATS_HOME=str(user / "home"),
        )  # fmt: skip
    assert (user / "home" / "snapshots" / "CURRENT").is_file()
    assert (user / "home" / ".dbt" / "duckdb" / "manifest.json").is_file()
    assert {path.name for path in user.iterdir()} == {"home"}
