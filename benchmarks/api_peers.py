"""Questions that no cache has: against a route that does nothing, and against other stores."""

import json
import random
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from statistics import median

import duckdb
import psycopg

from benchmarks.api_client import Question, Servers, keys_of, serving
from benchmarks.api_server import NO_COSTS, NOTHING, NOTHING_AT_ONCE, QUESTIONS, path_of
from benchmarks.api_stores import index_column, table_query, tables
from benchmarks.measuring import ratio
from benchmarks.report import Report
from fuzz.load import publish_many
from source.server import Server, running_server

CUSTOMERS, DAYS = 2000, 90
MOST_REQUESTS, ROUNDS = 1000, 7  # fewer requests have no 99th percentile to speak of
PEERS = ("postgresql", "sqlite", "polars")
CONTESTANTS = ("agentstats", *PEERS)
POSTGRES_SETTINGS = ("shared_buffers = 512MB", "jit = off")


def run(folder: Path, share: float) -> Report:
    """All customers in random order, 90 days, each contestant in turn."""
    report = Report("api", "Uncached answers of the API", share)
    customers = max(20, round(CUSTOMERS * share))
    requests = max(MOST_REQUESTS // 2, round(MOST_REQUESTS * share))
    publish_many(folder, customers=customers, days=DAYS)
    keys = keys_of(folder, customers)
    with (
        stores(folder) as (server, peers),
        serving(folder, peers=peers, also=[server.pid], answer_cache_mb=0) as servers,
    ):
        for question in QUESTIONS:
            _compare(report, servers, question, keys, requests)
    return report


def _compare(
    report: Report, servers: Servers, question: str, keys: list[str], requests: int
) -> None:
    draw = random.Random(question)
    first = servers.ask([(path_of("agentstats", question), key) for key in keys])
    verify(servers, question, draw.sample(keys, 10))
    asked_by = [keys[draw.randrange(len(keys))] for _ in range(requests)]
    questions: dict[str, list[Question]] = {
        "nothing": [(NOTHING, key) for key in asked_by],
        "nothing, without a thread": [(NOTHING_AT_ONCE, key) for key in asked_by],
    }
    for name in CONTESTANTS:
        questions[name] = [(path_of(name, question), key) for key in asked_by]
    for name in questions:
        servers.ask(questions[name][:100])
    cpu: dict[str, list[float]] = {name: [] for name in questions}
    p99: dict[tuple[str, int], list[float]] = {}
    for number in range(ROUNDS):
        for name in list(questions)[:: 1 if number % 2 == 0 else -1]:
            asked = servers.ask(questions[name])
            cpu[name].append(asked.cpu_seconds_each)
            p99.setdefault((name, 1), []).append(asked.percentile(99))
            asked = servers.ask(questions[name], connections=8)
            p99.setdefault((name, 8), []).append(asked.percentile(99))
    report.measured[f"{question}, CPU ms a request"] = {
        name: [round(1000 * seconds, 3) for seconds in found] for name, found in cpu.items()
    }
    report.measured[f"{question}, a customer's first after a snapshot"] = {
        "CPU ms": round(1000 * first.cpu_seconds_each, 3),
        "p99 ms": round(1000 * first.percentile(99), 3),
    }
    of_peers = {peer: ratio(cpu["agentstats"], cpu[peer]) for peer in PEERS}
    best = max(of_peers, key=lambda peer: of_peers[peer])
    report.add(f"{question}, CPU", "nothing", ratio(cpu["agentstats"], cpu["nothing"]), 2.5)
    without_thread = ratio(cpu["agentstats"], cpu["nothing, without a thread"])
    report.add(f"{question}, CPU", "nothing, without a thread", without_thread)
    report.add(f"{question}, CPU", f"best peer ({best})", of_peers[best], 0.75)
    report.add(
        f"{question}, CPU of a customer's first after a snapshot",
        f"best peer ({best})",
        first.cpu_seconds_each / median(cpu[best]),
    )
    for connections in (1, 8):
        ours = p99["agentstats", connections]
        slower = {peer: ratio(ours, p99[peer, connections]) for peer in PEERS}
        best = max(slower, key=lambda peer: slower[peer])
        report.add(f"{question}, p99 at {connections}", f"best peer ({best})", slower[best], 1)


def verify(servers: Servers, question: str, keys: Sequence[str]) -> None:
    """Raise RuntimeError where one contestant does not answer as the others do, costs aside."""
    for key in keys:
        bodies = {
            _without_costs(servers.body((path_of(name, question), key))) for name in CONTESTANTS
        }
        if len(bodies) != 1:
            raise RuntimeError(f"{question}: the contestants do not answer alike: {bodies}")


def _without_costs(body: bytes) -> str:
    """The answer without what only the product works out."""
    answer = json.loads(body)
    for row in answer if isinstance(answer, list) else [answer]:
        for name in NO_COSTS:
            row.pop(name, None)
    return json.dumps(answer)


@contextmanager
def stores(folder: Path) -> Iterator[tuple[Server, dict[str, str]]]:
    """The peers, filled from the published file: indexed, analysed, warm."""
    published = next((folder / "snapshots").glob("*/agentstats.duckdb"))
    copied = folder / "polars.duckdb"
    shutil.copyfile(published, copied)
    with running_server(*POSTGRES_SETTINGS) as server:
        _fill_postgres(server, published)
        _fill_sqlite(folder / "peer.sqlite", published)
        yield (
            server,
            {
                "postgresql": server.owner_url,
                "sqlite": str(folder / "peer.sqlite"),
                "polars": str(copied),
            },
        )


def _fill_postgres(server: Server, published: Path) -> None:
    with (
        duckdb.connect(str(published), read_only=True) as source,
        psycopg.connect(server.owner_url, autocommit=True) as target,
    ):
        for table in tables():
            rows = source.execute(table_query(table))
            columns = ", ".join(
                f"{name} {'text' if str(kind) == 'VARCHAR' else 'bigint'}"
                for name, kind, *_ in rows.description or ()
            )
            target.execute(f"create table {table} ({columns})")
            with target.cursor().copy(f"copy {table} from stdin") as copy:
                while batch := rows.fetchmany(10_000):
                    for row in batch:
                        copy.write_row(row)
            target.execute(f"create index on {table} (customer_id, {index_column(table)})")
        target.execute("vacuum analyze")


def _fill_sqlite(path: Path, published: Path) -> None:
    with (
        duckdb.connect(str(published), read_only=True) as source,
        closing(sqlite3.connect(path)) as target,
        target,
    ):
        for table in tables():
            rows = source.execute(table_query(table))
            names = [name for name, *_ in rows.description or ()]
            target.execute(f"create table {table} ({', '.join(names)})")
            marks = ", ".join("?" for _ in names)
            while batch := rows.fetchmany(10_000):
                target.executemany(f"insert into {table} values ({marks})", batch)
            target.execute(
                f"create index by_{table} on {table} (customer_id, {index_column(table)})"
            )
        target.execute("analyze")
