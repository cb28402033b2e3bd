"""Clients that hold on to connections, while others ask in the normal way."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2

from api.auth.keys import KeyStore
from fuzz.outcome import SUMMARY, Outcome, check_log
from fuzz.served import Served, serving
from snapshot_fixture import ACME, publish, sample

# As /proc/net/tcp writes it.
_ESTABLISHED = "01"

LARGE = "/docs/assets/swagger-ui-bundle.js"  # the largest thing that a stranger can ask for


def trickle(home: Path, *, sockets: int, **settings: object) -> Outcome:
    """Sockets that send a byte of header twice a second."""

    def connected(port: int) -> socket.socket:
        slow = socket.create_connection(("127.0.0.1", port), timeout=10)
        slow.sendall(b"GET /healthz HTTP/1.1\r\nX-Slow: ")
        slow.setblocking(False)
        return slow

    def is_cut(slow: socket.socket) -> bool:
        try:
            slow.send(b"x")
            return not slow.recv(1000)
        except BlockingIOError:
            return False
        except OSError:
            return True

    return _hold(home, sockets, connected, is_cut, settings, within_seconds=15)


def leave_unread(home: Path, *, sockets: int, **settings: object) -> Outcome:
    """Sockets that ask for ten megabytes and read nothing."""

    def connected(port: int) -> socket.socket:
        unread = socket.socket()
        unread.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        unread.settimeout(10)
        unread.connect(("127.0.0.1", port))
        unread.sendall(f"GET {LARGE} HTTP/1.1\r\nHost: x\r\n\r\n".encode() * 6)
        return unread

    # The time limit begins when an answer waits, and so many large ones take seconds to be made.
    return _hold(home, sockets, connected, is_let_go, settings, within_seconds=20)


def is_let_go(client: socket.socket) -> bool:
    """Whether the other end, on this machine, is no connection of its server any more.

    The client may not see it: a system that gave up on it sends nothing.
    """
    ends = [f":{address[1]:04X}" for address in (client.getpeername(), client.getsockname())]
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, state, *_ = line.split()
        if [local[-5:], remote[-5:]] == ends and state == _ESTABLISHED:
            return False
    return True


def _hold(
    home: Path,
    sockets: int,
    connected: Callable[[int], socket.socket],
    is_cut: Callable[[socket.socket], bool],
    settings: dict[str, object],
    *,
    within_seconds: float,
) -> Outcome:
    outcome = Outcome()
    publish(home, sample())
    _, key = KeyStore(home / "keys.db").create(ACME, "normal")
    with serving(home, **settings) as served:
        with _asking(served, key, outcome) as times:
            left = {connected(served.port): time.monotonic() for _ in range(sockets)}
            longest = 0.0
            give_up_at = time.monotonic() + 30
            while left and time.monotonic() < give_up_at:
                time.sleep(0.5)
                for open_socket in [open_socket for open_socket in left if is_cut(open_socket)]:
                    longest = max(longest, time.monotonic() - left.pop(open_socket))
                    open_socket.close()
        check_log(outcome, served)
    for open_socket in left:
        open_socket.close()
    times.sort()
    p95 = times[int(len(times) * 0.95)]
    outcome.figures |= {
        "sockets": sockets,
        "not cut": len(left),
        "longest until cut, s": round(longest, 1),
        "normal requests": len(times),
        "p50, p95, max, ms": [round(t * 1000, 1) for t in (times[len(times) // 2], p95, times[-1])],
    }
    outcome.claim(not left and longest < within_seconds, "not all were cut in time")
    outcome.claim(p95 < 0.25, "normal requests were slow")
    return outcome


@contextlib.contextmanager
def _asking(served: Served, key: str, outcome: Outcome) -> Iterator[list[float]]:
    """Ask in the normal way until the end; how long each took, in seconds, comes into the list."""
    times: list[float] = []
    stop = threading.Event()

    def ask() -> None:
        with httpx2.Client(headers={"X-API-Key": key}) as client:
            while not stop.is_set():
                began = time.monotonic()
                answer = client.get(f"{served.url}{SUMMARY}")
                times.append(time.monotonic() - began)
                outcome.claim(answer.status_code == 200, f"status {answer.status_code}")
                stop.wait(0.02)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield times
    finally:
        stop.set()
        asking.join()
