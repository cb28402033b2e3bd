"""End users and sessions are counted by keyed hashes; their ids are in no published file."""

from __future__ import annotations

import hashlib
import stat

import pytest

from installation import Installation, usage_event

PERSON, SESSION = "mira.okonkwo@example.org", "session-of-a-person"


@pytest.fixture
def installed(installation: Installation) -> Installation:
    """One person of two customers, whose session has the id of the person at the second."""
    events = [
        usage_event(1, end_user_id=PERSON, session_id=SESSION),
        usage_event(2, end_user_id=PERSON, session_id=SESSION, agent_id=12),
        usage_event(3, customer_id=2, end_user_id=PERSON, session_id=PERSON),
    ]
    installation.drop("agent_usage_events", "a.ndjson", events)
    installation.run()
    return installation


def keys(installation: Installation, counted: str) -> list[tuple[int, int]]:
    """Customer and hash of each row."""
    rows = installation.marts(
        f"select customer_id, {counted}_key from marts.{counted}_daily order by all"
    )
    return [(row["customer_id"], row[f"{counted}_key"]) for row in rows]


def hashed(secret: str, what: str, customer: int, text: str) -> int:
    """The first 60 bits of the hash."""
    return int(hashlib.sha256(f"{secret}:{what}:{customer}:{text}".encode()).hexdigest()[:15], 16)


def test_a_hash_is_of_the_key_the_customer_and_what_the_id_is_of(installed: Installation) -> None:
    """One person is one number on all rows of a customer, and another one everywhere else."""
    path = installed.settings.identity_key_path
    secret = path.read_text().strip()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    first = hashed(secret, "end_user_id", 1, PERSON)
    second = hashed(secret, "end_user_id", 2, PERSON)
    assert keys(installed, "end_user") == [(1, first), (1, first), (2, second)]
    of_session = hashed(secret, "session_id", 1, SESSION)
    of_person = hashed(secret, "session_id", 2, PERSON)
    assert keys(installed, "session") == [(1, of_session), (1, of_session), (2, of_person)]
    assert len({first, second, of_session, of_person}) == 4


def test_no_published_file_has_an_id_or_the_key(installed: Installation) -> None:
    """Neither a value of any table nor the bytes of the file."""
    tables = installed.marts("select table_name from duckdb_tables() where schema_name = 'marts'")
    secret = installed.settings.identity_key_path.read_text().strip()
    for table in tables:
        text = str(installed.marts(f"from marts.{table['table_name']}"))
        assert not [word for word in (PERSON, SESSION, secret) if word in text], table
    for file in installed.settings.snapshots.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            assert not [w for w in (PERSON, SESSION, secret) if w.encode() in content], file


def test_another_key_rebuilds_all_marts(installed: Installation) -> None:
    """No mart has hashes of two keys; the counts stay."""
    before = keys(installed, "end_user")
    installed.settings.identity_key_path.unlink()
    installed.run()
    after = keys(installed, "end_user")
    assert not set(before) & set(after)
    assert len(set(after)) == len(set(before)) == 2


def test_a_damaged_key_stops_the_run_and_is_named(installed: Installation) -> None:
    """It is not taken as a key, and none is made in its place."""
    path = installed.settings.identity_key_path
    path.write_text("not a key\n")
    outcome = installed.try_run()
    assert not outcome.succeeded
    assert "identities.key does not hold" in str(outcome.problem)
    assert path.read_text() == "not a key\n"
