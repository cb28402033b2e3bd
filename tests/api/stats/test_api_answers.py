"""The nine bodies over the sample of `snapshot_fixture`, worked out by hand."""

import json

from api.stats.changes import Change
from recount.answers import ENDPOINTS
from service_fixture import Service
from snapshot_fixture import ACME, BOREAL, QUIET, UNKNOWN_POLICY

ZERO_USAGE = {
    "total_messages": 0,
    "total_tokens": 0,
    "total_input_tokens": 0,
    "total_output_tokens": 0,
    "active_agents": 0,
    "avg_response_time_ms": None,
    "cost_usd": "0.000000",
    "unpriced_tokens": 0,
}
ASKED_FOR = {*Change.model_fields, "attribute_truncated"}
NO_RATINGS = {"1": 0, "2": 0, "3": 0, "4": 0, "5": 0}


def test_usage_summary_adds_up_the_last_seven_utc_dates(service: Service) -> None:
    """3 + 1 + 1 + 2 + 2 messages, and (2500 + 1000 + 5) ms over 5 timed messages.

    In millionths of a dollar 300 · 3 + 100 · 15, and 310 · 2.5 + 100 · 10; the model `unknown` has
    no price.
    """
    assert service.get("/api/stats/usage/summary").json() == {
        "period_days": 7,
        "total_messages": 9,
        "total_tokens": 1010,
        "total_input_tokens": 800,
        "total_output_tokens": 210,
        "active_agents": 3,
        "avg_response_time_ms": 701,
        "cost_usd": "0.004175",
        "unpriced_tokens": 200,
    }


OTHERS_WITH_A_PERIOD = ("usage/latency", "data-quality", "retention")


def test_a_start_is_the_same_question_as_that_many_days(service: Service) -> None:
    """On every endpoint with a period, in another zone and to an earlier end: one tag, one body.

    2026-02-27, 2026-02-28 and 2026-03-01 are three dates; no 29 February lies between.
    """
    for path in (*ENDPOINTS, *(f"/api/stats/{name}" for name in OTHERS_WITH_A_PERIOD)):
        ended = "tz=Asia/Kathmandu&end=2026-03-01"
        by_start = service.get(f"{path}?start=2026-02-27&{ended}")
        by_days = service.get(f"{path}?days=3&{ended}")
        assert by_start.status_code == 200, by_start.text
        assert by_start.content == by_days.content
        assert by_start.headers["ETag"] == by_days.headers["ETag"]


def test_fields_come_in_the_order_of_the_guide(service: Service) -> None:
    """The raw body keeps the guide's order, and a whole rate keeps its decimal point."""
    text = service.get("/api/stats/compliance/by-agent-type?days=6").text
    assert text == (
        '{"period_days":6,"agent_types":['
        '{"agent_type_id":5,"agent_type_name":"Customer Support","total_messages":7,'
        '"toxic_messages":1,"toxic_rate_percent":14.29,"pii_redactions_total":5,'
        '"pii_per_message":0.714,"scanned_messages":3},'
        '{"agent_type_id":6,"agent_type_name":"@Billing","total_messages":2,'
        '"toxic_messages":0,"toxic_rate_percent":0.0,"pii_redactions_total":2,'
        '"pii_per_message":1.0,"scanned_messages":1}]}'
    )


def test_agents_with_equal_tokens_come_by_id(service: Service) -> None:
    """Agents 43 and 44 both have 200 tokens; 44 has no name."""
    body = service.get("/api/stats/usage/by-agent").json()
    assert [(agent["agent_id"], agent["agent_name"], agent["total_tokens"]) for agent in body] == [
        (42, "Support Bot", 610),
        (43, "=1+1", 200),
        (44, "Agent 44", 200),
    ]
    assert body[2] == {
        "agent_id": 44,
        "agent_name": "Agent 44",
        "message_count": 2,
        "total_tokens": 200,
        "total_input_tokens": 190,
        "total_output_tokens": 10,
        "avg_response_time_ms": 3,  # 5 ms over 2 messages is 2.5, and half goes away from zero
        "cost_usd": None,  # its model has no price
        "unpriced_tokens": 200,
    }


def test_models_come_with_their_speed(service: Service) -> None:
    """70 output tokens in 2.5 s are 28.0 a second; the untimed output tokens do not count."""
    body = service.get("/api/stats/usage/by-model").json()
    assert [(model["model"], model["total_tokens"]) for model in body] == [
        ("gpt-4o", 410),
        ("claude-sonnet-4", 400),
        ("unknown", 200),
    ]
    assert body[1] == {
        "model": "claude-sonnet-4",
        "message_count": 3,
        "total_tokens": 400,
        "total_input_tokens": 300,
        "total_output_tokens": 100,
        "avg_response_time_ms": 1250,
        "tokens_per_second": 28.0,
        "cost_usd": "0.002400",
        "unpriced_tokens": 0,
    }


def test_timeline_has_a_label_for_each_date(service: Service) -> None:
    """Dates without usage are there with zeros, oldest first."""
    assert service.get("/api/stats/usage/timeline?days=6").json() == {
        "labels": [f"2026-03-{day:02}" for day in range(5, 11)],
        "messages": [2, 0, 0, 0, 3, 4],
        "tokens": [200, 0, 0, 0, 210, 600],
        "cost_usd": [None, "0.000000", "0.000000", "0.000000", "0.000900", "0.003275"],
    }


def test_timeline_cuts_days_where_the_zone_says(service: Service) -> None:
    """In Kathmandu 2026-03-10 begins at 18:15 UTC of the ninth."""
    body = service.get("/api/stats/usage/timeline?days=2&tz=Asia/Kathmandu").json()
    assert body["messages"] == [1, 6]
    assert body["tokens"] == [10, 800]


def test_summary_of_a_zone_is_the_sum_of_its_timeline(service: Service) -> None:
    """Each card equals the sum of its chart."""
    for tz in ("Asia/Kathmandu", "America/New_York", "Pacific/Chatham", "UTC"):
        query = f"days=90&tz={tz}"
        timeline = service.get(f"/api/stats/usage/timeline?{query}").json()
        summary = service.get(f"/api/stats/usage/summary?{query}").json()
        assert sum(timeline["messages"]) == summary["total_messages"]
        assert sum(timeline["tokens"]) == summary["total_tokens"]


def test_compliance_summary_lists_types_by_count_then_name(service: Service) -> None:
    """EMAIL_ADDRESS and IBAN_CODE tie at 2; rates are over all 19 messages, scanned or not."""
    body = service.get("/api/stats/compliance/summary").json()
    assert list(body["pii_redactions"]["by_type"]) == ["PERSON", "EMAIL_ADDRESS", "IBAN_CODE"]
    assert body == {
        "period_days": 30,
        "total_messages": 19,
        "toxic_messages": 2,
        "toxic_rate_percent": 10.53,
        "pii_redactions": {
            "total": 7,
            "by_type": {"PERSON": 3, "EMAIL_ADDRESS": 2, "IBAN_CODE": 2},
        },
        "messages_with_pii": 3,
        "pii_rate_percent": 15.79,
        "scanned_messages": 5,
    }


def test_a_type_with_scans_but_no_messages_has_no_rate(service: Service) -> None:
    """Type 7 has one toxic scan and no message: a rate would divide by zero, so it is null."""
    body = service.get("/api/stats/compliance/by-agent-type").json()
    assert body["agent_types"][-1] == {
        "agent_type_id": 7,
        "agent_type_name": "Agent type 7",
        "total_messages": 0,
        "toxic_messages": 1,
        "toxic_rate_percent": None,
        "pii_redactions_total": 0,
        "pii_per_message": None,
        "scanned_messages": 1,
    }


def test_feedback_summary_counts_all_five_stars(service: Service) -> None:
    """64 stars of 15 ratings, those of unknown load too."""
    assert service.get("/api/stats/feedback/summary").json() == {
        "period_days": 30,
        "total_feedback": 15,
        "average_rating": 4.27,
        "rating_distribution": {"1": 1, "2": 1, "3": 1, "4": 2, "5": 10},
    }


def test_feedback_by_type_has_all_three_load_buckets(service: Service) -> None:
    """The rating of unknown load counts for the type but is in no bucket; ties come by id."""
    body = service.get("/api/stats/feedback/by-agent-type").json()
    assert [kind["agent_type_id"] for kind in body["agent_types"]] == [5, 6, 9]
    assert body["agent_types"][0] == {
        "agent_type_id": 5,
        "agent_type_name": "Customer Support",
        "total_feedback": 5,
        "average_rating": 3.4,
        "rating_by_load": {
            "low": {"instances_range": "1-2", "avg_rating": 4.5, "count": 2},
            "medium": {"instances_range": "3-5", "avg_rating": None, "count": 0},
            "high": {"instances_range": "6+", "avg_rating": 2.5, "count": 2},
        },
        "rating_degrades_at_load": None,
    }


def test_comparison_has_every_type_with_a_message_scan_or_rating(service: Service) -> None:
    """7 was only scanned, 9 only rated, 8 did nothing; the model is that of most messages."""
    body = service.get("/api/stats/agent-types/comparison").json()
    assert [(kind["agent_type_id"], kind["model"]) for kind in body["agent_types"]] == [
        (5, "gpt-4o"),
        (6, "unknown"),
        (7, None),
        (9, None),
    ]
    assert body["agent_types"][0] == {
        "agent_type_id": 5,
        "name": "Customer Support",
        "model": "gpt-4o",
        "performance": {
            "total_messages": 17,
            "total_tokens": 2810,
            "avg_response_time_ms": 1167,
            "tokens_per_second": 34.3,
            "avg_tokens_per_message": 165,
        },
        "compliance": {"toxic_rate_percent": 5.88, "pii_redactions_per_message": 0.294},
        "satisfaction": {
            "feedback_count": 5,
            "average_rating": 3.4,
            "rating_degrades_at_load": None,
        },
    }


def test_the_model_of_a_type_is_the_first_by_name_in_a_tie(service: Service) -> None:
    """In Kathmandu's 2026-03-10 both models of type 5 have 3 messages."""
    query = "/api/stats/agent-types/comparison?days=1"
    tied = service.get(f"{query}&tz=Asia/Kathmandu").json()["agent_types"][0]
    assert (tied["performance"]["total_messages"], tied["model"]) == (6, "claude-sonnet-4")
    two_days = service.get("/api/stats/agent-types/comparison?days=2").json()["agent_types"][0]
    assert two_days["model"] == "gpt-4o"


def test_a_customer_without_events_gets_zeros_and_nulls(service: Service) -> None:
    """No data: sums are 0, averages and rates are null, lists are empty."""
    bodies = {
        endpoint.removeprefix("/api/stats/"): service.get(f"{endpoint}?days=2", QUIET).json()
        for endpoint in ENDPOINTS
    }
    assert bodies == {
        "usage/summary": {"period_days": 2, **ZERO_USAGE},
        "usage/by-agent": [],
        "usage/timeline": {
            "labels": ["2026-03-09", "2026-03-10"],
            "messages": [0, 0],
            "tokens": [0, 0],
            "cost_usd": ["0.000000", "0.000000"],
        },
        "usage/by-model": [],
        "compliance/summary": {
            "period_days": 2,
            "total_messages": 0,
            "toxic_messages": 0,
            "toxic_rate_percent": None,
            "pii_redactions": {"total": 0, "by_type": {}},
            "messages_with_pii": 0,
            "pii_rate_percent": None,
            "scanned_messages": 0,
        },
        "compliance/by-agent-type": {"period_days": 2, "agent_types": []},
        "feedback/summary": {
            "period_days": 2,
            "total_feedback": 0,
            "average_rating": None,
            "rating_distribution": NO_RATINGS,
        },
        "feedback/by-agent-type": {"period_days": 2, "agent_types": []},
        "agent-types/comparison": {"period_days": 2, "agent_types": []},
    }


def test_two_customers_never_see_each_other(service: Service) -> None:
    """Both have an agent 42 of type 5 in the same quarter hour; neither body shows the other's."""
    for endpoint in ENDPOINTS:
        ours = service.get(f"{endpoint}?days=1", ACME).text
        theirs = service.get(f"{endpoint}?days=1", BOREAL).text
        for secret in ("Another Bot", "secret-model", "Other", "SECRET"):
            assert secret not in ours
        for secret in ("Support", "claude", "PERSON", "gpt"):
            assert secret not in theirs
        assert ours != theirs
    assert service.get("/api/stats/usage/summary", BOREAL).json()["total_messages"] == 7


def test_nothing_before_retention_is_served(service: Service) -> None:
    """Pro keeps 90 days: 2025-12-10 00:00 UTC is in, the quarter hour before is out."""
    answer = service.get("/api/stats/usage/summary?days=2557")
    assert answer.json()["total_messages"] == 119
    assert answer.headers["X-Covered-From"] == "2025-12-10"
    timeline = service.get("/api/stats/usage/timeline?days=93&tz=Asia/Kathmandu").json()
    assert len(timeline["labels"]) == 93
    by_label = dict(zip(timeline["labels"], timeline["messages"], strict=True))
    assert by_label["2025-12-09"] == 0
    assert by_label["2025-12-10"] == 100
    assert sum(timeline["messages"]) == 119
    of_utc = service.get("/api/stats/usage/timeline?days=93").json()
    assert dict(zip(of_utc["labels"], of_utc["messages"], strict=True))["2025-12-09"] == 0
    assert sum(of_utc["messages"]) == 119


def test_a_customer_without_a_policy_sees_everything(service: Service) -> None:
    """Nothing is deleted for customer 4, so an event of 2020 is still answered."""
    answer = service.get("/api/stats/usage/summary?days=2557", UNKNOWN_POLICY)
    assert answer.json()["total_messages"] == 1
    assert answer.headers["X-Covered-From"] == "1970-01-01"


def test_end_moves_the_period_back(service: Service) -> None:
    """One day that ends on 2026-03-09 is that date alone."""
    body = service.get("/api/stats/usage/timeline?days=1&end=2026-03-09").json()
    assert body == {
        "labels": ["2026-03-09"],
        "messages": [3],
        "tokens": [210],
        "cost_usd": ["0.000900"],
    }


def test_a_window_wholly_before_retention_is_empty_but_labelled(service: Service) -> None:
    """Days that are gone have labels and zeros, not an error."""
    body = service.get("/api/stats/usage/timeline?days=3&end=2020-01-03").json()
    assert body == {
        "labels": ["2020-01-01", "2020-01-02", "2020-01-03"],
        "messages": [0, 0, 0],
        "tokens": [0, 0, 0],
        "cost_usd": ["0.000000", "0.000000", "0.000000"],
    }
    assert service.get("/api/stats/usage/summary?days=3&end=2020-01-03").json() == {
        "period_days": 3,
        **ZERO_USAGE,
    }


def test_csv_is_flat_and_safe_in_a_spreadsheet(service: Service) -> None:
    """A name that starts like a formula gets a quote in front; numbers are as they are."""
    answer = service.get("/api/stats/usage/by-agent?format=csv")
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.text.splitlines() == [
        "agent_id,agent_name,message_count,total_tokens,total_input_tokens,total_output_tokens,"
        "avg_response_time_ms,cost_usd,unpriced_tokens",
        "42,Support Bot,6,610,460,150,1250,0.003300,0",
        "43,'=1+1,1,200,150,50,1000,0.000875,0",
        "44,Agent 44,2,200,190,10,3,,200",
    ]
    feedback = service.get("/api/stats/feedback/by-agent-type?format=csv").text.splitlines()
    assert feedback[0] == (
        "agent_type_id,agent_type_name,total_feedback,average_rating,"
        "low_instances_range,low_avg_rating,low_count,"
        "medium_instances_range,medium_avg_rating,medium_count,"
        "high_instances_range,high_avg_rating,high_count,rating_degrades_at_load"
    )
    assert feedback[2] == "6,'@Billing,5,4.4,1-2,,0,3-5,4.4,5,6+,,0,"
    compliance = service.get("/api/stats/compliance/by-agent-type?format=csv").text.splitlines()
    assert compliance[3] == "7,Agent type 7,0,1,,0,,1"
    timeline = service.get("/api/stats/usage/timeline?days=2&format=csv").text.splitlines()
    assert timeline == [
        "label,messages,tokens,cost_usd",
        "2026-03-09,3,210,0.000900",
        "2026-03-10,4,600,0.003275",
    ]
    models = service.get("/api/stats/usage/by-model?format=csv").text.splitlines()
    assert models[1] == "gpt-4o,4,410,310,100,1000,50.0,0.001775,0"


def test_the_schema_says_that_every_field_is_always_there(service: Service) -> None:
    """No response field has a default, but those that have to be asked for."""
    schema = json.loads(service.client.get("/openapi.json").text)
    for name, model in schema["components"]["schemas"].items():
        if name not in ("HTTPValidationError", "ValidationError"):
            always = [field for field in model.get("properties", {}) if field not in ASKED_FOR]
            assert model.get("required", []) == always, name
    days = next(
        parameter
        for parameter in schema["paths"]["/api/stats/usage/summary"]["get"]["parameters"]
        if parameter["name"] == "days"
    )
    assert (days["schema"]["minimum"], days["schema"]["maximum"]) == (1, 2557)
    assert days["schema"]["default"] == 7
