"""`/api/stats/receipt`: where a number comes from."""

from pathlib import Path

import pytest

from api.metrics.declared import declared
from service_fixture import Service, StartService
from snapshot_fixture import ACME, BOREAL, Marts, delivery, publish, usage

PATH = "/api/stats/receipt"


def delivered(tmp_path: Path) -> None:
    """Rows of two customers and two streams, and a recount that misses one row on 9 March."""
    publish(
        tmp_path,
        Marts(
            customers=[(ACME, "Acme", "pro", 90), (BOREAL, "Boreal", "pro", 90)],
            usage=[
                usage(ACME, 1, 5, "m", "2026-03-09 18:15", message_count=3, input_tokens=30),
                usage(ACME, 1, 5, "m", "2026-03-08 18:00", message_count=2, input_tokens=5),
            ],
            deliveries=[
                delivery("agent_usage_events", ACME, "2026-03-09 18:15", accepted=3, duplicates=2),
                delivery("agent_usage_events", ACME, "2026-03-08 18:00", accepted=2),
                delivery("agent_usage_events", ACME, "2026-03-09 18:15", rejected=1, reason="x"),
                delivery("audit_events", ACME, "2026-03-09 18:15", accepted=50),
                delivery("agent_usage_events", BOREAL, "2026-03-09 18:15", accepted=900),
            ],
            recounts=[
                ("agent_usage_events", ACME, 1, "2026-03-09"),
                ("agent_usage_events", ACME, 5, "2026-03-01"),
                ("agent_usage_events", BOREAL, 70, "2026-03-09"),
                ("audit_events", ACME, 0, "2026-03-09"),
            ],
        ),
    )


def test_a_receipt_has_the_rows_of_its_streams(start: StartService, tmp_path: Path) -> None:
    """Those of the date in Kathmandu: the other customer's, stream's and date's are in none."""
    delivered(tmp_path)
    service = start()
    answer = service.get(f"{PATH}?metric=total_tokens&days=1&tz=Asia/Kathmandu")
    assert answer.json() == {
        "metric": "total_tokens",
        "value": 30,
        "definition": "Input and output tokens, of failed attempts too. Σ total_tokens.",
        "snapshot_id": "20260310T110500Z-00000001",
        "data_as_of": "2026-03-10T11:00:00Z",
        "files": None,
        "rows": {"accepted": 3, "duplicates": 2, "rejected": 1, "withdrawn": 0},
        "recounted_at": "2026-03-10T03:00:00Z",
        "recount_difference": 1,
        "query": "/api/stats/receipt?metric=total_tokens&start=2026-03-10&end=2026-03-10"
        "&tz=Asia/Kathmandu",
    }
    again = service.get(answer.json()["query"])
    assert again.json() == answer.json()


def test_what_a_recount_finds_where_nothing_was_delivered_is_a_difference(
    start: StartService, tmp_path: Path
) -> None:
    """Not one that is passed over."""
    marts = Marts(
        customers=[(ACME, "Acme", "pro", 90)],
        recounts=[("agent_usage_events", ACME, 4, "2026-03-09")],
    )
    publish(tmp_path, marts)
    body = start().get(f"{PATH}?metric=total_tokens&days=7").json()
    assert body["recount_difference"] == 4
    assert body["rows"] == {"accepted": 0, "duplicates": 0, "rejected": 0, "withdrawn": 0}


def test_a_ratio_of_two_streams_has_the_rows_of_both(start: StartService, tmp_path: Path) -> None:
    """Its value is the metric's own."""
    delivered(tmp_path)
    body = start().get(f"{PATH}?metric=toxic_rate_percent&days=7").json()
    assert (body["rows"]["accepted"], body["value"]) == (55, 0.0)


def test_every_metric_has_a_receipt_with_the_value_of_the_question(service: Service) -> None:
    """The same figure wherever it is asked for."""
    for name in declared().metrics:
        body = service.get(f"{PATH}?metric={name}&days=30&tz=Europe/Paris").json()
        asked = service.get(f"/api/stats/query?metrics={name}&days=30&tz=Europe/Paris").json()
        assert body["value"] == asked["totals"][name], name


@pytest.mark.parametrize("parameters", ["", "metric=no", "metric=ratings&format=csv"])
def test_what_does_not_go_is_refused(service: Service, parameters: str) -> None:
    """422."""
    assert service.get(f"{PATH}?{parameters}").status_code == 422
