"""API keys: made, listed, revoked and verified in one small SQLite file.

A key is 256 random bits, so a plain SHA-256 is a safe way to store it, and checking one
takes microseconds. The key itself is returned once, by `create`, and stored nowhere.
"""

import hashlib
import os
import secrets
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

KEY_PREFIX = "cust_"
RANDOM_BYTES = 32
MAX_KEY_CHARACTERS = 256  # a key has 48; more is not even hashed
WRITE_TIMEOUT_SECONDS = 5.0
READ_TIMEOUT_SECONDS = 5.0  # a writer waits for the disk three times

TABLE = """
create table if not exists api_keys (
    id integer primary key autoincrement,
    customer_id integer not null check (customer_id > 0),
    name text not null,
    key_sha256 text not null unique,
    created_at text not null,
    expires_at text,
    revoked_at text
)
"""
RECORD = "select id, customer_id, name, created_at, expires_at, revoked_at from api_keys"
# Times are stored by `_text`, all in UTC, so that they compare as text as they do in time.
VALID = (
    f"{RECORD} where key_sha256 = ? and revoked_at is null"
    " and (expires_at is null or expires_at > ?)"
)


@dataclass(frozen=True)
class KeyRecord:
    """What is known about a key; never the key, nor its hash. Times are aware and in UTC."""

    id: int
    customer_id: int
    name: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


class KeyStoreUnreadable(Exception):
    """The file of the keys is there and cannot be read; the message says why."""


def wall_clock() -> datetime:
    """Now, aware and in UTC."""
    return datetime.now(UTC)


class KeyStore:
    """The keys in the SQLite file `path`, which `create` makes if it is not there.

    Safe to share between threads: reading uses a read-only connection for each thread.
    """

    def __init__(self, path: Path, *, clock: Callable[[], datetime] = wall_clock) -> None:
        self._path = path
        self._clock = clock
        self._of_this_thread = threading.local()
        try:
            self._were_there = self._are_there()
        except OSError:  # something is there; `verify` says what is wrong with it
            self._were_there = True

    def create(
        self, customer_id: int, name: str, expires_at: datetime | None = None
    ) -> tuple[int, str]:
        """Make a key for a customer; return its id and the key, which is shown only here.

        Raises ValueError if the customer id is not positive, the name is blank, or the time of
        expiry has no offset.
        """
        if customer_id <= 0:
            raise ValueError(f"customer id {customer_id} is not valid: give a number above 0")
        if not name.strip():
            raise ValueError("a key needs a name: say what it is for")
        if expires_at is not None and expires_at.tzinfo is None:
            raise ValueError("the expiry has no offset: add one, e.g. 2027-01-01T00:00:00Z")
        key = KEY_PREFIX + secrets.token_urlsafe(RANDOM_BYTES)
        # The home folder, where it is not there yet, is its owner's alone.
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Made here, not by SQLite, so that other users of the machine never see it readable.
        os.close(os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600))
        with closing(self._writable()) as connection, connection:
            connection.execute(TABLE)
            cursor = connection.execute(
                "insert into api_keys (customer_id, name, key_sha256, created_at, expires_at)"
                " values (?, ?, ?, ?, ?)",
                (customer_id, name.strip(), _sha256(key), _text(self._clock()), _text(expires_at)),
            )
            key_id = cursor.lastrowid
        if key_id is None:
            raise RuntimeError("SQLite gave no id for a new key: check the file keys.db")
        return key_id, key

    def list(self) -> list[KeyRecord]:
        """All keys, oldest first, revoked and expired ones too."""
        connection = self._readable()
        if connection is None:
            return []
        return [_record(row) for row in connection.execute(f"{RECORD} order by id").fetchall()]

    def revoke(self, key_id: int) -> bool:
        """Revoke a key at once; False if there is no such key or it was revoked before."""
        if not self._path.exists():
            return False
        with closing(self._writable()) as connection, connection:
            cursor = connection.execute(
                "update api_keys set revoked_at = ? where id = ? and revoked_at is null",
                (_text(self._clock()), key_id),
            )
            return cursor.rowcount == 1

    def remove_customer(self, customer_id: int) -> int:
        """Delete all keys of a customer, and every byte of them; return how many there were."""
        if not self._path.exists():
            return 0
        with closing(self._writable()) as connection:
            connection.execute("pragma secure_delete = on")
            with connection:
                connection.execute(TABLE)
                removed = connection.execute(
                    "delete from api_keys where customer_id = ?", (customer_id,)
                ).rowcount
            # Also what a revoked key left in pages that are free.
            connection.execute("vacuum")
        return removed

    def verify(self, key: str | None, now: datetime, *, may_wait: bool = True) -> KeyRecord | None:
        """The record of a key that is valid at `now`, else None.

        Each call hashes once and looks up once, and the database finds a valid key among others:
        the time it takes does not say whether a key is malformed, unknown, revoked or expired.
        Raises KeyStoreUnreadable; BlockingIOError where the file is locked by whoever changes it,
        and the caller may not wait.
        """
        digest = _sha256((key or "")[:MAX_KEY_CHARACTERS])
        try:
            connection = self._readable(may_wait=may_wait)
            if connection is None:
                return None
            row = connection.execute(VALID, (digest, _text(now))).fetchone()
            return None if row is None else _record(row)
        except (sqlite3.Error, OSError, ValueError) as error:
            self._of_this_thread.connections = None  # fresh ones next time
            if not may_wait and getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY:
                raise BlockingIOError("the keys are being changed") from error
            raise KeyStoreUnreadable(f"{self._path.name} cannot be read: {error}") from error

    def _are_there(self) -> bool:
        try:
            return self._path.stat().st_size > 0
        except FileNotFoundError:
            return False

    def _writable(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=WRITE_TIMEOUT_SECONDS)
        # A key that was revoked stays so after a power cut.
        connection.execute("pragma synchronous = extra")
        return connection

    def _readable(self, *, may_wait: bool = True) -> sqlite3.Connection | None:
        """This thread's read-only connection; None before there is a file with keys in it.

        Raises FileNotFoundError where there was one before: then no key is called wrong.
        """
        if not self._are_there():
            if self._were_there:
                raise FileNotFoundError("it was there, and is gone or empty")
            return None
        self._were_there = True
        status = self._path.stat()
        identity = (status.st_dev, status.st_ino)
        # A connection stays with the file it opened: follow the path if that is replaced.
        opened: dict[tuple[tuple[int, int], bool], sqlite3.Connection] | None
        opened = getattr(self._of_this_thread, "connections", None)
        if opened is None:
            opened = self._of_this_thread.connections = {}
        connection = opened.get((identity, may_wait))
        if connection is None:
            for other in [place for place in opened if place[0] != identity]:
                opened.pop(other).close()
            connection = opened[identity, may_wait] = sqlite3.connect(
                f"file:{quote(str(self._path))}?mode=ro",
                uri=True,
                timeout=READ_TIMEOUT_SECONDS if may_wait else 0,
                isolation_level=None,
            )
        return connection


def _sha256(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def _text(instant: datetime | None) -> str | None:
    return None if instant is None else instant.astimezone(UTC).isoformat()


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _record(row: tuple[int, int, str, str, str | None, str | None]) -> KeyRecord:
    key_id, customer_id, name, created_at, expires_at, revoked_at = row
    return KeyRecord(
        id=key_id,
        customer_id=customer_id,
        name=name,
        created_at=datetime.fromisoformat(created_at),
        expires_at=_instant(expires_at),
        revoked_at=_instant(revoked_at),
    )
