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
from snapshot_fixture import ACME, NOW, publish, sample
from tokens_fixture import SECRET, token
from web_app_page import example

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
    run(
        *("node_modules/.bin/tsc", "--strict", "--target", "es2022", "--module", "nodenext"),
        *("--rewriteRelativeImportExtensions", "--outDir", "made", "ask.ts"),
        cwd=typescript_client,
    )
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


def test_the_typescript_examples_of_the_page_run(typescript_client: Path, served: Served) -> None:
    """The client with a token, the token that Node.js signs, and the route for Next.js, which
    answers what the server answers, 304 and errors too."""
    key, expected = key_and_answer(served)
    folder = typescript_client / "page"
    folder.mkdir()
    (folder / "package.json").write_text((HERE / "package.json").read_text())
    (folder / "node_modules").symlink_to(TOOLS / "node_modules")
    (folder / "api.ts").write_text((typescript_client / "api.ts").read_text())
    (folder / "client.ts").write_text(example("ts", "createClient"))
    (folder / "route.ts").write_text(example("typescript", "export async function GET"))
    (folder / "sign.js").write_text(example("javascript", "createHmac"))
    (folder / "session.ts").write_text(
        "export const customerKey = async (request: Request): Promise<string | null> =>"
        ' request.headers.get("cookie") === "session=acme" ? process.env.KEY! : null;\n'
    )
    (folder / "main.ts").write_text(
        'import { statistics } from "./client.ts";\n'
        'import { GET } from "./route.ts";\n'
        "const { data } = await statistics(process.env.STATISTICS_URL, process.env.TOKEN).GET(\n"
        '  "/api/stats/usage/by-agent", { params: { query: { days: 30 } } });\n'
        "const route = async (path: string, headers = {}) => {\n"
        '  const url = new URL(path, "http://platform.example");\n'
        "  const parts = url.pathname.split('/').slice(3);\n"
        "  const request = new Request(url, { headers: { cookie: 'session=acme', ...headers } });\n"
        "  return GET(request, { params: Promise.resolve({ path: parts }) });\n"
        "};\n"
        "const first = await route('/api/stats/usage/by-agent?days=30&limit=2');\n"
        "const tag = { 'If-None-Match': first.headers.get('ETag')! };\n"
        "const again = await route('/api/stats/usage/by-agent?days=30&limit=2', tag);\n"
        "const wrong = await route('/api/stats/usage/by-agent?days=0');\n"
        "const stranger = await route('/api/stats/usage/by-agent', { cookie: '' });\n"
        "console.log(JSON.stringify({\n"
        "  client: data?.map((row) => [row.agent_id, row.total_tokens]),\n"
        "  body: await first.json(),\n"
        "  total: first.headers.get('X-Total-Rows'),\n"
        "  statuses: [first, again, wrong, stranger].map((each) => each.status) }));\n"
    )
    (folder / "env.d.ts").write_text("declare const process: { env: Record<string, string> };\n")
    run(
        *("node_modules/.bin/tsc", "--strict", "--target", "es2022", "--module", "nodenext"),
        *("--rewriteRelativeImportExtensions", "--outDir", "made", "main.ts", "env.d.ts"),
        cwd=folder,
    )
    shutil.copy(folder / "sign.js", folder / "made")
    sign = (
        'import { statisticsToken } from "./made/sign.js";'
        f"Date.now = () => {NOW.timestamp() * 1000:.0f};"
        f"console.log(statisticsToken({json.dumps(SECRET)}, {ACME}, [42, 43, 44]))"
    )
    signed = run("node", "--input-type=module", "--eval", sign, cwd=folder).strip()
    said = json.loads(
        run("node", "made/main.js", cwd=folder, STATISTICS_URL=served.url, TOKEN=signed, KEY=key)
    )
    direct = httpx.get(
        f"{served.url}/api/stats/usage/by-agent?days=30&limit=2", headers={"X-API-Key": key}
    )
    assert said == {
        "client": [row for row in expected if row[0] in (42, 43, 44)],
        "body": direct.json(),
        "total": direct.headers["X-Total-Rows"],
        "statuses": [200, 304, 422, 401],
    }
