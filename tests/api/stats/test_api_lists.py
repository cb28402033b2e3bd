"""Pages of lists, and the days of compliance and feedback."""

import csv
import io

import pytest

from service_fixture import Service
from snapshot_fixture import ACME, BOREAL

LISTS = {
    "/api/stats/usage/by-agent": None,
    "/api/stats/usage/by-agent-type": None,
    "/api/stats/usage/by-model": None,
    "/api/stats/usage/latency": None,
    "/api/stats/compliance/by-agent-type": "agent_types",
    "/api/stats/feedback/by-agent-type": "agent_types",
    "/api/stats/agent-types/comparison": "agent_types",
}


@pytest.mark.parametrize("path", LISTS)
def test_pages_put_together_are_the_list(service: Service, path: str) -> None:
    """Each row once, in order; the number of rows is said wherever some are missing."""
    whole: list[object] = []

    def rows(parameters: str) -> list[object]:
        answer = service.get(f"{path}?days=30{parameters}")
        assert answer.status_code == 200, answer.text
        body = answer.json()
        found: list[object] = body if LISTS[path] is None else body[LISTS[path]]
        said = str(len(whole)) if len(found) < len(whole) else None
        assert answer.headers.get("X-Total-Rows") == said
        assert "X-Truncated" not in answer.headers
        return found

    whole = rows("")
    assert len(whole) > 1
    pages = [rows(f"&limit=1&offset={place}") for place in range(len(whole) + 1)]
    assert [row for page in pages for row in page] == whole
    assert rows(f"&limit={len(whole) + 5}") == whole
    assert rows("&offset=1") == whole[1:]
    for wrong in ("limit=0", "limit=10001", "limit=x", "offset=-1", "offset=1000001"):
        assert service.get(f"{path}?{wrong}").status_code == 422


def test_usage_by_agent_type_is_the_comparisons(service: Service) -> None:
    """Names, order and sums; each total is the summary's."""
    rows = service.get("/api/stats/usage/by-agent-type?days=30").json()
    assert list(rows[0]) == [
        "agent_type_id", "agent_type_name", "message_count", "total_tokens",
        "total_input_tokens", "total_output_tokens", "avg_response_time_ms", "cost_usd",
        "unpriced_tokens",
    ]  # fmt: skip
    comparison = service.get("/api/stats/agent-types/comparison?days=30").json()["agent_types"]
    tokens = {
        each["agent_type_id"]: each["performance"]["total_tokens"]
        for each in comparison
        if each["performance"]["total_messages"]
    }
    assert {row["agent_type_id"]: row["total_tokens"] for row in rows} == tokens
    assert [row["total_tokens"] for row in rows] == sorted(tokens.values(), reverse=True)
    summary = service.get("/api/stats/usage/summary?days=30").json()
    for name in ("total_tokens", "total_input_tokens", "total_output_tokens"):
        assert sum(row[name] for row in rows) == summary[name]
    text = service.get("/api/stats/usage/by-agent-type?days=30&format=csv").text
    assert len(list(csv.reader(io.StringIO(text)))) == len(rows) + 1


@pytest.mark.parametrize("customer", [ACME, BOREAL])
@pytest.mark.parametrize("tz", ["UTC", "Asia/Kathmandu"])
def test_days_add_up_to_the_summaries(service: Service, customer: int, tz: str) -> None:
    """For every count; the order and names of the lists are the contract's."""
    period = f"days=30&tz={tz}"
    scans = service.get(f"/api/stats/compliance/timeline?{period}", customer).json()
    assert list(scans) == [
        "labels", "messages", "scanned_messages", "toxic_messages", "toxic_rate_percent",
        "pii_redactions", "messages_with_pii",
    ]  # fmt: skip
    assert {len(column) for column in scans.values()} == {30}
    summary = service.get(f"/api/stats/compliance/summary?{period}", customer).json()
    assert sum(scans["messages"]) == summary["total_messages"]
    assert sum(scans["scanned_messages"]) == summary["scanned_messages"]
    assert sum(scans["toxic_messages"]) == summary["toxic_messages"]
    assert sum(scans["pii_redactions"]) == summary["pii_redactions"]["total"]
    assert sum(scans["messages_with_pii"]) == summary["messages_with_pii"]
    for messages, rate in zip(scans["messages"], scans["toxic_rate_percent"], strict=True):
        assert (rate is None) == (messages == 0)
    stars = service.get(f"/api/stats/feedback/timeline?{period}", customer).json()
    assert list(stars) == ["labels", "ratings", "average_rating"]
    of_period = service.get(f"/api/stats/feedback/summary?{period}", customer).json()
    assert sum(stars["ratings"]) == of_period["total_feedback"]
    assert stars["labels"] == scans["labels"]
    text = service.get(f"/api/stats/feedback/timeline?{period}&format=csv", customer).text
    assert next(csv.reader(io.StringIO(text))) == ["label", "ratings", "average_rating"]
    text = service.get(f"/api/stats/compliance/timeline?{period}&format=csv", customer).text
    assert len(list(csv.reader(io.StringIO(text)))) == 31
