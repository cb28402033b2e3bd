"""Customers with more agents, models, agent types and entity types than an answer has rows."""

import csv
import io
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from api.errors import MOST_ROWS, Busy
from api.queries.queues import MOST_WAITING, QueryQueues
from api.snapshots import Lease
from service_fixture import Service, StartService
from snapshot_fixture import ACME, BOREAL, DAILY, QUARTER_HOURLY, Marts, publish

GROUPS = MOST_ROWS + 50
DIMENSIONS = {
    "customer_id": str(ACME),
    "agent_id": "number",
    "agent_type_id": "number",
    "model": "'m' || number",
    "provider": "'p'",
    "processing": "'standard'",
    "attribute": "'team'",
    "value": "'v' || number",
    "error_type": "'timeout'",
    "entity_type": "'E' || number",
    "load_bucket": "'low'",
    "response_time_buckets": "[7]",
    "time_to_first_token_buckets": "[7]",
}
LISTS = {
    "/api/stats/usage/by-agent?days=1": ("agent_id", None),
    "/api/stats/usage/by-model?days=1": ("model", None),
    "/api/stats/usage/latency?days=1&by=agent": ("agent_id", None),
    "/api/stats/usage/latency?days=1&by=model": ("model", None),
    "/api/stats/usage/latency?days=1&by=agent-type": ("agent_type_id", None),
    "/api/stats/compliance/by-agent-type?days=1": ("agent_type_id", "agent_types"),
    "/api/stats/feedback/by-agent-type?days=1": ("agent_type_id", "agent_types"),
    "/api/stats/agent-types/comparison?days=1": ("agent_type_id", "agent_types"),
}
"""Every answer that is a list: what its rows are grouped by, and where in the body they are."""


def publish_many(home: Path) -> None:
    """Group number n has n of everything; so it is one of the greatest, but for the first 50."""
    file = publish(home, Marts(customers=[(ACME, "Acme", "pro", 90)]))
    marts = {name: (columns, measures) for name, (columns, measures) in QUARTER_HOURLY.items()}
    marts |= {name: (columns, measures) for name, (_, columns, measures) in DAILY.items()}
    with duckdb.connect(str(file)) as connection:
        for mart, (columns, measures) in marts.items():
            names = [column.split()[0] for column in columns.split(",")]
            values = [f"{DIMENSIONS[name]} as {name}" for name in names]
            values += [f"number as {measure}" for measure in measures]
            values += ["timestamp '2026-03-10 00:00' as bucket_start"] * (mart in QUARTER_HOURLY)
            connection.execute(
                f"insert into marts.{mart} by name select {', '.join(values)},"
                f" date '2026-03-10' as occurred_date from range(1, {GROUPS + 1}) as rows (number)"
            )


@pytest.mark.parametrize("rows_cache_mb", [0, 128], ids=["queried", "from memory"])
def test_a_list_has_the_greatest_rows_and_says_how_many_there_are(
    start: StartService, tmp_path: Path, rows_cache_mb: int
) -> None:
    """No answer grows with the number of names that a customer makes up."""
    publish_many(tmp_path)
    service = start(rows_cache_mb=rows_cache_mb)
    for path, (group, place) in LISTS.items():
        answer = service.get(path)
        assert answer.status_code == 200, (path, answer.text[:200])
        rows = answer.json()[place] if place else answer.json()
        assert len(rows) == MOST_ROWS, path
        truncated = (answer.headers["X-Truncated"], answer.headers["X-Total-Rows"])
        assert truncated == ("true", str(GROUPS)), path
        if "latency" not in path:  # there every group has as many response times
            numbers = {int(str(row[group]).removeprefix("m")) for row in rows}
            assert numbers == set(range(51, GROUPS + 1)), path
        assert service.get(path).headers["X-Total-Rows"] == str(GROUPS)  # of the kept answer too
        if "by-" in path:
            table = service.get(f"{path}&format=csv")
            assert len(list(csv.reader(io.StringIO(table.text)))) == 1 + MOST_ROWS
            assert table.headers["X-Total-Rows"] == str(GROUPS)
    answer = service.get("/api/stats/compliance/summary?days=1")
    by_type = answer.json()["pii_redactions"]["by_type"]
    assert (len(by_type), "E50" in by_type, "E51" in by_type) == (MOST_ROWS, False, True)
    assert answer.json()["pii_redactions"]["total"] == GROUPS * (GROUPS + 1) // 2
    assert answer.headers["X-Total-Rows"] == str(GROUPS)


def test_a_list_takes_no_query_for_each_of_its_rows(
    start: StartService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten thousand rows take as many queries as a handful."""
    publish_many(tmp_path)
    service = start(rows_cache_mb=0)
    real = Lease.tuples
    queries: list[str] = []

    def counted(lease: Lease, sql: str, parameters: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
        queries.append(sql)
        return real(lease, sql, parameters)

    monkeypatch.setattr(Lease, "tuples", counted)
    for path in LISTS:
        queries.clear()
        assert service.get(path).status_code == 200, path
        assert 0 < len(queries) < 10, path


def test_a_list_that_is_whole_says_nothing(service: Service) -> None:
    """Neither header is there where nothing was left out."""
    for path in LISTS:
        headers = service.get(path).headers
        assert "X-Truncated" not in headers and "X-Total-Rows" not in headers, path


def test_the_queries_of_a_customer_run_one_after_the_other() -> None:
    """A hundred at once of one customer never take the memory of two, and hold up no other."""
    queues, running, most, refused = QueryQueues(), [0], [0], [0]
    begin = threading.Barrier(100)
    released = threading.Event()

    def ask() -> None:
        begin.wait()
        try:
            with queues.next_of(ACME):
                running[0] += 1
                most[0] = max(most[0], running[0])
                released.wait()
                running[0] -= 1
        except Busy:
            refused[0] += 1
            if refused[0] == 100 - MOST_WAITING - 1:  # all the others are in the queue
                with queues.next_of(BOREAL):
                    released.set()

    threads = [threading.Thread(target=ask) for _ in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]
    assert refused == [100 - MOST_WAITING - 1]
    assert queues.next_of(ACME) is not None and not queues._queues
