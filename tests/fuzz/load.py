"""How quick the answers are, as ratios to a route that does nothing."""

import http.client
import time
from pathlib import Path

import duckdb

from api.auth.keys import KeyStore
from fuzz.outcome import SUMMARY, Outcome, check_log
from fuzz.served import NOTHING, Served, serving
from snapshot_fixture import DAILY, QUARTER_HOURLY, Marts, point_to, publish, usage_columns


def run(home: Path, *, customers: int, days: int, requests: int) -> Outcome:
    """Requests one after the other on one connection, against a route that does nothing."""
    outcome = Outcome()
    publish_many(home, customers=customers, days=days)
    keys = {
        name: KeyStore(home / "keys.db").create(customer, name)[1]
        for name, customer in (("largest", 1), ("smallest", customers))
    }
    questions = {
        "summary": f"{SUMMARY}?days=90",
        "timeline": "/api/stats/usage/timeline?days=90&tz=Asia/Kathmandu",
        "by-agent": "/api/stats/usage/by-agent?days=90",
        "comparison": "/api/stats/agent-types/comparison?days=90",
    }
    for kind, cache_mb in (("queried", 0), ("kept", 64)):
        with serving(home, answer_cache_mb=cache_mb) as served:
            base = _timed(served, NOTHING, "", requests)
            outcome.figures[f"{kind}: nothing"] = _figures(base, base)
            for name, path in questions.items():
                for who, key in keys.items():
                    taken = _timed(served, path, key, requests)
                    outcome.figures[f"{kind}: {name}, {who}"] = _figures(taken, base)
            check_log(outcome, served)
    return outcome


def _timed(served: Served, path: str, key: str, requests: int) -> list[float]:
    connection = http.client.HTTPConnection("127.0.0.1", served.port)
    times = []
    for number in range(requests + 20):
        began = time.perf_counter()
        connection.request("GET", path, headers={"X-API-Key": key})
        answer = connection.getresponse()
        body = answer.read()
        if number >= 20:  # the first are warm-up
            times.append(time.perf_counter() - began)
        assert answer.status == 200, body
    connection.close()
    return sorted(times)


def _figures(times: list[float], base: list[float]) -> str:
    def at(of: list[float], share: float) -> float:
        return of[min(len(of) - 1, int(len(of) * share))]

    parts = [
        f"p{round(share * 100)} {at(times, share) * 1000:.2f} ms "
        f"({at(times, share) / at(base, share):.1f}x)"
        for share in (0.5, 0.95, 0.99)
    ]
    rate = len(times) / sum(times)
    return f"{rate:.0f}/s ({len(base) / sum(base) / rate:.1f}x), " + ", ".join(parts)


def publish_many(home: Path, *, customers: int, days: int) -> None:
    """Customer n has about 1/n of the traffic of customer 1, which has 200 agents."""
    path = publish(home, Marts(), snapshot_id="many")
    usage_measures = usage_columns(
        message_count="3",
        input_tokens="900",
        output_tokens="300",
        response_time_ms_sum="4500",
        response_time_count="3",
        timed_output_tokens="300",
    )
    with duckdb.connect(str(path)) as connection:
        for table in (*QUARTER_HOURLY, *DAILY):
            if table not in ("errors_quarter_hourly", "usage_attribute_quarter_hourly"):
                connection.execute(f"drop table marts.{table}")
        connection.execute(
            "create table marts.usage_quarter_hourly as"
            " select customer_id, agent_id, 1 + agent_id % 5 as agent_type_id,"
            f" 'model-' || (agent_id % 3) as model, {usage_measures},"
            " timestamp '2026-03-10 00:00' - to_minutes(15 * slot) as bucket_start,"
            " cast(bucket_start as date) as occurred_date from ("
            " select customer.range as customer_id, agent.range as agent_id, slot.range as slot"
            " from range(1, $customers + 1) as customer,"
            " lateral (select range from range(1, greatest(3, 201 // customer.range))) as agent,"
            " range(1, 96 * $days) as slot"
            " where hash(customer_id, agent_id, slot) % 8 = 0)"
            " order by customer_id, bucket_start",
            {"customers": customers, "days": days},
        )
        connection.execute(
            "create table marts.compliance_quarter_hourly as"
            " select customer_id, agent_id, agent_type_id, model, 3::bigint as scan_count,"
            " 3::bigint as scanned_messages, 0::bigint as toxic_messages,"
            " 1::bigint as messages_with_pii, 1::bigint as pii_redactions, bucket_start,"
            " occurred_date from marts.usage_quarter_hourly"
            " group by all order by customer_id, bucket_start"
        )
        connection.execute(
            "create table marts.pii_quarter_hourly as"
            " select customer_id, agent_id, agent_type_id, model, 'PERSON' as entity_type,"
            " pii_redactions, bucket_start, occurred_date from marts.compliance_quarter_hourly"
        )
        connection.execute(
            "create table marts.feedback_quarter_hourly as"
            " select customer_id, agent_id, agent_type_id, model, 'low' as load_bucket,"
            " 1::bigint as rating_count,"
            " 4::bigint as rating_sum, 0::bigint as rating_1_count, 0::bigint as rating_2_count,"
            " 0::bigint as rating_3_count, 1::bigint as rating_4_count,"
            " 0::bigint as rating_5_count, bucket_start, occurred_date"
            " from marts.compliance_quarter_hourly where hash(bucket_start) % 4 = 0"
        )
        for name, (source, dimensions, measures) in DAILY.items():
            sums = ", ".join(f"cast(sum({measure}) as bigint) as {measure}" for measure in measures)
            connection.execute(
                f"create table marts.{name} as select {dimensions}, {sums}, occurred_date"
                f" from marts.{source} group by {dimensions}, occurred_date"
                " order by customer_id, occurred_date"
            )
    point_to(home / "snapshots", str(path.relative_to(home / "snapshots")))
