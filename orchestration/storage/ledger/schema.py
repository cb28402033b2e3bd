"""The tables of `ledger.db`, and how a ledger of an older version comes by them.

The version is SQLite's `user_version`: 0 in an empty file, and one more for each migration done.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence

VERSION_1 = """
create table load (
    load_seq integer primary key autoincrement,
    load_id text not null,
    stream text not null,
    source_file text not null,
    file_bytes integer not null,
    file_modified_ns integer not null,
    sha256 text not null,
    status text not null check (status in ('loaded', 'failed')),
    failure text,
    rows_read integer not null,
    accepted integer not null,
    duplicates integer not null,
    rejected integer not null,
    conflicting_duplicates integer not null,
    total_mismatches integer not null,
    rejected_by_reason text not null,
    received_in_future integer not null,
    unknown_columns integer not null,
    extra_left_out integer not null,
    started_at text not null,
    loaded_at text not null,
    is_moved integer not null default 0,
    unique (stream, load_id),
    check (rows_read = accepted + duplicates + rejected)
);
create index load_by_content on load (sha256, stream);
create table attempt (
    source_file text primary key,
    file_bytes integer not null,
    file_modified_ns integer not null,
    attempts integer not null,
    began_at text not null
);
create table lake_file (
    path text primary key,
    load_seq integer not null references load,
    folder text not null,
    occurred_date text,
    rows integer not null,
    bytes integer not null,
    sha256 text not null
);
create index lake_file_by_date on lake_file (folder, occurred_date);
create table lake_rewrite (
    -- A file that is about to be written, or one that was taken out and is about to be unlinked.
    path text primary key,
    made_of text not null
);
create table lake_loss (
    -- A lake file that was given up.
    loss_seq integer primary key autoincrement,
    path text not null,
    folder text not null,
    occurred_date text,
    rows integer not null,
    bytes integer not null,
    sha256 text not null,
    state text not null check (state in ('damaged', 'missing')),
    forgotten_at text not null
);
create table lake_loss_amount (
    loss_seq integer not null references lake_loss,
    stream text not null,
    customer_id integer not null,
    occurred_date text not null,
    measure text not null,
    -- Wider than SQLite's integers.
    lost text not null
);
create table touch (
    touch_seq integer primary key autoincrement,
    stream text not null,
    occurred_date text,
    load_seq integer references load,
    -- Of two ledgers that went on from one backup, the same number stands for other changes.
    touch_id text not null
);
create index touch_by_load on touch (load_seq);
create table deletion (
    deletion_seq integer primary key autoincrement,
    run_id text not null,
    customer_id integer,
    table_name text not null,
    cause text not null check (cause in ('retention', 'erasure')),
    cutoff text not null,
    rows integer not null,
    events integer not null,
    oldest text,
    newest text,
    deleted_at text not null
);
create index deletion_by_customer on deletion (customer_id);
create table customer_events (
    -- Of events that were ever accepted, deleted ones too.
    customer_id integer primary key,
    first_event_at text not null,
    newest_event_at text not null
);
create table run (
    -- The order of the runs: the machine's clock may have been put back between two of them.
    run_seq integer primary key autoincrement,
    run_id text not null unique,
    job text not null,
    pid integer not null,
    started_at text not null,
    ended_at text,
    status text not null check (status in ('running', 'succeeded', 'failed', 'interrupted')),
    detail text not null
);
create table source_cursor (
    stream text primary key,
    cursor text not null,
    moved_at text not null
);
"""

# Rows of customers that name a time zone which there is not.
VERSION_2 = """
alter table load add column unknown_time_zones integer not null default 0;
"""

# Which deletions a loss came after: they took nothing of it away. Of one of before, all may have.
VERSION_3 = """
alter table lake_loss add column deletion_seq integer not null default 0;
"""

# Accepted rows that withdraw an event.
VERSION_4 = """
alter table load add column withdrawn integer not null default 0;
"""

# In order: each makes the next version. A migration that was released is never changed, because
# there are ledgers that have gone through it.
MIGRATIONS: Sequence[str] = (VERSION_1, VERSION_2, VERSION_3, VERSION_4)


def version_of(connection: sqlite3.Connection) -> int:
    """How many migrations the ledger has gone through."""
    (version,) = connection.execute("pragma user_version").fetchone()
    return int(version)


def is_empty(connection: sqlite3.Connection) -> bool:
    """Whether there is no table yet."""
    return connection.execute("select 1 from sqlite_schema").fetchone() is None


def migrate(connection: sqlite3.Connection) -> None:
    """Do the migrations that are missing, inside of the caller's transaction."""
    for migration in MIGRATIONS[version_of(connection) :]:
        for statement in _statements(migration):
            connection.execute(statement)
    connection.execute(f"pragma user_version = {len(MIGRATIONS)}")


def _statements(migration: str) -> Iterator[str]:
    """One after the other: `executescript` would commit the transaction first."""
    statement = ""
    for line in migration.split("\n"):
        statement += f"{line}\n"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
