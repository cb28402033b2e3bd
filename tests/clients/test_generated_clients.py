"""Clients that common generators make of openapi.json, unchanged and with their defaults."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from api.auth.keys import KeyStore
from fuzz.served import Served, serving
from published_demo import CHECKOUT
from snapshot_fixture import ACME, publish, sample

pytestmark = pytest.mark.clients

DOCUMENT = CHECKOUT / "openapi.json"
TOOLS = CHECKOUT / "build" / "clients"
HERE = Path(__file__).parent
ZONE_OF_A_BROWSER = "Asia/Calcutta"  # what Chromium and Node.js call Asia/Kolkata to this day


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    """What a command says, on both outputs; it has to end with 0."""
    path = f"{TOOLS / 'bin'}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, "PATH": path, **environment},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def python_client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the client's package lies in; a warning of the generator is a failure."""
    folder = tmp_path_factory.mktemp("python")
    generator = TOOLS / "bin" / "openapi-python-client"
    said = run(generator, "generate", "--path", DOCUMENT, "--fail-on-warning", cwd=folder)
    assert said.splitlines() == [f"Generating {folder / 'agentstats-client'}"]
    return folder / "agentstats-client"


@pytest.fixture(scope="module")
def typescript_client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the client's types and a program that uses them."""
    folder = tmp_path_factory.mktemp("typescript")
    shutil.copy(HERE / "package.json", folder)
    (folder / "node_modules").symlink_to(TOOLS / "node_modules")
    said = run("node_modules/.bin/openapi-typescript", DOCUMENT, "-o", "api.ts", cwd=folder)
    assert [line.split(" → ")[0] for line in said.splitlines()] == [
        "✨ openapi-typescript 7.13.0",
        f"🚀 {DOCUMENT}",
    ]
    shutil.copy(HERE / "ask.ts", folder)
    return folder


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A real server over the sample."""
    home = tmp_path_factory.mktemp("home")
    publish(home, sample())
    with serving(home) as server:
        yield server


def key_and_answer(served: Served) -> tuple[str, list[list[int]]]:
    """A key, and what it gets for agents' tokens of 30 days where nothing is generated."""
    _, key = KeyStore(served.log.parent / "keys.db").create(ACME, "test")
    answer = httpx.get(
        f"{served.url}/api/stats/usage/by-agent",
        params={"days": 30, "tz": ZONE_OF_A_BROWSER},
        headers={"X-API-Key": key},
    )
    rows = [[row["agent_id"], row["total_tokens"]] for row in answer.json()]
    assert len(rows) > 1
    return key, rows


def test_the_python_client_is_typed_and_gets_the_same_answer(
    python_client: Path, served: Served
) -> None:
    """Every module of it passes mypy, and so does the program that asks with it."""
    interpreter = TOOLS / "bin" / "python"
    shutil.copy(HERE / "ask.py", python_client)
    run(
        *(sys.executable, "-m", "mypy", "--strict", "--python-executable", interpreter),
        *("--cache-dir", CHECKOUT / ".mypy_cache" / "clients"),
        *("agentstats_client", "ask.py"),
        cwd=python_client,
    )
    key, expected = key_and_answer(served)
    said = run(interpreter, "ask.py", served.url, key, ZONE_OF_A_BROWSER, cwd=python_client)
    assert json.loads(said) == expected


def test_the_typescript_client_is_typed_and_gets_the_same_answer(
    typescript_client: Path, served: Served
) -> None:
    """The browser's own zone is a value of `tz`, and rows are rows, not perhaps a text."""
    run(
        *("node_modules/.bin/tsc", "--strict", "--target", "es2022", "--module", "nodenext"),
        *("--rewriteRelativeImportExtensions", "--outDir", "made", "ask.ts"),
        cwd=typescript_client,
    )
    key, expected = key_and_answer(served)
    said = run("node", "made/ask.js", served.url, key, cwd=typescript_client, TZ=ZONE_OF_A_BROWSER)
    assert json.loads(said) == expected
