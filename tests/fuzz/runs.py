"""The runs. Each takes its size, and returns figures and what is wrong with them."""

import http.client
import os
import re
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import httpx

from api.keys import KeyStore
from fuzz.served import NOTHING, ROOT, Served, serving
from snapshot_fixture import (
    ACME,
    DAILY,
    NOW,
    QUARTER_HOURLY,
    Marts,
    point_to,
    publish,
    sample,
    usage,
)

SUMMARY = "/api/stats/usage/summary"


@dataclass
class Outcome:
    """What a run saw, by name, and its claims that did not hold."""

    figures: dict[str, object] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def claim(self, holds: bool, text: str) -> None:
        """Note a claim that must hold."""
        if not holds:
            self.failures.append(text)


def _check_log(outcome: Outcome, served: Served) -> None:
    log = served.log_text()
    found = log.count("cust_")
    outcome.figures["log lines"] = log.count("\n")
    outcome.figures["`cust_` in the log"] = found
    outcome.figures["tracebacks in the log"] = log.count("Traceback")
    outcome.claim(found == 0, "the log holds a key")
    outcome.claim("Traceback" not in log, "the log holds a traceback")


ALL_PHASES = "examples,coverage,fuzzing,stateful"


def schema(
    home: Path,
    *,
    examples: int,
    at_least: int = 0,
    workers: int = 1,
    phases: str = ALL_PHASES,
) -> Outcome:
    """Schemathesis with all checks, `examples` for each operation; repeated with new seeds until
    the server has counted `at_least` requests."""
    outcome = Outcome()
    publish(home, sample())
    _, key = KeyStore(home / "keys.db").create(ACME, "schemathesis")
    hooks = {
        **os.environ,
        "SCHEMATHESIS_HOOKS": "fuzz.schemathesis_hooks",
        "PYTHONPATH": str(ROOT / "tests"),
    }
    by_status: Counter[str] = Counter()
    with serving(home) as served:
        for seed in range(1, 1000):
            run = subprocess.run(
                [
                    *(sys.executable, "-m", "schemathesis.cli", "run"),
                    f"{served.url}/openapi.json",
                    *("--checks", "all", "--mode", "all", "--header", f"X-API-Key: {key}"),
                    *("--phases", phases),
                    *("--max-examples", str(examples), "--seed", str(seed)),
                    *("--workers", str(workers), "--no-color", "--continue-on-failure"),
                    *("--generation-database", "none", "--suppress-health-check", "all"),
                ],
                env=hooks,
                cwd=home,
                capture_output=True,
                text=True,
                check=False,
            )
            (home / f"schemathesis-{seed}.txt").write_text(run.stdout + run.stderr)
            by_status = _requests_by_status(served)
            if run.returncode != 0:
                outcome.failures.append(f"schemathesis, seed {seed}:\n{run.stdout[-6000:]}")
                break
            if sum(by_status.values()) >= at_least:
                break
        outcome.figures["runs"] = seed
        outcome.figures["requests"] = sum(by_status.values())
        outcome.figures["by status"] = dict(sorted(by_status.items()))
        server_errors = sum(n for status, n in by_status.items() if status.startswith("5"))
        outcome.figures["server errors"] = server_errors
        outcome.claim(server_errors == 0, "there were server errors")
        outcome.claim(sum(by_status.values()) >= at_least, f"fewer than {at_least} requests")
        _check_log(outcome, served)
    return outcome


def _requests_by_status(served: Served) -> Counter[str]:
    text = httpx.get(f"{served.url}/metrics").text
    counted: Counter[str] = Counter()
    for status, count in re.findall(
        r'^agentstats_requests_total\{[^}]*status="(\d+)"\} (\S+)$', text, re.MULTILINE
    ):
        counted[status] += int(float(count))
    return counted


def wrong_keys(home: Path, *, requests: int, addresses: int) -> Outcome:
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
        _check_log(outcome, served)
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


def trickle(home: Path, *, sockets: int, **settings: object) -> Outcome:
    """Sockets that send a byte of header a second, while others ask in the normal way."""
    outcome = Outcome()
    publish(home, sample())
    _, key = KeyStore(home / "keys.db").create(ACME, "normal")
    times: list[float] = []
    stop = threading.Event()
    with serving(home, **settings) as served:

        def normal() -> None:
            with httpx.Client(headers={"X-API-Key": key}) as client:
                while not stop.is_set():
                    began = time.monotonic()
                    answer = client.get(f"{served.url}{SUMMARY}")
                    times.append(time.monotonic() - began)
                    outcome.claim(answer.status_code == 200, f"status {answer.status_code}")
                    stop.wait(0.02)

        def is_cut(slow: socket.socket) -> bool:
            try:
                slow.send(b"x")
                return not slow.recv(1000)
            except BlockingIOError:
                return False
            except OSError:
                return True

        asking = threading.Thread(target=normal)
        asking.start()
        began = time.monotonic()
        left = []
        for _ in range(sockets):
            slow = socket.create_connection(("127.0.0.1", served.port), timeout=10)
            slow.sendall(b"GET /healthz HTTP/1.1\r\nX-Slow: ")
            slow.setblocking(False)
            left.append(slow)
        last_cut = began
        while left and time.monotonic() - began < 30:
            time.sleep(0.5)
            cut = {slow for slow in left if is_cut(slow)}
            for slow in cut:
                slow.close()
            left = [slow for slow in left if slow not in cut]
            last_cut = time.monotonic() if cut else last_cut
        stop.set()
        asking.join()
        _check_log(outcome, served)
    for slow in left:
        slow.close()
    times.sort()
    p95 = times[int(len(times) * 0.95)]
    outcome.figures |= {
        "sockets": sockets,
        "not cut": len(left),
        "the last was cut after, s": round(last_cut - began, 1),
        "normal requests": len(times),
        "p50, p95, max, ms": [round(t * 1000, 1) for t in (times[len(times) // 2], p95, times[-1])],
    }
    outcome.claim(not left and last_cut - began < 15, "not all were cut within 15 s")
    outcome.claim(p95 < 0.25, "normal requests were slow")
    return outcome


def swaps(home: Path, *, count: int, workers: int) -> Outcome:
    """Snapshot n holds 2n messages: header and body must agree while snapshots come and go."""
    outcome = Outcome()

    def marts(messages: int) -> Marts:
        rows = [
            usage(ACME, agent, 5, "m", "2026-03-10 00:00", message_count=messages)
            for agent in (1, 2)
        ]
        return Marts(customers=[(ACME, "Acme", "pro", 90)], usage=rows)

    old = publish(home, marts(1), snapshot_id="s-1")
    _, key = KeyStore(home / "keys.db").create(ACME, "load")
    seen: Counter[str] = Counter()
    failed: list[str] = []
    stop = threading.Event()
    with serving(home, workers=workers) as served:

        def ask() -> None:
            with httpx.Client(headers={"X-API-Key": key}) as client:
                days = 0
                while not stop.is_set():
                    days = days % 2557 + 1  # another question each time, so that each is a query
                    try:
                        answer = client.get(f"{served.url}{SUMMARY}?days={days}")
                        snapshot = answer.headers["X-Snapshot-Id"]
                        right = answer.json()["total_messages"] == 2 * int(snapshot[2:])
                    except (httpx.HTTPError, KeyError, ValueError) as error:
                        failed.append(repr(error))
                        continue
                    seen[snapshot] += 1
                    if not right:
                        failed.append(answer.text)

        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        for number in range(2, count + 2):
            new = publish(home, marts(number), snapshot_id=f"s-{number}")
            old.unlink()
            old = new
        time.sleep(1)
        stop.set()
        for thread in threads:
            thread.join()
        _check_log(outcome, served)
    outcome.figures |= {
        "swaps": count,
        "workers": workers,
        "requests": sum(seen.values()) + len(failed),
        "snapshots that answered": len(seen),
        "failed": len(failed),
    }
    outcome.claim(not failed, f"failed requests: {failed[:3]}")
    outcome.claim(f"s-{count + 1}" in seen, "the last snapshot never answered")
    return outcome


def load(home: Path, *, customers: int, days: int, requests: int) -> Outcome:
    """Requests one after the other on one connection, against a route that does nothing."""
    outcome = Outcome()
    _publish_many(home, customers=customers, days=days)
    keys = {
        name: KeyStore(home / "keys.db").create(customer, name)[1]
        for name, customer in (("largest", 1), ("smallest", customers))
    }
    questions = {
        "summary": f"{SUMMARY}?days=90",
        "timeline": "/api/stats/usage/timeline?days=90&tz=Asia/Kathmandu",
        "by-agent": "/api/stats/usage/by-agent?days=90",
        "comparison": "/api/stats/agent-types/comparison?days=90",
    }
    for kind, cache_mb in (("queried", 0), ("kept", 64)):
        with serving(home, answer_cache_mb=cache_mb) as served:
            base = _timed(served, NOTHING, "", requests)
            outcome.figures[f"{kind}: nothing"] = _figures(base, base)
            for name, path in questions.items():
                for who, key in keys.items():
                    taken = _timed(served, path, key, requests)
                    outcome.figures[f"{kind}: {name}, {who}"] = _figures(taken, base)
            _check_log(outcome, served)
    return outcome


def _timed(served: Served, path: str, key: str, requests: int) -> list[float]:
    connection = http.client.HTTPConnection("127.0.0.1", served.port)
    times = []
    for number in range(requests + 20):
        began = time.perf_counter()
        connection.request("GET", path, headers={"X-API-Key": key})
        answer = connection.getresponse()
        body = answer.read()
        if number >= 20:  # the first are warm-up
            times.append(time.perf_counter() - began)
        assert answer.status == 200, body
    connection.close()
    return sorted(times)


def _figures(times: list[float], base: list[float]) -> str:
    def at(of: list[float], share: float) -> float:
        return of[min(len(of) - 1, int(len(of) * share))]

    parts = [
        f"p{round(share * 100)} {at(times, share) * 1000:.2f} ms "
        f"({at(times, share) / at(base, share):.1f}x)"
        for share in (0.5, 0.95, 0.99)
    ]
    rate = len(times) / sum(times)
    return f"{rate:.0f}/s ({len(base) / sum(base) / rate:.1f}x), " + ", ".join(parts)


def _publish_many(home: Path, *, customers: int, days: int) -> None:
    """Customer n has about 1/n of the traffic of customer 1, which has 200 agents."""
    path = publish(home, Marts(), snapshot_id="many")
    with duckdb.connect(str(path)) as connection:
        for table in (*QUARTER_HOURLY, *DAILY):
            connection.execute(f"drop table marts.{table}")
        connection.execute(
            "create table marts.usage_quarter_hourly as"
            " select customer_id, agent_id, 1 + agent_id % 5 as agent_type_id,"
            " 'model-' || (agent_id % 3) as model,"
            " 3::bigint as message_count, 900::bigint as input_tokens,"
            " 300::bigint as output_tokens, 1200::bigint as total_tokens,"
            " 4500::bigint as response_time_ms_sum, 3::bigint as response_time_count,"
            " 300::bigint as timed_output_tokens,"
            " timestamp '2026-03-10 00:00' - to_minutes(15 * slot) as bucket_start,"
            " cast(bucket_start as date) as occurred_date from ("
            " select customer.range as customer_id, agent.range as agent_id, slot.range as slot"
            " from range(1, $customers + 1) as customer,"
            " lateral (select range from range(1, greatest(3, 201 // customer.range))) as agent,"
            " range(1, 96 * $days) as slot"
            " where hash(customer_id, agent_id, slot) % 8 = 0)"
            " order by customer_id, bucket_start",
            {"customers": customers, "days": days},
        )
        connection.execute(
            "create table marts.compliance_quarter_hourly as"
            " select customer_id, agent_type_id, 3::bigint as scan_count,"
            " 3::bigint as scanned_messages, 0::bigint as toxic_messages,"
            " 1::bigint as messages_with_pii, 1::bigint as pii_redactions, bucket_start,"
            " occurred_date from marts.usage_quarter_hourly"
            " group by all order by customer_id, bucket_start"
        )
        connection.execute(
            "create table marts.pii_quarter_hourly as"
            " select customer_id, agent_type_id, 'PERSON' as entity_type, pii_redactions,"
            " bucket_start, occurred_date from marts.compliance_quarter_hourly"
        )
        connection.execute(
            "create table marts.feedback_quarter_hourly as"
            " select customer_id, agent_type_id, 'low' as load_bucket, 1::bigint as rating_count,"
            " 4::bigint as rating_sum, 0::bigint as rating_1_count, 0::bigint as rating_2_count,"
            " 0::bigint as rating_3_count, 1::bigint as rating_4_count,"
            " 0::bigint as rating_5_count, bucket_start, occurred_date"
            " from marts.compliance_quarter_hourly where hash(bucket_start) % 4 = 0"
        )
        for name, (source, dimensions, measures) in DAILY.items():
            sums = ", ".join(f"cast(sum({measure}) as bigint) as {measure}" for measure in measures)
            connection.execute(
                f"create table marts.{name} as select {dimensions}, {sums}, occurred_date"
                f" from marts.{source} group by {dimensions}, occurred_date"
                " order by customer_id, occurred_date"
            )
    point_to(home / "snapshots", path.name)
