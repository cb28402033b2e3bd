"""A question that names no `tz` is about the days of the customer who asks."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from recount.answers import ENDPOINTS
from service_fixture import Service, StartService
from snapshot_fixture import ACME, BOREAL, QUIET, Marts, publish, sample

TIMELINE = "/api/stats/usage/timeline?days=2"
OTHERS = (
    "/api/stats/usage/latency",
    "/api/stats/data-quality",
    "/api/stats/retention",
    "/api/stats/query?metrics=total_tokens",
    "/api/stats/receipt?metric=total_tokens",
    "/api/stats/explain?metric=total_tokens",
    "/api/stats/forecast",
    "/api/stats/usage/by-agent-type",
    "/api/stats/compliance/timeline",
    "/api/stats/feedback/timeline",
)
# At 2026-03-10 12:00 UTC it is already the 11th in Kiritimati.
KIRITIMATI, LOS_ANGELES = "Pacific/Kiritimati", "America/Los_Angeles"


def with_zones(*zones: tuple[int, str]) -> Marts:
    """The sample, whose customers have time zones."""
    return replace(sample(), time_zones=list(zones))


@pytest.fixture
def service(start: StartService, tmp_path: Path) -> Service:
    """Two customers half a world apart, and one without a zone."""
    publish(tmp_path, with_zones((ACME, KIRITIMATI), (BOREAL, LOS_ANGELES)))
    return start()


@pytest.mark.parametrize("path", [*ENDPOINTS, *OTHERS])
def test_every_endpoint_is_about_the_days_of_who_asks(service: Service, path: str) -> None:
    """As if the zone had been named: the same answer, dates and tag, asked once and again."""
    joined = "&" if "?" in path else "?"
    for _ in range(2):
        for customer, zone, last in (
            (ACME, KIRITIMATI, "2026-03-11"),
            (BOREAL, LOS_ANGELES, "2026-03-10"),
            (QUIET, "UTC", "2026-03-10"),
        ):
            own = service.get(path, customer)
            named = service.get(f"{path}{joined}tz={zone}", customer)
            assert own.status_code == 200
            assert own.content == named.content
            for header in ("ETag", "X-Time-Zone", "X-Period-Start", "X-Period-End"):
                assert own.headers[header] == named.headers[header]
            assert own.headers["X-Time-Zone"] == zone
            assert own.headers["X-Period-End"] == last


def test_a_named_zone_wins_over_the_customers_own(service: Service) -> None:
    """Whoever asks, in whatever order: the parameters are read once for all customers."""
    for _ in range(2):
        for customer in (ACME, BOREAL, QUIET):
            answer = service.get(f"{TIMELINE}&tz=UTC", customer)
            assert answer.headers["X-Time-Zone"] == "UTC"
            assert answer.json()["labels"] == ["2026-03-09", "2026-03-10"]


@pytest.mark.parametrize("answer_cache_mb", [64, 0])
def test_the_days_turn_at_midnight_of_the_customers_own_zone(
    start: StartService, tmp_path: Path, answer_cache_mb: int
) -> None:
    """With answers in memory and without; the same question of two zones turns twice."""
    publish(tmp_path, with_zones((ACME, KIRITIMATI), (BOREAL, LOS_ANGELES)))
    service = start(answer_cache_mb=answer_cache_mb)
    for clock, acme, boreal in (
        ("2026-03-10T06:59:59", "2026-03-10", "2026-03-09"),
        ("2026-03-10T07:00:00", "2026-03-10", "2026-03-10"),
        ("2026-03-10T09:59:59", "2026-03-10", "2026-03-10"),
        ("2026-03-10T10:00:00", "2026-03-11", "2026-03-10"),
    ):
        service.settings.now = datetime.fromisoformat(clock).replace(tzinfo=UTC)
        for customer, last in ((ACME, acme), (BOREAL, boreal)) * 2:
            assert service.get(TIMELINE, customer).json()["labels"][-1] == last


def test_a_date_after_today_in_the_customers_own_zone_is_refused(service: Service) -> None:
    """`end` may be the 11th where it is the 11th."""
    asked = "/api/stats/usage/summary?end=2026-03-11"
    assert service.get(asked, ACME).status_code == 200
    refused = service.get(asked, BOREAL)
    assert refused.status_code == 422
    assert "2026-03-10" in refused.json()["error"]


def test_the_zone_changes_with_the_snapshot(service: Service) -> None:
    """An answer in memory is not given for another zone."""
    assert service.get(TIMELINE, ACME).headers["X-Time-Zone"] == KIRITIMATI
    newer = "20260310T120500Z-00000002"
    publish(service.settings.home, with_zones((ACME, "Asia/Tokyo")), snapshot_id=newer)
    service.await_snapshot(newer)
    for _ in range(2):
        assert service.get(TIMELINE, ACME).headers["X-Time-Zone"] == "Asia/Tokyo"
        assert service.get(TIMELINE, BOREAL).headers["X-Time-Zone"] == "UTC"


def test_the_first_question_after_a_start_knows_the_zone(
    start: StartService, tmp_path: Path
) -> None:
    """It opens the snapshot, and waits for it."""
    service = start()
    publish(tmp_path, with_zones((ACME, KIRITIMATI)))
    assert service.get(TIMELINE, ACME).headers["X-Time-Zone"] == KIRITIMATI


def test_a_zone_that_the_pinned_list_has_not_is_utc(start: StartService, tmp_path: Path) -> None:
    """As one that a later list has left out."""
    publish(tmp_path, with_zones((ACME, "Mars/Olympus")))
    assert start().get(TIMELINE, ACME).headers["X-Time-Zone"] == "UTC"


def test_a_snapshot_of_before_there_were_zones_is_served(
    start: StartService, tmp_path: Path
) -> None:
    """In UTC, until the next run publishes."""
    path = publish(tmp_path, sample())
    with duckdb.connect(str(path)) as connection:
        connection.execute("alter table marts.customers drop column time_zone")
    answer = start().get(TIMELINE, ACME)
    assert (answer.status_code, answer.headers["X-Time-Zone"]) == (200, "UTC")
