"""The policy of a customer, and what was deleted: by when it was deleted."""

from datetime import timedelta
from pathlib import Path

from service_fixture import Service, StartService
from snapshot_fixture import ACME, BOREAL, NOW, UNKNOWN_POLICY, Marts, publish

PATH = "/api/stats/retention"


def test_the_policy_and_the_deletions_of_the_period_newest_first(service: Service) -> None:
    """Two of today and one of the day before, with instants in UTC."""
    answer = service.get(f"{PATH}?days=2")
    body = answer.json()
    assert body == {
        "period_days": 2,
        "tier": "pro",
        "retention_days": 90,
        "covered_from": "2025-12-10",
        "deletion_count": 3,
        "deletions": [
            {
                "table": "agent_usage_events",
                "cutoff": "2025-12-10T00:00:00Z",
                "rows_deleted": 20,
                "oldest_deleted": "2025-12-09T01:00:00Z",
                "newest_deleted": "2025-12-09T23:59:00Z",
                "deleted_at": "2026-03-10T03:00:00Z",
            },
            {
                "table": "feedback_events",
                "cutoff": "2025-12-10T00:00:00Z",
                "rows_deleted": 2,
                "oldest_deleted": None,
                "newest_deleted": None,
                "deleted_at": "2026-03-10T03:00:00Z",
            },
            {
                "table": "agent_usage_events",
                "cutoff": "2025-12-09T00:00:00Z",
                "rows_deleted": 10,
                "oldest_deleted": "2025-12-08T01:00:00Z",
                "newest_deleted": "2025-12-08T23:59:00Z",
                "deleted_at": "2026-03-09T18:15:00Z",
            },
        ],
    }
    assert body["covered_from"] == answer.headers["X-Covered-From"]


def test_the_period_is_of_dates_in_the_zone(service: Service) -> None:
    """A deletion at 18:15 UTC is of the next day in Kathmandu."""
    utc = service.get(f"{PATH}?days=1").json()
    kathmandu = service.get(f"{PATH}?days=1&tz=Asia/Kathmandu").json()
    assert (utc["deletion_count"], kathmandu["deletion_count"]) == (2, 3)


def test_what_was_deleted_is_listed_for_longer_than_the_data_was_kept(service: Service) -> None:
    """The ledger is not subject to retention: a row of a year ago is found."""
    assert service.get(f"{PATH}?days=2557").json()["deletion_count"] == 4


def test_a_customer_sees_its_own_deletions_only(service: Service) -> None:
    """Another customer has its own policy and rows; without a policy nothing is deleted."""
    boreal = service.get(f"{PATH}?days=1", BOREAL).json()
    assert (boreal["tier"], boreal["retention_days"]) == ("free", 7)
    assert [row["rows_deleted"] for row in boreal["deletions"]] == [77]
    assert service.get(PATH, UNKNOWN_POLICY).json() == {
        "period_days": 30,
        "tier": None,
        "retention_days": None,
        "covered_from": "1970-01-01",
        "deletion_count": 0,
        "deletions": [],
    }


def test_of_many_deletions_the_newest_thousand_are_listed(
    start: StartService, tmp_path: Path
) -> None:
    """`deletion_count` says how many there are."""
    at = [NOW.replace(tzinfo=None) - timedelta(minutes=number) for number in range(1200)]
    rows = [(ACME, "agent_usage_events", None, 1, None, None, when) for when in at]
    publish(tmp_path, Marts(customers=[(ACME, "Acme", "pro", 90)], deletions=rows))
    body = start().get(PATH).json()
    assert (body["deletion_count"], len(body["deletions"])) == (1200, 1000)
    assert body["deletions"][0]["deleted_at"] == "2026-03-10T12:00:00Z"


def test_the_tag_covers_the_day_that_retention_begins(start: StartService, tmp_path: Path) -> None:
    """The same question about a day gone by has another answer tomorrow: `covered_from` moves."""
    path = f"{PATH}?days=1&end=2026-03-09"
    for name in ("today", "tomorrow"):
        # The same snapshot: one file cannot be opened twice in a process.
        publish(tmp_path / name, Marts(customers=[(ACME, "Acme", "pro", 90)]))
    today = start(home=tmp_path / "today").get(path)
    tomorrow = start(home=tmp_path / "tomorrow", now=NOW + timedelta(days=1)).get(
        path, headers={"If-None-Match": today.headers["ETag"]}
    )
    assert tomorrow.status_code == 200
    assert tomorrow.json()["covered_from"] == "2025-12-11"


def test_an_unknown_parameter_is_refused(service: Service) -> None:
    """It has no CSV: the ledger is a list of few rows."""
    assert service.get(f"{PATH}?format=csv").json()["error_code"] == "INVALID_PARAMETER"
