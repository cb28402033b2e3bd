"""What docs/web-app.md shows for a server: signing a token, and asking behind one of FastAPI."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from api.auth.keys import KeyStore
from dashboard.serving import Server, running
from snapshot_fixture import ACME, NOW, publish, sample
from tokens_fixture import SECRET
from web_app_page import example


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A real server over the sample that takes tokens."""
    home = tmp_path_factory.mktemp("home")
    publish(home, sample())
    with running(home, now=NOW.isoformat(), jwt_secret=SECRET) as server:
        yield server


def defined(code: str) -> dict[str, Any]:
    """What a Python example defines."""
    names: dict[str, Any] = {}
    exec(code, names)
    return names


def test_the_token_that_is_signed_in_python_opens_what_it_says(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One customer, some agents, the families in its scope, for ten minutes."""
    monkeypatch.setattr(time, "time", NOW.timestamp)
    sign = defined(example("python", "def statistics_token"))["statistics_token"]
    for agents, ids in ((None, [42, 43, 44]), ([43], [43])):
        sent = {"Authorization": f"Bearer {sign(SECRET, ACME, agents)}"}
        rows = server.response_with(sent, "usage/by-agent", days=30).json()
        assert sorted(row["agent_id"] for row in rows) == ids
        assert httpx.get(f"{server.url}/api/stats/query", headers=sent).status_code == 403


def test_a_fastapi_server_passes_questions_on(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For the customer of the session alone: whatever else the request says makes no difference."""
    monkeypatch.setenv("STATISTICS_URL", server.url)
    app = FastAPI()
    app.include_router(defined(example("python", "APIRouter"))["router"])
    key = KeyStore(server.home / "keys.db").create(ACME, "proxy")[1]
    app.state.keys = {"of acme": key}
    with TestClient(app) as client:
        path = "/api/stats/usage/by-agent?days=30&limit=2&offset=1"
        assert client.get(path).status_code == 401
        client.cookies.set("session", "of acme")
        answer = client.get(path, headers={"X-API-Key": "cust_other", "X-Forwarded-For": "x"})
        direct = server.response("usage/by-agent", key, days=30, limit=2, offset=1)
        assert answer.json() == direct.json()
        assert answer.headers["X-Total-Rows"] == direct.headers["X-Total-Rows"]
        again = client.get(path, headers={"If-None-Match": answer.headers["ETag"]})
        assert (again.status_code, again.content) == (304, b"")
        two = client.get("/api/stats/query?metrics=total_tokens&agent_id=42&agent_id=43&days=30")
        both = httpx.get(
            f"{server.url}/api/stats/query?metrics=total_tokens&agent_id=42&agent_id=43&days=30",
            headers={"X-API-Key": key},
        )
        assert two.json() == both.json()
        wrong = client.get("/api/stats/usage/summary?days=0")
        assert (wrong.status_code, wrong.json()["error_code"]) == (422, "INVALID_PARAMETER")
        assert "Cookie" in answer.headers["Vary"]


def test_a_transport_waits_and_asks_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """After 429 and 503 as long as the answer says, and no more than three times."""
    waited: list[float] = []
    monkeypatch.setattr(time, "sleep", waited.append)
    patient = defined(example("python", "class Patient"))["Patient"]
    answers: list[httpx.Response] = []

    def answer(_self: object, _request: httpx.Request) -> httpx.Response:
        return answers.pop(0)

    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", answer)

    def asked(*statuses: int) -> int:
        answers[:] = [httpx.Response(each, headers={"Retry-After": "7"}) for each in statuses]
        with httpx.Client(transport=patient()) as client:
            return client.get("http://statistics.example/").status_code

    assert (asked(429, 503, 200), waited) == (200, [7, 7])
    assert (asked(422), len(waited)) == (422, 2)
    assert (asked(503, 503, 503, 503), len(waited)) == (503, 5)
