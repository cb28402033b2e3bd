"""The key store."""

import hashlib
import re
import sqlite3
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from api.auth.keys import KeyRecord, KeyStore

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> KeyStore:
    """A store without a file yet, at a fixed time."""
    return KeyStore(tmp_path / "deep" / "keys.db", clock=lambda: NOW)


def test_a_key_is_stored_as_its_hash_only(store: KeyStore, tmp_path: Path) -> None:
    """No byte of the key is in the file, and only its owner can read the file."""
    key_id, key = store.create(7, " dashboard ")
    assert re.fullmatch(r"cust_[A-Za-z0-9_-]{43}", key)
    path = tmp_path / "deep" / "keys.db"
    stored = path.read_bytes()
    assert key.encode() not in stored
    assert key[5:].encode() not in stored
    assert hashlib.sha256(key.encode()).hexdigest().encode() in stored
    assert path.stat().st_mode & 0o777 == 0o600
    assert store.list() == [KeyRecord(key_id, 7, "dashboard", NOW, None, None)]


def test_a_key_is_valid_until_it_expires(store: KeyStore) -> None:
    """The instant of expiry is already too late."""
    _, key = store.create(7, "short", NOW + timedelta(hours=1))
    record = store.verify(key, NOW)
    assert record is not None and record.customer_id == 7
    assert store.verify(key, NOW + timedelta(hours=1)) is None


def test_revoking_works_once_and_at_once(store: KeyStore) -> None:
    """True the first time, False after, and False for an id that is not there."""
    key_id, key = store.create(7, "k")
    assert store.verify(key, NOW) is not None
    assert store.revoke(key_id) is True
    assert store.verify(key, NOW) is None
    assert store.revoke(key_id) is False
    assert store.revoke(999) is False
    assert store.list()[0].revoked_at == NOW


def test_without_a_file_there_are_no_keys(store: KeyStore) -> None:
    """Reading and revoking do not make the file."""
    assert store.verify("cust_x", NOW) is None
    assert store.verify(None, NOW) is None
    assert store.list() == []
    assert store.revoke(1) is False


def test_a_file_that_is_replaced_is_followed(store: KeyStore, tmp_path: Path) -> None:
    """Keys of a new file count, keys of the old one do not."""
    _, old = store.create(7, "old")
    assert store.verify(old, NOW) is not None
    path = tmp_path / "deep" / "keys.db"
    path.rename(path.with_suffix(".was"))
    _, new = store.create(8, "new")
    assert store.verify(old, NOW) is None
    assert store.verify(new, NOW) is not None


def test_threads_share_a_store(store: KeyStore) -> None:
    """Each thread reads through its own connection."""
    _, key = store.create(7, "k")
    found: list[KeyRecord | None] = []
    threads = [
        threading.Thread(target=lambda: found.append(store.verify(key, NOW))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8 and None not in found


def test_reading_cannot_write(store: KeyStore) -> None:
    """The connection that the API uses is read-only."""
    store.create(7, "k")
    connection = store._readable()
    assert connection is not None
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        connection.execute("delete from api_keys")


@pytest.mark.parametrize(
    ("customer_id", "name", "expires_at"),
    [(0, "k", None), (-1, "k", None), (1, "  ", None), (1, "k", datetime(2027, 1, 1))],
)
def test_a_key_that_makes_no_sense_is_refused(
    store: KeyStore, customer_id: int, name: str, expires_at: datetime | None
) -> None:
    """ValueError says what to give instead."""
    with pytest.raises(ValueError, match=r"give|needs|add"):
        store.create(customer_id, name, expires_at)
