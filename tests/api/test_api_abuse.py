"""Wrong keys, broken key stores and oversized addresses: what a hostile client meets."""

import sqlite3
import threading
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import httpx2
import pytest

from api.auth import keys as keys_module
from api.auth.keys import KeyStore, KeyStoreUnreadable
from api.auth.rate_limit import SharedRateLimiter, WrongKeys
from service_fixture import Service, StartService
from snapshot_fixture import ACME, BOREAL, NOW, publish, sample
from test_api_errors import assert_error

SUMMARY = "/api/stats/usage/summary"
UNKNOWN = "cust_" + "A" * 43


def test_wrong_keys_are_limited_by_address_and_right_ones_are_not(
    start: StartService, tmp_path: Path
) -> None:
    """After the limit a wrong key is 429 with the time to wait; a right key still works."""
    publish(tmp_path, sample())
    service = start(wrong_keys_limit=3)
    right = service.key(ACME)
    for _ in range(3):
        answer = service.client.get(SUMMARY, headers={"X-API-Key": UNKNOWN})
        assert_error(answer, 401, "INVALID_API_KEY")
    refused = service.client.get(SUMMARY, headers={"X-API-Key": UNKNOWN})
    details = assert_error(refused, 429, "RATE_LIMIT_EXCEEDED")
    assert details["limit"] == 3
    assert refused.headers["Retry-After"] == str(details["retry_after"])
    assert "X-RateLimit-Limit" not in refused.headers
    assert service.client.get(SUMMARY, headers={"X-API-Key": right}).status_code == 200


def test_wrong_keys_are_counted_for_a_bounded_number_of_addresses() -> None:
    """The addresses that failed last are kept, however many there are."""
    wrong_keys = WrongKeys(2, addresses=100)
    for number in range(10_000):
        assert wrong_keys.count(f"10.0.{number // 256}.{number % 256}").allowed
        if number % 50 == 0:
            wrong_keys.count("192.0.2.1")
    assert len(wrong_keys) == 100
    assert not wrong_keys.count("192.0.2.1").allowed


def test_addresses_of_one_host_count_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """One /64 of IPv6, and IPv4 written as IPv6, are one address; a new minute begins anew.

    A minute is one of the clock that only goes forward: here the wall clock is set back by a year.
    """
    now = 1_000_000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    monkeypatch.setattr(time, "time", lambda: 1_800_000_000 - 365 * 86_400 * now / 60)
    wrong_keys = WrongKeys(1)
    assert wrong_keys.count("2001:db8::1").allowed
    assert not wrong_keys.count("2001:db8::ffff:2").allowed
    assert wrong_keys.count("2001:db8:0:1::1").allowed
    assert wrong_keys.count("192.0.2.1").allowed
    assert not wrong_keys.count("::ffff:192.0.2.1").allowed
    now += 60
    assert wrong_keys.count("192.0.2.1").allowed


@pytest.mark.parametrize(
    "broken", ["deleted", "empty", "garbage", "no table", "a folder", "a bad time"]
)
def test_a_broken_key_store_is_503_and_logged(service: Service, broken: str) -> None:
    """The client learns nothing of the inside, the log says why, and a repaired file works."""
    key = service.key(ACME)
    assert service.client.get(SUMMARY, headers={"X-API-Key": key}).status_code == 200
    path = service.settings.keys_path
    kept = path.rename(path.with_suffix(".kept"))
    if broken == "empty":
        path.touch()
    elif broken == "garbage":
        path.write_bytes(b"not a database" * 500)
    elif broken == "no table":
        sqlite3.connect(path).execute("create table other (a)").connection.close()
    elif broken == "a folder":
        path.mkdir()
    elif broken == "a bad time":
        path.write_bytes(kept.read_bytes())
        with sqlite3.connect(path) as connection:
            connection.execute("update api_keys set created_at = 'yesterday'")
        connection.close()
    answer = service.client.get(SUMMARY, headers={"X-API-Key": key})
    assert assert_error(answer, 503, "NOT_READY") == {}
    assert "keys.db" not in answer.text
    line = service.log_lines()[-1]
    assert line["status"] == 503
    assert "keys.db cannot be read" in line["problem"]
    if broken != "a bad time":
        ready = service.client.get("/readyz")
        assert ready.status_code == 503
        assert ready.json()["details"] == {"reason": "API keys cannot be read"}
        assert str(service.settings.home) not in ready.text
    if broken == "a folder":
        path.rmdir()
    kept.replace(path)
    assert service.client.get(SUMMARY, headers={"X-API-Key": key}).status_code == 200
    assert service.client.get("/readyz").status_code == 200


def test_two_keys_in_one_request_are_none(service: Service) -> None:
    """Neither customer's: which of the two counts is not for chance to decide; twice one is one."""
    own, other = service.key(ACME), service.key(BOREAL)

    def asked_with(*keys: str) -> httpx2.Response:
        headers = [("X-API-Key", key) for key in keys]
        answer: httpx2.Response = service.client.get(SUMMARY, headers=headers)
        return answer

    for keys in ((own, other), (other, own), (own, UNKNOWN), (own, own, "")):
        assert_error(asked_with(*keys), 401, "INVALID_API_KEY")
    assert asked_with(own, own).status_code == 200


def test_an_address_that_is_too_long_is_refused_on_every_route(service: Service) -> None:
    """414 in the one shape, before anything looks at the key or the parameters."""
    for path in (f"{SUMMARY}?tz={'x' * 5000}", f"/{'x' * 5000}", f"/docs?{'a=1&' * 2000}"):
        details = assert_error(service.client.get(path), 414, "URI_TOO_LONG")
        assert details == {"allowed_bytes": 4096}
    just_fits = f"{SUMMARY}?tz={'x' * (4096 - len(SUMMARY) - 3)}"
    assert_error(service.get(just_fits), 422, "INVALID_PARAMETER")


def test_every_kind_of_wrong_key_takes_the_same_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unknown, revoked, expired and malformed keys: one hash, one lookup.

    How much time that takes is for `make fuzz` to measure.
    """
    keys = KeyStore(tmp_path / "keys.db", clock=lambda: NOW)
    revoked_id, revoked = keys.create(ACME, "revoked")
    keys.revoke(revoked_id)
    _, expired = keys.create(ACME, "expired", NOW)
    assert keys.verify(UNKNOWN, NOW) is None  # from here on there is a connection
    connection = keys._readable()
    assert connection is not None
    done = Counter[str]()
    hash_key = keys_module._sha256

    def counted_hash(key: str) -> str:
        done["hashes"] += 1
        return hash_key(key)

    monkeypatch.setattr(keys_module, "_sha256", counted_hash)
    connection.set_trace_callback(lambda _: done.update(["statements"]))
    connection.set_progress_handler(lambda: done.update(["steps"]), 1)
    steps = []
    for key in (UNKNOWN, revoked, expired, "x"):
        done.clear()
        assert keys.verify(key, NOW) is None
        assert (done["hashes"], done["statements"]) == (1, 1), key
        steps.append(done["steps"])
    # Each takes some ten nanoseconds: a key that is found is looked at in as many more.
    assert min(steps) > 0 and max(steps) - min(steps) < 10, steps


def test_keys_are_checked_while_the_command_line_writes(tmp_path: Path) -> None:
    """A key that stays valid is valid throughout, while others are made and revoked."""
    path = tmp_path / "keys.db"
    _, kept = KeyStore(path).create(ACME, "kept")
    reader = KeyStore(path)
    failures: list[object] = []
    stop = threading.Event()

    def check() -> None:
        while not stop.is_set():
            try:
                if reader.verify(kept, NOW) is None:
                    failures.append("not valid")
            except KeyStoreUnreadable as error:
                failures.append(error)

    threads = [threading.Thread(target=check) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        other, _key = KeyStore(path).create(ACME, "other")
        assert KeyStore(path).revoke(other)
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == []


def test_keys_that_are_being_changed_are_waited_for_in_a_thread(service: Service) -> None:
    """Whoever may not wait gets an error at once; a request waits, and gets its answer."""
    key = service.key(ACME)
    with closing(_locked(service.settings.keys_path)) as changing:
        with pytest.raises(BlockingIOError):
            service.keys.verify(key, NOW, may_wait=False)
        is_changed = threading.Event()

        def end_change() -> None:
            is_changed.set()
            changing.rollback()

        threading.Timer(0.2, end_change).start()
        assert service.client.get(SUMMARY, headers={"X-API-Key": key}).status_code == 200
        assert is_changed.is_set()
    assert service.keys.verify(key, NOW, may_wait=False) is not None


def test_a_count_of_another_worker_is_waited_for_in_a_thread(tmp_path: Path) -> None:
    """Whoever may not wait gets an error at once, and has not been counted."""
    path = tmp_path / "requests.db"
    rate_limiter = SharedRateLimiter(3, path)
    assert rate_limiter.count(ACME).remaining == 2
    with closing(_locked(path)) as counting:
        with pytest.raises(BlockingIOError):
            rate_limiter.count(ACME, may_wait=False)
        threading.Timer(0.2, counting.rollback).start()
        assert rate_limiter.count(ACME).remaining == 1
    assert rate_limiter.count(ACME, may_wait=False).remaining == 0


def _locked(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("begin exclusive")
    return connection
