"""A PostgreSQL server of the test's own: started in a temporary folder, stopped at the end."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

PASSWORD = "s3cret%and&hard@"
ESCAPED_PASSWORD = "s3cret%25and%26hard%40"

# The platform's tables as a platform would have them: types of its own where the contract is free.
TABLES = """
create type tier as enum ('free', 'starter', 'pro', 'enterprise');
create table customers (
    customer_id bigint primary key, customer_name text, tier tier not null,
    retention_days integer, updated_at timestamptz
);
create table agent_types (
    agent_type_id bigint primary key, customer_id bigint not null, agent_type_name text,
    model text, updated_at timestamptz
);
create table agents (
    agent_id bigint primary key, customer_id bigint not null, agent_type_id bigint not null,
    agent_name text, updated_at timestamptz
);
create table agent_usage_events (
    event_id text primary key, customer_id bigint not null, agent_id bigint not null,
    agent_type_id bigint not null, model_used text, input_tokens bigint not null,
    output_tokens bigint not null, total_tokens bigint, response_time_ms double precision,
    occurred_at timestamptz not null, received_at timestamptz
);
create table audit_events (
    audit_id uuid primary key, customer_id bigint not null, agent_id bigint not null,
    agent_type_id bigint not null, event_id text, toxicity_score numeric(6, 4), is_toxic boolean,
    pii_redactions jsonb, occurred_at timestamp not null, received_at timestamp
);
create table feedback_events (
    feedback_id bigint primary key, customer_id integer not null, agent_type_id integer not null,
    agent_id integer, rating smallint not null, running_instances integer,
    occurred_at timestamptz not null, received_at timestamptz
);
"""
NAMES = """
insert into customers values (1, 'Acme', 'enterprise', 2557, '2026-01-01Z');
insert into agent_types values (5, 1, 'Support', 'claude-sonnet-4', '2026-01-01Z');
insert into agents values (11, 1, 5, 'Ada', '2026-01-01Z');
"""


def binaries() -> Path:
    """Where the newest server's programs are; `make test-postgres` installs them."""
    found = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name)
    )
    assert found, "there is no PostgreSQL server: run tests/source/install_postgres.sh"
    return found[-1]


@dataclass
class Server:
    """A server on a port of 127.0.0.1; `owner` is a superuser, `reader` what agentstats is."""

    folder: Path
    port: int
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def pid(self) -> int:
        """The process that all of the server's processes descend from."""
        assert self._process is not None, "the server is not running"
        return self._process.pid

    @property
    def owner_url(self) -> str:
        return f"postgresql://owner@127.0.0.1:{self.port}/platform"

    @property
    def reader_url(self) -> str:
        return f"postgresql://reader:{ESCAPED_PASSWORD}@127.0.0.1:{self.port}/platform"

    def connect(self, **options: Any) -> psycopg.Connection[Any]:
        """A session of the owner that commits each statement, unless it begins one itself."""
        return psycopg.connect(self.owner_url, **{"autocommit": True, **options})

    def run(self, *commands: str) -> None:
        """Each command in a transaction of its own."""
        with self.connect() as session:
            for command in commands:
                session.execute(command)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        with self.connect() as session:
            return session.execute(query).fetchall()

    def copy(self, query: str) -> bytes:
        """What COPY gives for a query, as CSV with a header."""
        command = f"copy ({query}) to stdout (format csv, header)"
        with self.connect() as session, session.cursor().copy(command) as copied:
            return b"".join(bytes(part) for part in copied)

    def start(self) -> None:
        """Start the server and wait until it answers."""
        log = (self.folder / "log").open("ab")
        with log:
            self._process = subprocess.Popen(
                [binaries() / "postgres", "-D", self.folder / "data"],
                stdout=log,
                stderr=log,
                **_as_server_user(),
            )
        deadline = time.monotonic() + 60
        while True:
            try:
                psycopg.connect(f"postgresql://owner@127.0.0.1:{self.port}/postgres").close()
                return
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT: end every session and write all down; SIGQUIT: at once, as a crash does."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(60)
            self._process = None

    def crash_and_start(self) -> None:
        """Let the server die without a word to anybody, and start it again."""
        self.stop(signal.SIGQUIT)
        self.start()

    def cut(self, application: str) -> int:
        """Cut every connection of an application. Returns how many those were."""
        rows = self.rows(
            "select count(*) filter (where pg_terminate_backend(pid)) from pg_stat_activity "
            f"where application_name = '{application}'"
        )
        return int(rows[0][0])

    def freeze(self) -> None:
        """Freeze every row of every database that can be entered."""
        for database in ("postgres", "template1", "platform"):
            address = f"postgresql://owner@127.0.0.1:{self.port}/{database}"
            with psycopg.connect(address, autocommit=True) as session:
                session.execute("vacuum (freeze)")

    def reset_next_xid(self, xid: int) -> None:
        """Let a stopped server's next transaction be this one, as `pg_resetwal` can."""
        # Its status page must be there: a page of pg_xact is 8 kB at 4 transactions a byte.
        segment = self.folder / "data" / "pg_xact" / f"{xid // (8192 * 4 * 32):04X}"
        segment.write_bytes(bytes(8192 * 32))
        shutil.chown(segment, *_owner_of(self.folder / "data"))
        subprocess.run(
            [binaries() / "pg_resetwal", "-x", str(xid), "-u", str(xid - 1_000_000),
             "-D", self.folder / "data"],
            check=True, cwd=self.folder, stdout=subprocess.DEVNULL, **_as_server_user(),
        )  # fmt: skip


def _owner_of(path: Path) -> tuple[int, int]:
    return path.stat().st_uid, path.stat().st_gid


def _as_server_user() -> dict[str, Any]:
    """PostgreSQL refuses to run as root: then it runs as the user that Debian's package made."""
    if os.geteuid() != 0:
        return {}
    user = pwd.getpwnam("postgres")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running_server(*settings: str) -> Iterator[Server]:
    """A server with an empty database `platform`, for the time of the block."""
    # Not below pytest's folders: the server's user may not enter those.
    folder = Path(tempfile.mkdtemp(prefix="agentstats-postgres-"))
    server = Server(folder, _free_port())
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres", "postgres")
        subprocess.run(
            [
                *(binaries() / "initdb", "-D", folder / "data", "-U", "owner", "-A", "trust"),
                *("-E", "UTF8", "--locale=C.UTF-8", "--no-sync"),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=folder,
            **_as_server_user(),
        )
        with (folder / "data" / "postgresql.conf").open("a") as file:
            file.write(
                f"listen_addresses = '127.0.0.1'\nport = {server.port}\n"
                "unix_socket_directories = ''\nfsync = off\nmax_prepared_transactions = 4\n"
                + "".join(f"{line}\n" for line in settings)
            )
        # The owner comes in without a password; the reader's is asked for.
        (folder / "data" / "pg_hba.conf").write_text(
            "host all owner 127.0.0.1/32 trust\nhost replication owner 127.0.0.1/32 trust\n"
            "host all all 127.0.0.1/32 scram-sha-256\n"
        )
        server.start()
        with psycopg.connect(
            f"postgresql://owner@127.0.0.1:{server.port}/postgres", autocommit=True
        ) as session:
            session.execute("create database platform")
            session.execute(f"create role reader login password '{PASSWORD}'")
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def empty_platform(server: Server) -> None:
    """Every table of the platform, empty but for the names, readable as docs/postgresql.md says."""
    server.run(
        "drop schema public cascade; create schema public",
        TABLES,
        NAMES,
        "grant usage on schema public to reader",
        "grant select on all tables in schema public to reader",
        "alter default privileges in schema public grant select on tables to reader",
    )
