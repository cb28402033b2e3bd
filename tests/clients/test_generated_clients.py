"""Clients that common generators make of openapi.json, unchanged and with their defaults; and the
lines and examples of docs/web-app.md that need such tools."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from api.auth.keys import KeyStore
from fuzz.served import Served, serving
from published_demo import CHECKOUT
from snapshot_fixture import ACME, NOW, publish, sample
from tokens_fixture import SECRET, token
from web_app_page import example

pytestmark = pytest.mark.clients

DOCUMENT = CHECKOUT / "openapi.json"
TOOLS = CHECKOUT / "build" / "clients"
HERE = Path(__file__).parent
COMPILED = (
    *("--strict", "--target", "es2022", "--module", "nodenext"),
    *("--rewriteRelativeImportExtensions", "--outDir", "made"),
)
ASKING = """
import { statistics } from "./client.ts";

const { STATISTICS_URL, TOKEN } = (globalThis as any).process.env; // no types of Node.js are needed
const { data } = await statistics(STATISTICS_URL, TOKEN).GET(
  "/api/stats/usage/by-agent", { params: { query: { days: 30 } } });
console.log(JSON.stringify(data?.map((row) => [row.agent_id, row.total_tokens])));
"""
SESSIONS = """
export async function customerKey(request: Request): Promise<string | null> {
  return request.headers.get("cookie") === "session=acme" ? process.env.KEY! : null;
}
"""
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
    with serving(home, jwt_secret=SECRET) as server:
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
    run("node_modules/.bin/tsc", *COMPILED, "ask.ts", cwd=typescript_client)
    key, expected = key_and_answer(served)
    said = run("node", "made/ask.js", served.url, key, cwd=typescript_client, TZ=ZONE_OF_A_BROWSER)
    assert json.loads(said) == expected


def test_the_python_example_of_the_page_asks_with_a_token(
    python_client: Path, served: Served
) -> None:
    """As docs/web-app.md shows it, with the client that the page's command makes."""
    _, expected = key_and_answer(served)
    program = example("python", "def agents(") + (
        "\nimport json, sys\n"
        "print(json.dumps([[row.agent_id, row.total_tokens] for row in agents(*sys.argv[1:])]))\n"
    )
    (python_client / "page.py").write_text(program)
    interpreter = TOOLS / "bin" / "python"
    said = run(interpreter, "page.py", served.url, token(), cwd=python_client)
    assert sorted(json.loads(said)) == sorted(expected)


def test_the_typescript_client_of_the_page_asks_with_a_token_of_the_page(
    typescript_client: Path, served: Served
) -> None:
    """The token is the one that Node.js signs, of three agents."""
    _, expected = key_and_answer(served)
    folder = typescript_client / "page"
    folder.mkdir()
    (folder / "package.json").write_text((HERE / "package.json").read_text())
    (folder / "node_modules").symlink_to(TOOLS / "node_modules")
    (folder / "api.ts").write_text((typescript_client / "api.ts").read_text())
    (folder / "client.ts").write_text(example("ts", "createClient"))
    (folder / "main.ts").write_text(ASKING)
    run("node_modules/.bin/tsc", *COMPILED, "main.ts", cwd=folder)
    (folder / "made" / "sign.js").write_text(example("javascript", "createHmac"))
    sign = (
        'import { statisticsToken } from "./made/sign.js";'
        f"Date.now = () => {NOW.timestamp() * 1000:.0f};"
        f"console.log(statisticsToken({json.dumps(SECRET)}, {ACME}, [42, 43, 44]))"
    )
    signed = run("node", "--input-type=module", "--eval", sign, cwd=folder).strip()
    said = run("node", "made/main.js", cwd=folder, STATISTICS_URL=served.url, TOKEN=signed)
    assert json.loads(said) == [row for row in expected if row[0] in (42, 43, 44)]


def test_the_route_of_the_page_answers_in_next_js(served: Served, next_project: Path) -> None:
    """Built and started as a platform does it: what the server answers, 304 and errors too."""
    key, _ = key_and_answer(served)
    by_agent = "/api/stats/usage/by-agent?days=30&limit=2"
    direct = httpx.get(f"{served.url}{by_agent}", headers={"X-API-Key": key})
    with next_js(next_project, STATISTICS_URL=served.url, KEY=key) as url:
        signed_in = httpx.Client(base_url=url, cookies={"session": "acme"})
        first = signed_in.get(by_agent)
        assert (first.status_code, first.content) == (200, direct.content)
        for name in ("Content-Type", "X-Total-Rows", "X-Data-As-Of"):
            assert first.headers[name] == direct.headers[name]
        assert first.headers["Cache-Control"] == "private, no-cache"
        again = signed_in.get(by_agent, headers={"If-None-Match": first.headers["ETag"]})
        assert (again.status_code, again.content) == (304, b"")
        wrong = signed_in.get("/api/stats/usage/by-agent?days=0")
        assert (wrong.status_code, wrong.json()["error_code"]) == (422, "INVALID_PARAMETER")
        # Nothing in a path gets out of /api/stats/.
        assert signed_in.get("/api/stats/..%2F..%2Fhealthz").status_code == 404
        assert httpx.get(f"{url}{by_agent}").status_code == 401


@pytest.fixture(scope="module")
def next_project() -> Iterator[Path]:
    """A project with the route and somebody's sessions, built; beside the packages, where Next.js
    looks for them and follows no link out of the project."""
    folder = TOOLS / "platform"
    shutil.rmtree(folder, ignore_errors=True)
    route = folder / "app" / "api" / "stats" / "[...path]"
    route.mkdir(parents=True)
    (route / "route.ts").write_text(example("typescript", "export async function GET"))
    (route / "session.ts").write_text(SESSIONS)
    run("../node_modules/.bin/next", "build", cwd=folder, NEXT_TELEMETRY_DISABLED="1")
    yield folder
    shutil.rmtree(folder)


@contextmanager
def next_js(folder: Path, **environment: str) -> Iterator[str]:
    """The address of the project, started, for the time of the block."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            ["../node_modules/.bin/next", "start", "--hostname", "127.0.0.1", "--port", str(port)],
            cwd=folder,
            env={**os.environ, "NEXT_TELEMETRY_DISABLED": "1", **environment},
            stdout=log,
            stderr=log,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                httpx.get(url)
                break
            except httpx.TransportError:
                assert process.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < deadline, "Next.js did not start in 60 s"
                time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=20)


def test_the_python_lines_of_the_page_work_where_nothing_is_installed(
    served: Served, tmp_path: Path
) -> None:
    """The newest versions there are, in an empty environment: the commands as they stand, then the
    client and the token of the page."""
    _, expected = key_and_answer(served)
    environment = tmp_path / "environment"
    run(sys.executable, "-m", "venv", environment, cwd=tmp_path)
    shutil.copy(DOCUMENT, tmp_path)
    signing = example("python", "def statistics_token(")
    (install_jwt,) = re.findall(r"# (pip install \S+)", signing)
    path = f"{environment / 'bin'}{os.pathsep}{os.environ['PATH']}"
    for lines in (example("sh", "pip install openapi"), install_jwt):
        run("sh", "-ec", lines, cwd=tmp_path, PATH=path)
    (tmp_path / "main.py").write_text(
        f"{signing}\n{example('python', 'def agents(')}\n"
        "import json, sys\n"
        f"time.time = lambda: {NOW.timestamp()}\n"
        f"token = statistics_token({SECRET!r}, {ACME}, [42, 43, 44])\n"
        "rows = agents(sys.argv[1], token)\n"
        "print(json.dumps([[row.agent_id, row.total_tokens] for row in rows]))\n"
    )
    said = run(environment / "bin" / "python", "main.py", served.url, cwd=tmp_path)
    assert json.loads(said) == [row for row in expected if row[0] in (42, 43, 44)]


def test_the_npm_lines_of_the_page_work_where_nothing_is_installed(
    served: Served, tmp_path: Path
) -> None:
    """The newest versions there are, in an empty folder: the commands as they stand, then the
    client of the page."""
    _, expected = key_and_answer(served)
    shutil.copy(DOCUMENT, tmp_path)
    run("sh", "-ec", example("sh", "npm install"), cwd=tmp_path)
    run("npm", "pkg", "set", "type=module", cwd=tmp_path)
    (tmp_path / "client.ts").write_text(example("ts", "createClient"))
    (tmp_path / "main.ts").write_text(ASKING)
    run("npx", "tsc", *COMPILED, "main.ts", cwd=tmp_path)
    said = run("node", "made/main.js", cwd=tmp_path, STATISTICS_URL=served.url, TOKEN=token())
    assert json.loads(said) == expected
