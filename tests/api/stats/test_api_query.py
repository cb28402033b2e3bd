"""`/api/stats/query` and `/api/stats/metrics` over HTTP: shapes, refusals, files, comparisons."""

import csv
import io
from pathlib import Path
from typing import Any

import duckdb
import pytest

from api.metrics.declared import declared
from service_fixture import Service, StartService
from snapshot_fixture import ACME, BOREAL, Marts, of_attribute, publish, usage

QUERY = "/api/stats/query"


def asked(service: Service, parameters: str, customer: int = ACME) -> dict[str, Any]:
    """The body of an answer."""
    answer = service.get(f"{QUERY}?{parameters}", customer)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def test_the_body_has_the_shape_of_the_contract(service: Service) -> None:
    """Names and order, worked out by hand from the sample."""
    body = asked(
        service, "metrics=total_tokens,total_messages&group_by=model&granularity=day&days=2"
    )
    assert list(body) == [
        "metrics", "group_by", "granularity", "tz", "start", "end", "rows", "other", "totals",
        "row_count", "truncated", "cost_complete",
    ]  # fmt: skip
    assert body["rows"] == [
        {"bucket": "2026-03-09", "model": "gpt-4o", "total_tokens": 210, "total_messages": 3},
        {"bucket": "2026-03-10", "model": "gpt-4o", "total_tokens": 200, "total_messages": 1},
        {"bucket": "2026-03-10", "model": "claude-sonnet-4", "total_tokens": 400,
         "total_messages": 3},
    ]  # fmt: skip
    assert body["totals"] == {"total_tokens": 810, "total_messages": 7}
    assert (body["start"], body["end"], body["tz"]) == ("2026-03-09", "2026-03-10", "UTC")
    assert (body["other"], body["row_count"], body["truncated"]) == ([], 3, False)


def test_what_has_no_row_is_summed(service: Service) -> None:
    """The greatest group has rows; the others are one entry for each bucket."""
    body = asked(
        service,
        "metrics=total_tokens,active_agents&group_by=model&granularity=day&days=2&limit=1"
        "&order_by=-total_tokens",
    )
    assert [(row["bucket"], row["model"]) for row in body["rows"]] == [
        ("2026-03-09", "gpt-4o"), ("2026-03-10", "gpt-4o")
    ]  # fmt: skip
    assert body["other"] == [{"bucket": "2026-03-10", "total_tokens": 400, "active_agents": None}]
    assert body["totals"]["active_agents"] == 2


def test_buckets_are_labelled_in_the_zone(service: Service) -> None:
    """A quarter hour of Kathmandu with its offset; a week by its Monday, a month by its first."""
    body = asked(
        service,
        "metrics=total_messages&granularity=quarter_hour&days=1&tz=Asia/Kathmandu&end=2026-03-10",
    )
    assert len(body["rows"]) == 96
    assert body["rows"][0] == {"bucket": "2026-03-10T00:00+05:45", "total_messages": 2}
    weeks = asked(service, "metrics=total_messages&granularity=week&days=3")
    assert [row["bucket"] for row in weeks["rows"]] == ["2026-03-02", "2026-03-09"]
    months = asked(service, "metrics=total_messages&granularity=month&days=12")
    assert [row["bucket"] for row in months["rows"]] == ["2026-02-01", "2026-03-01"]


def test_hours_before_retention_are_there_and_empty(service: Service) -> None:
    """As dates are: every bucket is there without groups."""
    body = asked(service, "metrics=total_messages&granularity=hour&days=10", BOREAL)
    assert len(body["rows"]) == 240
    assert body["rows"][0] == {"bucket": "2026-03-01T00:00+00:00", "total_messages": 0}


@pytest.mark.parametrize(
    ("parameters", "named", "says"),
    [
        ("", "metrics", "names of"),
        ("metrics=", "metrics", "names among total_messages"),
        ("metrics=no", "metrics", "names among total_messages"),
        ("metrics=ratings,ratings", "metrics", "each name once"),
        ("metrics=ratings,", "metrics", "names among"),
        ("metrics=ratings&group_by=provider", "metrics", "ratings with agent_id"),
        ("metrics=total_tokens&load_bucket=low", "metrics", "total_tokens with agent_id"),
        ("metrics=pii_redactions&group_by=entity_type,rating", "metrics", "pii_redactions with"),
        ("metrics=ratings&group_by=agent_type_id,agent_type_id", "group_by", "each name once"),
        ("metrics=ratings&group_by=customer_id", "group_by", "names among"),
        (
            "metrics=ratings&group_by=agent_type_id,load_bucket,rating,hour_of_day",
            "group_by",
            "3 names at most",
        ),
        ("metrics=ratings&order_by=total_tokens", "order_by", "one of ratings"),
        ("metrics=ratings&order_by=--ratings", "order_by", "one of ratings"),
        ("metrics=ratings&granularity=year", "granularity", "all, quarter_hour"),
        ("metrics=ratings&limit=0", "limit", "from 1 to 10000"),
        ("metrics=ratings&limit=10001", "limit", "from 1 to 10000"),
        ("metrics=ratings&offset=-1", "offset", "from 0 to 1000000"),
        ("metrics=ratings&format=xml", "format", "json, csv or parquet"),
        ("metrics=ratings&metrics=ratings", "metrics", "once"),
        ("metrics=ratings&customer_id=2", "customer_id", "only metrics"),
        ("metrics=ratings&days=5&start=2026-03-01", "start", "instead of days"),
        ("metrics=total_tokens" + "&model=a" * 101, "model", "100 values at most"),
    ],
)
def test_what_does_not_go_is_refused(
    service: Service, parameters: str, named: str, says: str
) -> None:
    """422, with the parameter and what does go."""
    answer = service.get(f"{QUERY}?{parameters}")
    assert answer.status_code == 422, answer.text
    body = answer.json()
    assert body["error_code"] == "INVALID_PARAMETER"
    assert body["details"]["parameter"] == named
    assert says in body["details"]["allowed"]


def test_thirteen_metrics_are_too_many(service: Service) -> None:
    """Twelve go."""
    names = [n for n, m in declared().metrics.items() if declared().goes_with(m, [])]
    assert service.get(f"{QUERY}?metrics={','.join(names[:12])}").status_code == 200
    refused = service.get(f"{QUERY}?metrics={','.join(names[:13])}")
    assert refused.json()["details"]["allowed"] == "12 names at most"


@pytest.mark.parametrize(
    ("parameters", "rows"),
    [
        ("metrics=total_tokens&granularity=quarter_hour&days=93", 93 * 96),
        ("metrics=total_tokens&granularity=hour&days=417", 417 * 24),
    ],
)
def test_too_many_buckets_are_refused_with_their_number(
    service: Service, parameters: str, rows: int
) -> None:
    """422 TOO_LARGE."""
    answer = service.get(f"{QUERY}?{parameters}")
    assert answer.status_code == 422
    assert answer.json()["error_code"] == "TOO_LARGE"
    assert answer.json()["details"]["rows"] == rows


def test_many_groups_are_cut_and_say_so(start: StartService, tmp_path: Path) -> None:
    """10,000 of 10,020 agents, the rest in `other`; with dates it is too large."""
    marts = Marts(
        customers=[(ACME, "Acme", "pro", 90)],
        usage=[
            usage(ACME, agent, 5, "m", "2026-03-09 00:00", message_count=1, input_tokens=agent)
            for agent in range(1, 10_021)
        ],
    )
    publish(tmp_path, marts)
    service = start()
    body = asked(service, "metrics=total_tokens&group_by=agent_id")
    assert (body["row_count"], body["truncated"]) == (10_000, True)
    assert body["rows"][0] == {"bucket": None, "agent_id": 10_020, "total_tokens": 10_020}
    assert body["other"] == [{"bucket": None, "total_tokens": sum(range(1, 21))}]
    assert body["totals"]["total_tokens"] == sum(range(1, 10_021))
    second = asked(service, "metrics=total_tokens&group_by=agent_id&offset=10000")
    assert (second["row_count"], second["truncated"]) == (20, False)
    by_day = service.get(
        f"{QUERY}?metrics=total_tokens&group_by=agent_id&granularity=day&limit=10000"
    )
    assert by_day.status_code == 200
    marts.usage += [
        usage(ACME, agent, 5, "m", "2026-03-08 00:00", message_count=1) for agent in range(1, 3)
    ]
    publish(tmp_path, marts, snapshot_id="later")
    service.await_snapshot("later")
    refused = service.get(
        f"{QUERY}?metrics=total_messages&group_by=agent_id&granularity=day&limit=10000"
    )
    assert refused.status_code in (200, 422)
    assert (refused.status_code == 422) == (
        asked(service, "metrics=total_messages&group_by=agent_id&limit=10000")["row_count"] + 2
        > 10_000
    )


def test_values_that_a_dimension_cannot_have_give_no_rows(service: Service) -> None:
    """Neither split, nor read as another number; beside one that fits they change nothing."""
    longest = "9" * 3900
    for value in ("abc", "042", "42,43", "", "4e1", longest, "٤٢", "%00", "%ff", "42%00"):
        body = asked(service, f"metrics=total_tokens&group_by=agent_id&agent_id={value}")
        assert (body["rows"], body["totals"]) == ([], {"total_tokens": 0}), value
    with_one = asked(service, "metrics=total_tokens&agent_id=42&agent_id=abc")
    assert with_one["totals"] == asked(service, "metrics=total_tokens&agent_id=42")["totals"]


def test_files_hold_the_rows(service: Service, tmp_path: Path) -> None:
    """CSV and Parquet have what the JSON has, numbers as numbers."""
    parameters = "metrics=total_tokens,tokens_per_second&group_by=model,agent_id&granularity=day"
    rows = asked(service, parameters)["rows"]
    text = service.get(f"{QUERY}?{parameters}&format=csv")
    assert text.headers["Content-Type"] == "text/csv; charset=utf-8"
    read = list(csv.DictReader(io.StringIO(text.text)))
    assert read == [{k: "" if v is None else str(v) for k, v in row.items()} for row in rows]
    packed = service.get(f"{QUERY}?{parameters}&format=parquet")
    assert packed.headers["Content-Type"] == "application/vnd.apache.parquet"
    file = tmp_path / "rows.parquet"
    file.write_bytes(packed.content)
    with duckdb.connect() as connection:
        relation = connection.sql(f"from '{file}'")
        columns = dict(zip(relation.columns, map(str, relation.types), strict=True))
        assert columns == {
            "bucket": "VARCHAR", "model": "VARCHAR", "agent_id": "BIGINT",
            "total_tokens": "BIGINT", "tokens_per_second": "DOUBLE",
        }  # fmt: skip
        assert [dict(zip(columns, row, strict=True)) for row in relation.fetchall()] == rows


def test_a_file_without_rows_has_its_columns(service: Service, tmp_path: Path) -> None:
    """An empty Parquet file still can be read."""
    packed = service.get(f"{QUERY}?metrics=total_tokens&group_by=model&model=none&format=parquet")
    file = tmp_path / "rows.parquet"
    file.write_bytes(packed.content)
    with duckdb.connect() as connection:
        assert connection.sql(f"from '{file}'").columns == ["bucket", "model", "total_tokens"]


def test_a_comparison_is_that_of_the_summary(service: Service) -> None:
    """The same spans and the same rule, for totals and for each group."""
    for period in ("days=1", "days=3&end=2026-03-09", "days=30"):
        summary = service.get(f"/api/stats/usage/summary?{period}&compare=previous").json()
        body = asked(
            service, f"metrics=total_tokens,avg_response_time_ms&{period}&compare=previous"
        )
        assert body["change_reason"] == summary["change_reason"]
        for name in ("total_tokens", "avg_response_time_ms"):
            assert body["totals"]["change_percent"][name] == summary["change_percent"][name]
            if summary["previous"] is not None:
                assert body["totals"]["previous"][name] == summary["previous"][name]


def test_a_group_of_today_alone_had_nothing_before(service: Service) -> None:
    """Its previous figures are those of no data, and there is no change from 0."""
    body = asked(service, "metrics=total_tokens,avg_response_time_ms&group_by=model&days=1"
                          "&compare=previous")  # fmt: skip
    (row,) = [row for row in body["rows"] if row["model"] == "claude-sonnet-4"]
    assert row["previous"] == {"total_tokens": 0, "avg_response_time_ms": None}
    assert row["change_percent"] == {"total_tokens": None, "avg_response_time_ms": None}


def test_every_part_of_a_question_makes_another_answer(service: Service) -> None:
    """No two of them share a tag, so none is answered by the other's cached bytes."""
    questions = [
        "metrics=total_tokens,total_messages", "metrics=total_messages,total_tokens",
        "metrics=total_tokens", "metrics=total_tokens&group_by=model",
        "metrics=total_tokens&group_by=model&limit=1",
        "metrics=total_tokens&group_by=model&limit=1&offset=1",
        "metrics=total_tokens&group_by=model&order_by=total_tokens",
        "metrics=total_tokens&group_by=model&order_by=model",
        "metrics=total_tokens&model=gpt-4o", "metrics=total_tokens&model=gpt-4o&model=a",
        "metrics=total_tokens&agent_id=42", "metrics=total_tokens&granularity=day",
        "metrics=total_tokens&format=csv", "metrics=total_tokens&format=parquet",
        "metrics=total_tokens&compare=previous",
    ]  # fmt: skip
    tags = [service.get(f"{QUERY}?{question}").headers["ETag"] for question in questions]
    assert len(set(tags)) == len(questions)
    again = service.get(f"{QUERY}?{questions[0]}", headers={"If-None-Match": tags[0]})
    assert (again.status_code, again.content) == (304, b"")


def test_what_goes_together_is_what_is_declared(service: Service) -> None:
    """Each metric with each dimension: answered where /api/stats/metrics says so, else refused."""
    body = service.get("/api/stats/metrics").json()
    names = [dimension["name"] for dimension in body["dimensions"]]
    assert all(dimension["description"] for dimension in body["dimensions"])
    for metric in body["metrics"]:
        assert list(metric) == ["name", "unit", "additive", "definition", "dimensions"]
        for name in names:
            answer = service.get(f"{QUERY}?metrics={metric['name']}&group_by={name}")
            assert (answer.status_code == 200) == (name in metric["dimensions"]), answer.text
    assert service.get("/api/stats/metrics?days=7").status_code == 422


def test_another_customer_changes_nothing(service: Service) -> None:
    """The other's rows are in no group, other or total."""
    body = asked(service, "metrics=total_tokens,total_messages&group_by=agent_id", BOREAL)
    alone = service.get("/api/stats/usage/summary?days=30", BOREAL).json()
    assert body["totals"]["total_tokens"] == alone["total_tokens"]
    assert sum(row["total_messages"] for row in body["rows"]) == alone["total_messages"]


def test_days_and_weekdays_are_compared_with_their_own(start: StartService, tmp_path: Path) -> None:
    """By day with the day at the same place, today up to the same hour; by weekday with itself."""
    marts = Marts(
        customers=[(ACME, "Acme", "pro", 90)],
        usage=[
            usage(ACME, 1, 5, "m", f"{day} {hour}:00", message_count=count, input_tokens=count)
            for day, hour, count in (
                ("2026-02-01", "00", 1),
                ("2026-03-02", "09", 10),  # a Monday
                ("2026-03-03", "09", 20),
                ("2026-03-03", "13", 400),  # later than it is today
                ("2026-03-09", "09", 15),  # the next Monday
                ("2026-03-10", "09", 30),  # today, 12:00
            )
        ],
    )
    publish(tmp_path, marts)
    service = start()
    by_day = asked(service, "metrics=total_messages&granularity=day&days=2&compare=week")
    assert [
        (row["bucket"], row["total_messages"], row["previous"], row["change_percent"])
        for row in by_day["rows"]
    ] == [
        ("2026-03-09", 15, {"total_messages": 10}, {"total_messages": 50.0}),
        ("2026-03-10", 30, {"total_messages": 20}, {"total_messages": 50.0}),
    ]
    assert by_day["totals"]["previous"] == {"total_messages": 30}
    by_weekday = asked(
        service,
        "metrics=total_messages&group_by=day_of_week&days=2&compare=week&order_by=day_of_week",
    )
    assert [(row["day_of_week"], row["previous"]) for row in by_weekday["rows"]] == [
        (1, {"total_messages": 10}), (2, {"total_messages": 20})
    ]  # fmt: skip
    by_model = asked(
        service, "metrics=total_messages&group_by=model&granularity=day&days=2&compare=week&limit=1"
    )
    assert [row["previous"] for row in by_model["rows"]] == [
        {"total_messages": 10}, {"total_messages": 20}
    ]  # fmt: skip


@pytest.fixture
def attributed(start: StartService, tmp_path: Path) -> Service:
    """Usage of two models by team; on one date some teams are counted as others."""
    rows = [
        ("blue", usage(ACME, 11, 5, "gpt-4o", "2026-03-09 08:00:00", message_count=1,
                       input_tokens=10)),
        ("(none)", usage(ACME, 12, 5, "gpt-4o", "2026-03-09 08:00:00", message_count=1,
                         input_tokens=4)),
        ("blue", usage(ACME, 11, 5, "a", "2026-03-10 08:00:00", message_count=2,
                       input_tokens=20, output_tokens=5)),
        ("(other)", usage(ACME, 13, 6, "a", "2026-03-10 08:00:00", message_count=1,
                          input_tokens=1)),
    ]  # fmt: skip
    marts = Marts(
        customers=[(ACME, "Acme", "enterprise", None)],
        usage=[row for _, row in rows],
        attributes=[of_attribute("team", team, row) for team, row in rows]
        + [of_attribute("prompt.version", "7", row) for _, row in rows],
    )
    publish(tmp_path, marts)
    return start()


def test_usage_and_cost_are_asked_for_by_an_attribute(attributed: Service) -> None:
    """By value and day, as a filter, and whether a value may be among the others."""
    body = asked(
        attributed,
        "metrics=total_tokens,cost_usd&group_by=attribute.team,model&granularity=day&days=2",
    )
    assert body["group_by"] == ["attribute.team", "model"]
    assert [tuple(row.values()) for row in body["rows"]] == [
        ("2026-03-09", "blue", "gpt-4o", 10, "0.000025"),
        ("2026-03-09", "(none)", "gpt-4o", 4, "0.000010"),
        ("2026-03-10", "blue", "a", 25, "0.000010"),
        ("2026-03-10", "(other)", "a", 1, None),
    ]
    assert list(body["rows"][0])[1] == "attribute.team"
    assert (body["totals"]["total_tokens"], body["cost_complete"]) == (40, False)
    assert body["attribute_truncated"] is True
    first_day = asked(attributed, "metrics=total_tokens&attribute.team=blue&days=1&end=2026-03-09")
    assert (first_day["totals"], first_day["attribute_truncated"]) == ({"total_tokens": 10}, False)
    versions = asked(
        attributed, "metrics=total_tokens&group_by=attribute.prompt.version&order_by=-total_tokens"
    )
    assert versions["rows"] == [
        {"bucket": None, "attribute.prompt.version": "7", "total_tokens": 40}
    ]
    assert versions["attribute_truncated"] is False


def test_attributes_are_listed_and_others_refused(attributed: Service) -> None:
    """In /metrics by their names; what does not go with one, a second one and an unknown one."""
    listed = attributed.get("/api/stats/metrics", ACME).json()
    names = {each["name"] for each in listed["dimensions"]}
    assert {"attribute.team", "attribute.prompt.version"} <= names
    assert not {"attribute", "attribute."} & names
    metrics = {each["name"]: each["dimensions"] for each in listed["metrics"]}
    assert "attribute.team" in metrics["cost_usd"]
    assert "attribute.team" not in metrics["active_agents"]
    for parameters, problem in {
        "metrics=total_tokens&group_by=attribute.planet": "attribute.planet",
        "metrics=total_tokens&attribute.planet=x": "attribute.planet",
        "metrics=total_tokens&group_by=attribute.team,attribute.planet": "several",
        "metrics=total_tokens&group_by=attribute.team,agent_id": "attribute.<name>",
        "metrics=ratings&group_by=attribute.team": "does not go with attribute.<name>",
        "metrics=total_tokens&group_by=attribute": "'attribute'",
        "metrics=total_tokens&attribute=blue": "not known",
    }.items():
        answer = attributed.get(f"{QUERY}?{parameters}", ACME)
        assert answer.status_code == 422, parameters
        assert problem in answer.text, (parameters, answer.text)
