"""Every command of the docs runs, as it stands there, on the demo."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from published_demo import CHECKOUT, PublishedDemo, environment

PAGES = sorted(
    [CHECKOUT / "README.md", CHECKOUT / "CONTRIBUTING.md", *(CHECKOUT / "docs").rglob("*.md")]
)
BLOCK = re.compile(r"```console\n(.*?)```", re.DOTALL)

# What `duckdb -readonly FILE -c SQL` does, where the command line of DuckDB is not installed; the
# real one runs in tests/versions.
_DUCKDB = f"""#!{sys.executable}
import sys, duckdb
assert sys.argv[1] == "-readonly" and sys.argv[3] == "-c"
print(duckdb.connect(sys.argv[2], read_only=True).sql(sys.argv[4]))
"""
_AGENTSTATS = f"""#!{sys.executable}
from orchestration.cli import main
main()
"""


def _commands() -> list[str]:
    """Every line of every console block, without its comment, each once, in order."""
    lines = [
        re.sub(r"\s+#.*", "", line).strip()
        for page in PAGES
        for block in BLOCK.findall(page.read_text())
        for line in block.splitlines()
    ]
    return list(dict.fromkeys(line for line in lines if line))


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def _serves(command: str) -> bool:
    return command.endswith("agentstats serve")


@pytest.fixture(scope="module")
def shell(demo: PublishedDemo, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the environment of a reader who follows the docs, in a copy of the demo."""
    folder = tmp_path_factory.mktemp("reader")
    shutil.copytree(demo.home, folder / "home", symlinks=True)
    # The analysts' page makes the same demo again: here it is there already.
    shutil.copytree(demo.home, folder / "demo-of-the-docs", symlinks=True)
    for name, script in (("agentstats", _AGENTSTATS), ("duckdb", _DUCKDB)):
        (folder / "bin").mkdir(exist_ok=True)
        (folder / "bin" / name).write_text(script)
        (folder / "bin" / name).chmod(0o755)
    return {
        **environment(folder / "home"),
        "AGENTSTATS_PORT": str(_free_port()),
        "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PWD": str(folder),
    }


@pytest.fixture(scope="module")
def served(shell: dict[str, str]) -> Iterator[dict[str, str]]:
    """Serve the copy, and return the environment with a key of a customer in it."""
    made = subprocess.run(
        ["agentstats", "keys", "create", "--customer", "1039", "--name", "docs"],
        env=shell, cwd=shell["PWD"], capture_output=True, text=True, check=True,
    )  # fmt: skip
    server = subprocess.Popen(["agentstats", "serve"], env=shell, cwd=shell["PWD"])
    try:
        _wait_until_it_answers(shell["AGENTSTATS_PORT"], server)
        yield {**shell, "KEY": made.stdout.strip()}
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(timeout=60)


def _wait_until_it_answers(port: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert server.poll() is None, "it ended before it answered"
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5):
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.2)
    raise AssertionError("it does not answer")


@pytest.mark.parametrize(
    "command", [command for command in _commands() if command.startswith("agentstats")]
)
def test_a_command_of_agentstats_runs(shell: dict[str, str], command: str) -> None:
    """What the docs call ends with 0; what serves goes on until it is stopped, and answers."""
    if _serves(command):
        environment_of_it = {**shell, "AGENTSTATS_PORT": str(_free_port())}
        server = subprocess.Popen(command.split(), env=environment_of_it, cwd=shell["PWD"])
        try:
            _wait_until_it_answers(environment_of_it["AGENTSTATS_PORT"], server)
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(timeout=60)
        return
    _run(shell, command)


@pytest.mark.parametrize(
    "command", [command for command in _commands() if command.startswith("make")]
)
def test_a_target_of_make_is_there(command: str) -> None:
    """Make knows the target. It is not made: tests that run all tests would never end."""
    done = subprocess.run(
        ["make", "--dry-run", *command.split()[1:]], cwd=CHECKOUT, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "command", [command for command in _commands() if command.startswith("curl")]
)
def test_a_request_is_answered(served: dict[str, str], command: str) -> None:
    """A curl command gets JSON with data from a service, at its own address."""
    here = command.replace("127.0.0.1:8000", f"127.0.0.1:{served['AGENTSTATS_PORT']}")
    answer = _run(served, here.replace("curl ", "curl --silent --fail-with-body ", 1))
    assert '"total_messages":' in answer


def test_every_other_command_runs(shell: dict[str, str]) -> None:
    """Whatever else stands in a block runs too, so that no command goes untested."""
    tested = ("agentstats", "make", "curl")
    for command in _commands():
        if not command.startswith(tested):
            _run(shell, command)


def test_a_command_that_is_wrong_is_noticed(shell: dict[str, str]) -> None:
    """The tests above would fail for a command that fails: one with an option that is not there."""
    with pytest.raises(AssertionError, match="No such option"):
        _run(shell, f"agentstats status --{secrets.token_hex(4)}")


def _run(shell: dict[str, str], command: str) -> str:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command], env=shell, cwd=shell["PWD"],
        stdin=subprocess.DEVNULL if "agentstats sql" not in command else None,
        input="select 1" if command == "agentstats sql" else None,
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout
