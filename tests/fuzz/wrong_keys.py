"""Wrong keys of every kind, from one address and from many."""

import http.client
import socket
import statistics
import time
from collections import Counter
from pathlib import Path

from api.auth.keys import KeyStore
from fuzz.outcome import SUMMARY, Outcome, check_log
from fuzz.served import serving
from snapshot_fixture import ACME, NOW, publish, sample


def run(home: Path, *, requests: int, addresses: int) -> Outcome:
    """Keys of every wrong kind in turns on one connection; then each from an address of its own."""
    outcome = Outcome()
    publish(home, sample())
    store = KeyStore(home / "keys.db", clock=lambda: NOW)
    revoked_id, revoked = store.create(ACME, "revoked")
    store.revoke(revoked_id)
    _, expired = store.create(ACME, "expired", NOW)
    times: dict[str, list[float]] = {
        kind: [] for kind in ("unknown", "revoked", "expired", "malformed")
    }
    statuses: Counter[int] = Counter()
    with serving(home) as served:
        connection = http.client.HTTPConnection("127.0.0.1", served.port)

        def ask(key: str) -> None:
            connection.request("GET", SUMMARY, headers={"X-API-Key": key})
            answer = connection.getresponse()
            answer.read()
            statuses[answer.status] += 1

        for number in range(min(500, requests)):
            ask(f"warm-up {number}")
        before = served.resident_mib()
        for number in range(requests // 4):
            keys = {
                "unknown": f"cust_{number:043}",
                "revoked": revoked,
                "expired": expired,
                "malformed": f"no key {number:041}",
            }
            for kind, key in keys.items():
                began = time.perf_counter()
                ask(key)
                times[kind].append(time.perf_counter() - began)
        for number in range(addresses):
            source = f"127.{1 + number // 65536}.{number // 256 % 256}.{number % 256}"
            with socket.create_connection(
                ("127.0.0.1", served.port), timeout=10, source_address=(source, 0)
            ) as other:
                other.sendall(
                    f"GET {SUMMARY} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                    f"X-API-Key: {number}\r\n\r\n".encode()
                )
                statuses[int(other.recv(4096).split(b" ")[1])] += 1
        grown = served.resident_mib() - before
        check_log(outcome, served)
    medians = {kind: statistics.median(taken) * 1000 for kind, taken in times.items()}
    spread = 100 * (max(medians.values()) / min(medians.values()) - 1)
    outcome.figures |= {
        "wrong keys": sum(statuses.values()),
        "by status": dict(statuses),
        "addresses": addresses,
        "resident memory growth, MiB": round(grown, 1),
        "median ms by kind": {kind: round(median, 4) for kind, median in medians.items()},
        "spread of medians, %": round(spread, 2),
    }
    outcome.claim(set(statuses) <= {401, 429}, "a wrong key was not refused")
    outcome.claim(grown < 50, "memory grew by 50 MiB or more")
    if requests >= 10_000:
        outcome.claim(spread < 5, "medians differ by 5 % or more")
    return outcome
