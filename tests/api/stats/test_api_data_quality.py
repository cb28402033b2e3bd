"""What came of delivered rows: worked out by hand over the sample, by time, stream and zone."""

import csv
import io
from pathlib import Path

import duckdb

import snapshot_fixture
from service_fixture import Service, StartService
from snapshot_fixture import BOREAL, QUIET, RATING_STREAM, SCAN_STREAM, USAGE_STREAM

PATH = "/api/stats/data-quality"
NOTHING = {
    "delivered": 0,
    "accepted": 0,
    "duplicates": 0,
    "rejected": 0,
    "rejected_by_reason": {},
    "rejected_undated": 0,
    "total_mismatches": 0,
    "conflicting_duplicates": 0,
    "newest_event_at": None,
    "received_in_future": 0,
    "withdrawn": 0,
}
# 2026-03-10 in UTC: 3 + 2 good and 2 rejected rows at midnight, 1 at 09:45, 5 expired ones.
TODAY = {
    "delivered": 13,
    "accepted": 4,
    "duplicates": 2,
    "rejected": 7,
    "rejected_by_reason": {"expired": 5, "missing_agent_id": 2},
    "rejected_undated": 5,
    "total_mismatches": 1,
    "conflicting_duplicates": 1,
    "newest_event_at": "2026-03-10T09:46:00Z",
    "received_in_future": 2,
    "withdrawn": 0,
}
YESTERDAY = {
    **NOTHING,
    "delivered": 6,
    "accepted": 4,
    "rejected": 2,
    "rejected_by_reason": {"invalid_is_toxic": 2},
    "newest_event_at": "2026-03-09T18:14:59Z",
    "withdrawn": 3,
}


def test_two_days_in_all_by_stream_and_by_day(service: Service) -> None:
    """Every count, the reasons with most rows first, in the order of the document."""
    body = service.get(f"{PATH}?days=2").json()
    assert body == {
        "period_days": 2,
        "delivered": 19,
        "accepted": 8,
        "duplicates": 2,
        "rejected": 9,
        # As many as of the other: then by name.
        "rejected_by_reason": {"expired": 5, "invalid_is_toxic": 2, "missing_agent_id": 2},
        "rejected_undated": 5,
        "total_mismatches": 1,
        "conflicting_duplicates": 1,
        "newest_event_at": "2026-03-10T09:46:00Z",
        "received_in_future": 2,
        "withdrawn": 3,
        "by_stream": [
            {"stream": USAGE_STREAM, **TODAY},
            {"stream": SCAN_STREAM, **YESTERDAY},
            {"stream": RATING_STREAM, **NOTHING},
        ],
        "days": [{"date": "2026-03-09", **YESTERDAY}, {"date": "2026-03-10", **TODAY}],
    }
    assert list(body) == ["period_days", *NOTHING, "by_stream", "days"]
    assert list(body["rejected_by_reason"]) == ["expired", "invalid_is_toxic", "missing_agent_id"]
    assert list(body["days"][0]) == ["date", *NOTHING]


def test_a_day_is_a_date_in_the_zone(service: Service) -> None:
    """In Kathmandu 2026-03-10 begins at 18:15 UTC, with the two rejected scans of that quarter."""
    body = service.get(f"{PATH}?days=2&tz=Asia/Kathmandu").json()
    first, second = body["days"]
    assert (first["date"], first["accepted"], first["rejected"]) == ("2026-03-09", 4, 0)
    assert (second["accepted"], second["rejected"]) == (4, 9)
    assert second["rejected_by_reason"] == {
        "expired": 5, "invalid_is_toxic": 2, "missing_agent_id": 2,
    }  # fmt: skip


def test_the_card_is_the_sum_of_its_days_and_of_its_streams(service: Service) -> None:
    """Over every day that is kept, and nothing of the days before."""
    body = service.get(f"{PATH}?days=2557&tz=America/Los_Angeles").json()
    for name in ("delivered", "accepted", "duplicates", "rejected", "rejected_undated"):
        assert body[name] == sum(day[name] for day in body["days"]), name
        assert body[name] == sum(stream[name] for stream in body["by_stream"]), name
    assert body["accepted"] == 108
    assert body["duplicates"] == 9
    assert len(body["days"]) == 2557


def test_a_duplicate_is_an_event_too(service: Service) -> None:
    """The newest event of a day may have been delivered again only."""
    body = service.get(f"{PATH}?days=1&end=2026-03-05").json()
    assert body["days"] == [
        {"date": "2026-03-05", **NOTHING, "delivered": 7, "duplicates": 7,
         "newest_event_at": "2026-03-05T12:00:00Z"}
    ]  # fmt: skip


def test_each_customer_sees_its_own_rows_and_none_sees_rows_without_customer(
    service: Service,
) -> None:
    """Rows without a readable customer are in no answer; a customer without rows has zeros."""
    boreal = service.get(f"{PATH}?days=1", BOREAL).json()
    assert (boreal["accepted"], boreal["duplicates"], boreal["rejected"]) == (7, 70, 0)
    assert boreal["newest_event_at"] == "2026-03-10T00:14:59.999999Z"
    quiet = service.get(f"{PATH}?days=1", QUIET).json()
    assert quiet == {
        "period_days": 1,
        **NOTHING,
        "by_stream": [
            {"stream": stream, **NOTHING} for stream in (USAGE_STREAM, SCAN_STREAM, RATING_STREAM)
        ],
        "days": [{"date": "2026-03-10", **NOTHING}],
    }


def test_csv_has_a_line_for_each_day(service: Service) -> None:
    """The same numbers, without the reasons; no event is an empty cell."""
    answer = service.get(f"{PATH}?days=3&format=csv")
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    lines = list(csv.DictReader(io.StringIO(answer.text)))
    assert [line["date"] for line in lines] == ["2026-03-08", "2026-03-09", "2026-03-10"]
    assert lines[0]["newest_event_at"] == ""
    assert lines[1]["newest_event_at"] == "2026-03-09T18:14:59Z"
    assert (lines[2]["delivered"], lines[2]["rejected"]) == ("13", "7")


def test_what_is_asked_twice_is_answered_304(service: Service) -> None:
    """The tag covers the question, in whatever words."""
    tag = service.get(PATH).headers["ETag"]
    again = service.get(f"{PATH}?days=30&tz=UTC", headers={"If-None-Match": tag})
    assert again.status_code == 304
    other = service.get(f"{PATH}?days=31", headers={"If-None-Match": tag})
    assert other.status_code == 200


def test_a_snapshot_of_an_older_version_lacks_this_alone(
    start: StartService, tmp_path: Path
) -> None:
    """Until the next run publishes it, the answer says so; the other endpoints answer."""
    path = snapshot_fixture.publish(tmp_path, snapshot_fixture.sample())
    with duckdb.connect(str(path)) as connection:
        connection.execute("drop table marts.delivery_quarter_hourly")
    service = start()
    answer = service.get(PATH)
    assert (answer.status_code, answer.json()["error_code"]) == (503, "NOT_READY")
    assert answer.headers["Retry-After"]
    assert "run hourly" in service.log_lines()[-1]["problem"]
    assert service.get("/api/stats/usage/summary").status_code == 200
