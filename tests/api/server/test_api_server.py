"""A real granian server on loopback, in a process of its own."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from api.auth.keys import KeyStore
from api.server.listening import CannotListen, listening_socket
from fuzz.sockets import is_let_go
from snapshot_fixture import ACME, publish, sample

PROGRAM = "from api.server.workers import serve; from api.settings import ServingSettings; " + (
    "serve(ServingSettings(_env_file=None))"
)


def free_port() -> int:
    """A port of loopback that no process listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(params=[{}])
def server(
    tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[tuple[subprocess.Popen[str], int, str]]:
    """The process, its port, and a key of customer 1."""
    publish(tmp_path, sample())
    _, key = KeyStore(tmp_path / "keys.db").create(ACME, "test")
    port = free_port()
    environment = {
        **os.environ,
        "AGENTSTATS_HOME": str(tmp_path),
        "AGENTSTATS_NOW": "2026-03-10T12:00:00Z",
        "AGENTSTATS_PORT": str(port),
        "AGENTSTATS_HEADER_TIMEOUT_SECONDS": "1",
        **request.param,
    }
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                httpx2.get(f"http://127.0.0.1:{port}/healthz")
                break
            except httpx2.TransportError:
                assert process.poll() is None, process.communicate()[0]
                assert time.monotonic() < deadline, "the server did not start in 30 s"
                time.sleep(0.1)
        yield process, port, key
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)


def test_a_real_server_answers_cuts_slow_clients_and_stops(
    server: tuple[subprocess.Popen[str], int, str],
) -> None:
    """One life of a server: an answer, a client that trickles its header, a clean stop."""
    process, port, key = server
    base = f"http://127.0.0.1:{port}"
    answer = httpx2.get(f"{base}/api/stats/usage/summary", headers={"X-API-Key": key})
    assert answer.status_code == 200
    assert answer.json()["total_messages"] == 9
    assert answer.headers["X-Snapshot-Id"] == "20260310T110500Z-00000001"
    assert httpx2.get(f"{base}/readyz").status_code == 200
    timeline = f"{base}/api/stats/usage/timeline?days=90"
    for accepted, start in (("gzip, br", b"\x1f\x8b"), ("gzip;q=0", b'{"labels"')):
        headers = {"X-API-Key": key, "Accept-Encoding": accepted}
        with httpx2.stream("GET", timeline, headers=headers) as streamed:
            body = b"".join(streamed.iter_raw())
        assert body.startswith(start)
        assert streamed.headers["Content-Length"] == str(len(body))
        again = httpx2.get(timeline, headers={**headers, "If-None-Match": streamed.headers["ETag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["ETag"] == streamed.headers["ETag"]
    refused = httpx2.get(f"{base}/api/stats/usage/summary", headers={"X-API-Key": "cust_no"})
    assert refused.json()["error_code"] == "INVALID_API_KEY"

    for sent in (
        b"GET /healthz HTTP/1.1\r\nHost: x\r\n",  # half a header
        b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",  # a whole one, and then idle
        b"PRI * HTTP/2.0\r\n",
        b"",
    ):
        with socket.create_connection(("127.0.0.1", port), timeout=10) as slow:
            slow.sendall(sent)
            slow.settimeout(10)
            while slow.recv(1000):
                pass

    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=20)
    assert process.returncode == 0, output
    assert key not in output
    assert '"route": "/api/stats/usage/summary"' in output


@pytest.mark.parametrize("server", [{"AGENTSTATS_ANSWER_TIMEOUT_SECONDS": "1"}], indirect=True)
def test_a_client_that_does_not_read_is_cut_and_a_slow_one_is_not(
    server: tuple[subprocess.Popen[str], int, str],
) -> None:
    """All ask for ten megabytes at once; one reads nothing, one some bytes, one 64 KiB, now and
    then: it is served still when the others have been cut, which they are not at once."""
    _, port, _ = server
    asked = b"GET /docs/assets/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\n\r\n" * 6
    with socket.socket() as unread, socket.socket() as trickling, socket.socket() as slow:
        for client in (unread, trickling, slow):
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.settimeout(10)
            client.connect(("127.0.0.1", port))
            client.sendall(asked)
        began = time.monotonic()
        cut: dict[socket.socket, float] = {}
        while cut.keys() != {unread, trickling}:
            assert time.monotonic() - began < 40, "a client that does not read is not cut"
            assert slow.recv(65536)
            trickling.recv(4)
            time.sleep(0.05)
            for client in (unread, trickling):
                if is_let_go(client):
                    cut.setdefault(client, time.monotonic() - began)
        assert not is_let_go(slow)
        assert slow.recv(65536)
        assert min(cut.values()) >= 1


def test_what_never_reaches_the_app_is_refused_without_a_body(
    server: tuple[subprocess.Popen[str], int, str],
) -> None:
    """What is not HTTP, or is larger than the web server reads, ends the connection at once."""
    _, port, _ = server
    line = b"GET /healthz HTTP/1.1\r\n"
    for status, sent in (
        (400, b"no request\r\n\r\n"),
        (400, line + b"X Y: a space\r\n\r\n"),
        (414, b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n"),
        (431, line + b"X: 1\r\n" * 101 + b"\r\n"),
        (431, line + b"X: " + b"x" * 128 * 1024),
    ):
        with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
            client.sendall(sent)
            answer = b"".join(iter(lambda: client.recv(1000), b""))
            assert answer.startswith(b"HTTP/1.1 %d " % status), (answer, sent[:40])
            assert answer.endswith(b"\r\n\r\n")


TWO_WORKERS = {
    "AGENTSTATS_WORKERS": "2",
    "AGENTSTATS_RATE_LIMIT": "20",
    "AGENTSTATS_WRONG_KEYS_LIMIT": "20",
}


@pytest.mark.parametrize("server", [TWO_WORKERS], indirect=True)
def test_several_workers_count_a_customers_requests_together(
    server: tuple[subprocess.Popen[str], int, str],
) -> None:
    """Whichever worker answers, the limit is the customer's, and the headers count down once."""
    _, port, key = server
    answers = [
        # A new connection each time, so that both workers get some.
        httpx2.get(
            f"http://127.0.0.1:{port}/api/stats/usage/summary",
            headers={"X-API-Key": key, "Connection": "close"},
        )
        for _ in range(30)
    ]
    assert [answer.status_code for answer in answers] == [200] * 20 + [429] * 10
    remaining = [int(answer.headers["X-RateLimit-Remaining"]) for answer in answers]
    assert remaining == [*range(19, -1, -1), *[0] * 10]


@pytest.mark.parametrize("server", [TWO_WORKERS], indirect=True)
def test_several_workers_count_the_wrong_keys_of_an_address_together(
    server: tuple[subprocess.Popen[str], int, str],
) -> None:
    """Whichever worker answers, the limit of wrong keys is the address's."""
    _, port, _ = server
    statuses = [
        httpx2.get(
            f"http://127.0.0.1:{port}/api/stats/usage/summary",
            headers={"X-API-Key": f"cust_{number}", "Connection": "close"},
        ).status_code
        for number in range(30)
    ]
    assert statuses == [401] * 20 + [429] * 10


def test_what_a_worker_loaded_is_not_searched_for_garbage() -> None:
    """Hardly an object is left to search: each full search used to stop all requests for long."""
    program = (
        "import gc, os\n"
        "from api.app import create_app\n"
        "from api.server.workers import _load\n"
        "from api.settings import ServingSettings\n"
        "_load(create_app, ServingSettings(_env_file=None), os.getppid())\n"
        "print(len(gc.get_objects()), gc.get_freeze_count())\n"
    )
    counted = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    searched, frozen = map(int, counted.stdout.split())
    assert searched < 1000 < frozen


def run_serve(home: Path, port: int, **settings: str) -> subprocess.Popen[str]:
    """`agentstats serve` in a process of its own; what it says is in its standard output."""
    return subprocess.Popen(
        [sys.executable, "-c", "from orchestration.cli import main; main()", "serve"],
        env={
            **os.environ,
            "AGENTSTATS_HOME": str(home),
            "AGENTSTATS_PORT": str(port),
            **settings,
        },
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


@pytest.mark.parametrize("server", [TWO_WORKERS], indirect=True)
def test_a_port_is_one_servers_until_it_ends_and_its_workers_with_it(
    server: tuple[subprocess.Popen[str], int, str], tmp_path: Path
) -> None:
    """A second server says who has the port; the first one's death leaves it free."""
    process, port, key = server
    refused = run_serve(tmp_path, port)
    said, _ = refused.communicate(timeout=60)
    assert refused.returncode == 1
    assert said.startswith(f"error: port {port} is taken by process {process.pid} (")
    assert said.endswith("): stop that, or set AGENTSTATS_PORT to another port\n")
    assert said.count("\n") == 1

    process.kill()
    process.wait()
    deadline = time.monotonic() + 30
    while True:
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) != 0:
                break
        assert time.monotonic() < deadline, "a worker still listens"
        time.sleep(0.1)
    with pytest.raises(httpx2.TransportError):
        httpx2.get(f"http://127.0.0.1:{port}/api/stats/usage/summary", headers={"X-API-Key": key})


@pytest.mark.parametrize("option", [None, socket.SO_REUSEADDR, socket.SO_REUSEPORT])
def test_a_port_that_another_program_listens_on_is_not_shared_with_it(option: int | None) -> None:
    """Whatever that program would share; the message has its number and command."""
    with socket.socket() as other:
        if option is not None:
            other.setsockopt(socket.SOL_SOCKET, option, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(CannotListen, match=rf"port {port} is taken by process {os.getpid()} "):
            listening_socket("127.0.0.1", port, backlog=1, answer_timeout_seconds=1)


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid"])
def test_an_address_of_another_machine_is_refused(host: str) -> None:
    """The message names the address and the setting."""
    with pytest.raises(CannotListen, match=f"{host} is no address.*AGENTSTATS_HOST"):
        listening_socket(host, 0, backlog=1, answer_timeout_seconds=1)


def test_a_signal_ends_a_server_that_is_starting(tmp_path: Path) -> None:
    """Also while its workers have only just been made; here they get ten minutes to stop."""
    starting = [
        run_serve(tmp_path, free_port(), AGENTSTATS_SHUTDOWN_TIMEOUT_SECONDS="600")
        for _ in range(3)
    ]
    try:
        for number, process in enumerate(starting):
            assert process.stdout is not None
            while "Spawning worker" not in process.stdout.readline():
                assert process.poll() is None
            time.sleep(number * 0.1)
            process.send_signal(signal.SIGTERM)
        for process in starting:
            said, _ = process.communicate(timeout=60)
            assert process.returncode == 0, said
    finally:
        for process in starting:
            process.kill()
