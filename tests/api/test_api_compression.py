"""Answers are compressed for whoever takes it, once, with tags of their own."""

import gzip
from pathlib import Path

import httpx2
import pytest
from fastapi.testclient import TestClient
from starlette.types import Receive, Scope, Send

from api.cache.answers import AnswerCache
from api.middleware import compression
from api.middleware.compression import takes_gzip
from service_fixture import Service, StartService
from snapshot_fixture import ACME, BOREAL, Marts, publish, usage

AGENTS = "/api/stats/usage/by-agent"
SUMMARY = "/api/stats/usage/summary"
GZIP, PLAIN = {"Accept-Encoding": "gzip"}, {"Accept-Encoding": "identity"}
NEXT_SNAPSHOT = "20260310T120500Z-00000002"


def many_agents() -> Marts:
    """Two customers of 40 agents each, with one message each today."""
    return Marts(
        customers=[(ACME, "Acme", "pro", 90), (BOREAL, "Boreal", "pro", 90)],
        usage=[
            usage(
                customer, customer * 100 + agent, 1, "m", "2026-03-10 09:00",
                message_count=1, input_tokens=agent, output_tokens=customer,
            )
            for customer in (ACME, BOREAL)
            for agent in range(40)
        ],
    )  # fmt: skip


@pytest.fixture
def wide(start: StartService, tmp_path: Path) -> Service:
    """An app over customers whose list of agents has some kilobytes."""
    publish(tmp_path, many_agents())
    return start()


def raw(
    service: Service, key: str, path: str, headers: dict[str, str]
) -> tuple[bytes, httpx2.Headers]:
    """Body as it was sent, and headers."""
    sent = {"X-API-Key": key, **headers}
    with service.client.stream("GET", path, headers=sent) as answer:
        assert answer.status_code == 200, answer.read()
        return b"".join(answer.iter_raw()), answer.headers


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (["gzip"], True),
        (["gzip, deflate, br, zstd"], True),
        (["GZip ; q=0.001"], True),
        (["x-gzip"], True),
        (["*"], True),
        (["br", "gzip;q=0.5"], True),
        (["gzip, identity"], True),
        ([], False),
        ([""], False),
        (["identity"], False),
        (["br"], False),
        (["notgzip"], False),
        (["gzip;q=0"], False),
        (["gzip;q=0.000"], False),
        (["gzip;q=0, *"], False),
        (["*;q=0"], False),
        (["gzip;q=0.5, identity"], False),
        (["gzip;q=2"], False),
        (["gzip;q=-1"], False),
        (["gzip;q=nan"], False),
        (["gzip;level=9"], False),
    ],
)
def test_who_takes_gzip(accept: list[str], expected: bool) -> None:
    """By RFC 9110, 12.5.3: names in any case, weights, and `*` for what is not named."""
    assert takes_gzip(accept) is expected


@pytest.mark.parametrize(
    "path", [AGENTS, f"{AGENTS}?format=csv", "/api/stats/usage/timeline?days=90"]
)
def test_a_long_answer_is_compressed_and_means_the_same(wide: Service, path: str) -> None:
    """Made anew and from memory: the same bytes, a tag of its own, all other headers alike."""
    key = wide.key(ACME)
    plain, plain_headers = raw(wide, key, path, PLAIN)
    assert "Content-Encoding" not in plain_headers
    for _ in range(2):
        body, headers = raw(wide, key, path, GZIP)
        assert headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(body) == plain
        assert int(headers["Content-Length"]) == len(body) < len(plain)
        assert headers["ETag"] == plain_headers["ETag"][:-1] + '-gzip"'
        assert (
            headers["Vary"]
            == plain_headers["Vary"]
            == "X-API-Key, Authorization, Cookie, Origin, Accept-Encoding"
        )
        for name in ("Content-Type", "Cache-Control", "X-Snapshot-Id", "X-Period-Start"):
            assert headers[name] == plain_headers[name]
    assert raw(wide, key, path, PLAIN)[0] == plain


@pytest.mark.parametrize("refusal", ["identity", "gzip;q=0", "br", "gzip;q=0, *;q=1", ""])
def test_who_does_not_take_it_gets_plain_bytes(wide: Service, refusal: str) -> None:
    """Also after another client had the same answer compressed."""
    key = wide.key(ACME)
    compressed, _ = raw(wide, key, AGENTS, GZIP)
    body, headers = raw(wide, key, AGENTS, {"Accept-Encoding": refusal})
    assert body == gzip.decompress(compressed)
    assert body.startswith(b"[{")
    assert "Content-Encoding" not in headers
    assert "-gzip" not in headers["ETag"]


def test_the_tag_of_a_compressed_answer_gets_304(wide: Service) -> None:
    """From memory and from a route, strong and weak; the 304 names what the client has."""
    key = wide.key(ACME)
    plain = raw(wide, key, AGENTS, PLAIN)[1]["ETag"]
    compressed = raw(wide, key, AGENTS, GZIP)[1]["ETag"]
    for path in (AGENTS, f"{AGENTS}?days=7", f"{AGENTS}?tz=UTC"):
        for accept, sent, named in (
            (GZIP, compressed, compressed),
            (GZIP, f"W/{compressed}", compressed),
            (GZIP, f'"other", {compressed}', compressed),
            (GZIP, plain, plain),
            (PLAIN, plain, plain),
            (PLAIN, f"{compressed}, {plain}", plain),
            (GZIP, "*", plain),
        ):
            headers = {"X-API-Key": key, **accept, "If-None-Match": sent}
            answer = wide.client.get(path, headers=headers)
            assert (answer.status_code, answer.content) == (304, b""), (path, accept, sent)
            assert answer.headers["ETag"] == named
            assert (
                answer.headers["Vary"]
                == "X-API-Key, Authorization, Cookie, Origin, Accept-Encoding"
            )
            assert "Content-Encoding" not in answer.headers
        # It has only what it says it does not take.
        headers = {"X-API-Key": key, **PLAIN, "If-None-Match": compressed}
        assert wide.client.get(path, headers=headers).status_code == 200
    publish(wide.settings.home, many_agents(), snapshot_id=NEXT_SNAPSHOT)
    wide.await_snapshot(NEXT_SNAPSHOT)
    for accept, sent in ((GZIP, compressed), (PLAIN, plain)):
        headers = {"X-API-Key": key, **accept, "If-None-Match": sent}
        assert wide.client.get(AGENTS, headers=headers).status_code == 200


@pytest.fixture
def compressions(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Lengths of what was compressed, in order."""
    seen: list[int] = []
    real = compression.gzipped

    def noting(content: bytes) -> bytes:
        seen.append(len(content))
        return real(content)

    monkeypatch.setattr(compression, "gzipped", noting)
    return seen


def test_an_answer_is_compressed_once_for_each_customer_and_snapshot(
    wide: Service, compressions: list[int]
) -> None:
    """However it is spelled; and no customer gets what is another's."""
    keys = {customer: wide.key(customer) for customer in (ACME, BOREAL)}
    bodies = {
        customer: {raw(wide, key, path, GZIP)[0] for path in (AGENTS, AGENTS, f"{AGENTS}?days=7")}
        for customer, key in keys.items()
    }
    assert len(compressions) == 2
    assert len(bodies[ACME]) == len(bodies[BOREAL]) == 1
    assert bodies[ACME] != bodies[BOREAL]
    services = wide.app.state.services
    assert services.answers.size > sum(compressions)
    publish(wide.settings.home, many_agents(), snapshot_id=NEXT_SNAPSHOT)
    wide.await_snapshot(NEXT_SNAPSHOT)
    assert services.answers.size == 0
    raw(wide, keys[ACME], AGENTS, GZIP)
    assert len(compressions) == 3


def test_without_memory_each_answer_is_compressed(
    start: StartService, tmp_path: Path, compressions: list[int]
) -> None:
    """And right."""
    publish(tmp_path, many_agents())
    service = start(answer_cache_mb=0)
    key = service.key(ACME)
    assert len({raw(service, key, AGENTS, GZIP)[0] for _ in range(3)}) == 1
    assert len(compressions) == 3


def test_a_megabyte_is_compressed_off_the_event_loop(
    start: StartService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A short answer is not: to hand it to a thread costs more."""
    handed: list[int] = []

    async def noting(work: object, content: bytes) -> bytes:
        assert work is compression.gzipped
        handed.append(len(content))
        return compression.gzipped(content)

    monkeypatch.setattr(compression, "run_in_threadpool", noting)
    marts = many_agents()
    marts.usage += [
        usage(BOREAL, 1000 + agent, 1, "m", "2026-03-10 09:00", message_count=1, input_tokens=1)
        for agent in range(700)
    ]
    publish(tmp_path, marts)
    service = start()
    raw(service, service.key(ACME), AGENTS, GZIP)
    assert handed == []
    raw(service, service.key(BOREAL), AGENTS, GZIP)
    assert len(handed) == 1
    assert handed[0] > 65_536


def test_what_is_short_or_no_answer_of_the_api_stays_plain(wide: Service) -> None:
    """A summary, errors, refused methods, measurements and pages; only the API's vary by it."""
    headers = {"X-API-Key": wide.key(ACME), **GZIP}
    for path, status in ((SUMMARY, 200), (f"{SUMMARY}?days=0", 422), ("/api/nope", 404)):
        answer = wide.client.get(path, headers=headers)
        assert answer.status_code == status
        assert "Content-Encoding" not in answer.headers
        assert answer.headers["Vary"] == "X-API-Key, Authorization, Cookie, Origin, Accept-Encoding"
    assert wide.client.head(AGENTS, headers=headers).status_code == 405
    assert wide.client.get(AGENTS, headers=GZIP).status_code == 401
    for path in ("/metrics", "/healthz", "/openapi.json"):
        answer = wide.client.get(path, headers=GZIP)
        assert answer.status_code == 200
        assert "Content-Encoding" not in answer.headers
        assert "Accept-Encoding" not in answer.headers.get("Vary", "")


def test_a_compressed_answer_is_logged_and_measured_by_its_route(wide: Service) -> None:
    """With a tag that is rewritten on the way in, too."""
    key = wide.key(ACME)
    tag = raw(wide, key, AGENTS, GZIP)[1]["ETag"]
    wide.client.get(AGENTS, headers={"X-API-Key": key, **GZIP, "If-None-Match": tag})
    lines = wide.log_lines()[-2:]
    assert [(line["route"], line["status"], line["customer_id"]) for line in lines] == [
        (AGENTS, 200, ACME),
        (AGENTS, 304, ACME),
    ]


def test_what_comes_in_parts_or_is_encoded_already_is_left_alone() -> None:
    """Streams have no length; what has a Content-Encoding was compressed by somebody else."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del receive
        headers = [(b"content-type", b"application/json")]
        if scope["path"] == "/api/encoded":
            headers += [(b"content-encoding", b"br"), (b"content-length", b"1200")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for more in (True, False):
            await send({"type": "http.response.body", "body": b"x" * 600, "more_body": more})

    client = TestClient(compression.Compression(app, answers=AnswerCache(1_000_000)))
    with client.stream("GET", "/api/parts", headers=GZIP) as answer:
        assert "Content-Encoding" not in answer.headers
        assert b"".join(answer.iter_raw()) == b"x" * 1200
    with client.stream("GET", "/api/encoded", headers=GZIP) as answer:
        assert answer.headers["Content-Encoding"] == "br"
        assert b"".join(answer.iter_raw()) == b"x" * 1200
