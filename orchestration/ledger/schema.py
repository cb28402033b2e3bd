"""The tables of `ledger.db`."""

from __future__ import annotations

import sqlite3

SCHEMA = """
create table if not exists load (
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
create index if not exists load_by_content on load (sha256, stream);
create table if not exists attempt (
    source_file text primary key,
    file_bytes integer not null,
    file_modified_ns integer not null,
    attempts integer not null,
    began_at text not null
);
create table if not exists lake_file (
    path text primary key,
    load_seq integer not null references load,
    folder text not null,
    occurred_date text,
    rows integer not null,
    bytes integer not null,
    sha256 text not null,
    marks_repeats integer not null default 0
);
create index if not exists lake_file_by_date on lake_file (folder, occurred_date);
create table if not exists lake_rewrite (
    -- A file that is about to be written, or one that was taken out and is about to be unlinked.
    path text primary key,
    made_of text not null
);
create table if not exists lake_loss (
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
create table if not exists lake_loss_amount (
    loss_seq integer not null references lake_loss,
    stream text not null,
    customer_id integer not null,
    occurred_date text not null,
    measure text not null,
    -- Wider than SQLite's integers.
    lost text not null
);
create table if not exists touch (
    touch_seq integer primary key autoincrement,
    stream text not null,
    occurred_date text,
    load_seq integer references load,
    -- Of two ledgers that went on from one backup, the same number stands for other changes.
    touch_id text not null default ''
);
create index if not exists touch_by_load on touch (load_seq);
create table if not exists counting (
    -- Earlier loads are of a version that kept no delivery counts.
    first_load_seq integer not null
);
create table if not exists deletion (
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
create index if not exists deletion_by_customer on deletion (customer_id);
create table if not exists customer_events (
    -- Of events that were ever accepted, deleted ones too.
    customer_id integer primary key,
    first_event_at text not null,
    newest_event_at text not null
);
create table if not exists run (
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
create table if not exists source_cursor (
    stream text primary key,
    cursor text not null,
    moved_at text not null
);
"""


def is_of_an_older_edition(connection: sqlite3.Connection) -> bool:
    """Whether there is a ledger already, and it is not of this edition."""
    loads = _columns(connection, "load")
    return bool(loads) and "extra_left_out" not in loads


def prepare_schema(connection: sqlite3.Connection) -> None:
    """Make the tables that are not there, and bring those of an older version up to date."""
    deletion = [name for _, name, *_ in connection.execute("pragma table_info(deletion)")]
    if deletion and "events" not in deletion:
        # Of the version before, which had the table and wrote nothing to it.
        connection.execute("drop table deletion")
    if _lacks_marks(connection):
        # Readers open the ledger too, and may do so at the same time.
        connection.execute("begin immediate")
        if _lacks_marks(connection):
            connection.execute(
                "alter table lake_file add column marks_repeats integer not null default 0"
            )
        connection.execute("commit")
    _order_earlier_runs(connection)
    connection.executescript(SCHEMA)
    if "touch_id" not in _columns(connection, "touch"):
        connection.execute("alter table touch add column touch_id text not null default ''")


def _order_earlier_runs(connection: sqlite3.Connection) -> None:
    """Number the runs of a ledger of a version that ordered them by the clock."""
    if "run_seq" in (_columns(connection, "run") or {"run_seq"}):
        return
    connection.executescript(
        "begin immediate; alter table run rename to earlier_run;"
        + SCHEMA
        + "insert into run (run_id, job, pid, started_at, ended_at, status, detail) "
        "select run_id, job, pid, started_at, ended_at, status, detail from earlier_run "
        "order by started_at, rowid; drop table earlier_run; commit;"
    )


def _columns(connection: sqlite3.Connection, table: str) -> set[str]:
    return {name for _, name, *_ in connection.execute(f"pragma table_info({table})")}


def _lacks_marks(connection: sqlite3.Connection) -> bool:
    """Whether the ledger is of a version that did not note which lake files mark repeats."""
    columns = [name for _, name, *_ in connection.execute("pragma table_info(lake_file)")]
    return bool(columns) and "marks_repeats" not in columns
