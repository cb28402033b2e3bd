"""A customer with very many agents asks as much as it may; another one gets every answer."""

import http.client
import itertools
import random
import threading
import time
from collections import Counter
from pathlib import Path

import duckdb

from api.auth.keys import KeyStore
from fuzz.outcome import SUMMARY, Outcome, check_log
from fuzz.served import Served, serving
from snapshot_fixture import DAILY, QUARTER_HOURLY, Marts, publish, usage_columns

NOISY, QUIET = 1, 2
AT_ONCE = 50
QUIET_QUESTIONS = (
    f"{SUMMARY}?days=90",
    "/api/stats/usage/timeline?days=90&tz=Asia/Kathmandu",
    "/api/stats/query?metrics=total_tokens,response_time_p95&group_by=model&granularity=day&days=30",
)


def run(home: Path, *, agents: int, seconds: int) -> Outcome:
    """Customer B asks once a second, first alone, then while A asks 50 questions at a time.

    A has so many agents, and the rate limit of an installation as it comes. How quick B's answers
    are is a figure and no claim: others share the machine.
    """
    outcome = Outcome()
    publish_both(home, agents)
    keys = {n: KeyStore(home / "keys.db").create(n, "k")[1] for n in (NOISY, QUIET)}
    with serving(home, rate_limit=60) as served:
        _asked(served, keys[QUIET], min(5, seconds))  # the first read what is cached then
        alone, _ = _asked(served, keys[QUIET], seconds)
        before = served.resident_mib()
        stop, noise = threading.Event(), Counter[int]()
        threads = [
            threading.Thread(target=_ask_much, args=(served, keys[NOISY], stop, noise, number))
            for number in range(AT_ONCE)
        ]
        for thread in threads:
            thread.start()
        beside, statuses = _asked(served, keys[QUIET], seconds)
        stop.set()
        for thread in threads:
            thread.join()
        after = served.resident_mib()
        check_log(outcome, served)
    outcome.figures |= {
        "agents of A": agents,
        "answers to A by status": dict(noise),
        "B alone, p50 and p99 ms": _quantiles(alone),
        "B beside A, p50 and p99 ms": _quantiles(beside),
        "memory before and after, MiB": f"{before:.0f}, {after:.0f}",
    }
    outcome.claim(set(statuses) == {200}, f"B got {dict(statuses)}")
    outcome.claim(noise[200] > 0, "A got no answer")
    outcome.claim(not set(noise) - {200, 422, 429, 503}, f"A got {dict(noise)}")
    return outcome


def _quantiles(times: list[float]) -> str:
    return f"{times[len(times) // 2]:.1f}, {times[min(len(times) - 1, len(times) * 99 // 100)]:.1f}"


def _asked(served: Served, key: str, seconds: int) -> tuple[list[float], Counter[int]]:
    """Milliseconds of each answer, ascending, one a second; and the statuses."""
    times, statuses = [], Counter[int]()
    for number in range(seconds):
        due = time.monotonic() + 1
        # Another window each time: no answer is one that was given before.
        path = QUIET_QUESTIONS[number % 3].replace("days=", f"end=2026-03-0{1 + number % 9}&days=")
        began = time.perf_counter()
        statuses[_get(served, key, path)] += 1
        times.append((time.perf_counter() - began) * 1000)
        time.sleep(max(0.0, due - time.monotonic()))
    return sorted(times), statuses


def _ask_much(
    served: Served, key: str, stop: threading.Event, noise: Counter[int], number: int
) -> None:
    draw = random.Random(number)
    for turn in itertools.count():
        if stop.is_set():
            return
        path = draw.choice(
            (
                "query?metrics=total_tokens,active_agents&group_by=agent_id",
                "query?metrics=response_time_p99&group_by=agent_id,hour_of_day",
                "query?metrics=total_messages&group_by=agent_id&granularity=day&limit=100",
                "query?metrics=total_tokens&group_by=model,agent_type_id&granularity=week",
                "usage/by-agent?format=csv",
                "usage/latency?by=agent",
                "explain?metric=total_tokens",
            )
        )
        mark = "&" if "?" in path else "?"
        days = 1 + (7 * turn + number) % 90
        status = _get(served, key, f"/api/stats/{path}{mark}days={days}")
        noise[status] += 1
        if status == 429:
            stop.wait(0.2)


def _get(served: Served, key: str, path: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=120)
    try:
        connection.request("GET", path, headers={"X-API-Key": key})
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()


def publish_both(home: Path, agents: int) -> None:
    """A's agents each with ten messages over 90 days; B has ten agents, busy each hour."""
    file = publish(home, Marts(customers=[(NOISY, "A", "pro", 90), (QUIET, "B", "pro", 90)]))
    usage_measures = usage_columns(
        message_count="1",
        input_tokens="300",
        output_tokens="100",
        response_time_ms_sum="50",
        response_time_count="1",
        timed_output_tokens="100",
    )
    with duckdb.connect(str(file)) as connection:
        for table in DAILY:
            connection.execute(f"drop table marts.{table}")
        connection.execute(
            "insert into marts.usage_quarter_hourly by name select"
            " customer_id, agent_id, 1 + agent_id % 5 as agent_type_id,"
            f" 'model-' || (agent_id % 3) as model, {usage_measures},"
            " [agent_id % 100] as response_time_buckets,"
            " timestamp '2026-03-10 00:00' - to_minutes(15 * slot) as bucket_start,"
            " cast(bucket_start as date) as occurred_date from ("
            " select 1 as customer_id, agent.range as agent_id,"
            " cast(hash(agent.range, turn.range) % 8640 as bigint) as slot"
            " from range(1, $agents + 1) as agent, range(10) as turn"
            " union all select 2, agent.range, 4 * slot.range"
            " from range(1, 11) as agent, range(2160) as slot)"
            " order by customer_id, bucket_start",
            {"agents": agents},
        )
        for name, (source, dimensions, measures) in DAILY.items():
            assert source in QUARTER_HOURLY
            sums = ", ".join(f"cast(sum({measure}) as bigint) as {measure}" for measure in measures)
            connection.execute(
                f"create table marts.{name} as select {dimensions}, {sums}, occurred_date"
                f" from marts.{source} group by {dimensions}, occurred_date"
                " order by customer_id, occurred_date"
            )
