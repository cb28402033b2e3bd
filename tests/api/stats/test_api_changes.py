"""A change compares spans alike: `compare`, and the account that says since when."""

import random
import shutil
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest

from api.stats.changes import change_percent
from api.windows import Comparing, compared_spans, first_instant, instant_of, zone
from recount.answers import answer
from recount.changes import change
from recount.deliveries import Rating, Scan, Truth, UsageEvent
from service_fixture import Service, StartService
from snapshot_fixture import (
    ACME,
    BOREAL,
    QUIET,
    UNKNOWN_POLICY,
    Marts,
    delivery,
    publish,
    ratings,
    sample,
    usage,
)

LONG, PRO, STRANGER, FREE = 1, 2, 3, 4
SUMMARIES = ("usage/summary", "compliance/summary", "feedback/summary")
DATA_AS_OF = datetime(2026, 11, 20, 8, 50)
BEGINS = datetime(2026, 1, 20, 10, 7, tzinfo=UTC)
# A clock is put forward or back on each, in the middle of the day before or at its midnight.
MORNINGS = [
    ("UTC", date(2026, 6, 17)),
    ("Asia/Kathmandu", date(2026, 6, 17)),
    ("America/New_York", date(2026, 3, 8)),  # 23 hours
    ("America/New_York", date(2026, 11, 1)),  # 25 hours
    ("Europe/Paris", date(2026, 4, 2)),  # 23 hours four dates before
    ("Europe/Paris", date(2026, 10, 29)),  # 25 hours four dates before
    ("Australia/Lord_Howe", date(2026, 4, 5)),  # half an hour more
    ("Australia/Lord_Howe", date(2026, 10, 4)),  # half an hour less
    ("America/Santiago", date(2026, 9, 6)),  # no midnight
    ("America/Havana", date(2026, 11, 1)),  # two midnights
    ("Pacific/Chatham", date(2026, 4, 12)),
]
TIMES = (time(0, 5), time(0, 40), time(1, 40), time(2, 20), time(9, 0), time(23, 59))


def deliveries() -> Truth:
    """Events at random times of 2026, more of them at night; the third customer has no row."""
    draw = random.Random(7)
    events, scans, given = [], [], []
    for number in range(2400):
        at = BEGINS + timedelta(minutes=draw.randint(0, 305 * 1440) if number else 0)
        customer, agent_type = draw.choice([LONG, LONG, PRO, STRANGER, FREE]), draw.randint(1, 2)
        if number < 1600:
            timed = draw.choice([None, 0, 17, 900, 36525])
            events.append(
                UsageEvent(
                    f"e{number}", customer, draw.randint(1, 5), agent_type, "m",
                    draw.randint(0, 900), draw.randint(0, 90), timed, at,
                )
            )  # fmt: skip
        elif number < 2100:
            found = (("PERSON", draw.randint(1, 3)),) if draw.random() < 0.3 else ()
            toxic = draw.random() < 0.1
            scans.append(Scan(f"a{number}", customer, 1, agent_type, None, toxic, found, at))
        else:
            given.append(Rating(f"f{number}", customer, agent_type, draw.randint(1, 5), None, at))
    tiers: dict[int, dict[str, Any]] = {
        LONG: {"tier": "enterprise", "retention_days": 730},
        PRO: {"tier": "pro", "retention_days": None},
        FREE: {"tier": "free", "retention_days": None},
    }
    return Truth(events, scans, given, tiers, {}, {}, {}, [], [], {}, [])


def marts_of(truth: Truth) -> Marts:
    """The same as rows of the marts, one for each event."""

    rows: list[UsageEvent | Scan | Rating] = [*truth.events, *truth.scans, *truth.ratings]

    def bucket(at: datetime) -> str:
        return at.replace(tzinfo=None, minute=at.minute // 15 * 15).isoformat(sep=" ")[:16]

    return Marts(
        customers=[(LONG, "L", "enterprise", 730), (PRO, "P", "pro", 90), (FREE, "F", "free", 7)],
        usage=[
            usage(
                each.customer_id, each.agent_id, each.agent_type_id, each.model,
                bucket(each.occurred_at), message_count=1, input_tokens=each.input_tokens,
                output_tokens=each.output_tokens, response_time_ms_sum=each.response_time_ms or 0,
                response_time_count=int(each.response_time_ms is not None),
            )
            for each in truth.events
        ],
        compliance=[
            (
                each.customer_id, each.agent_type_id, 1, 1, int(each.is_toxic), int(bool(each.pii)),
                sum(count for _, count in each.pii), bucket(each.occurred_at),
            )
            for each in truth.scans
        ],
        pii=[
            (each.customer_id, each.agent_type_id, kind, count, bucket(each.occurred_at))
            for each in truth.scans
            for kind, count in each.pii
        ],
        feedback=[
            (
                each.customer_id, each.agent_type_id, "unknown",
                *ratings(*(int(each.rating == stars) for stars in range(1, 6))),
                bucket(each.occurred_at),
            )
            for each in truth.ratings
        ],
        deliveries=[
            delivery("agent_usage_events", each.customer_id, bucket(each.occurred_at), accepted=1)
            for each in rows
            if each.customer_id == STRANGER
        ],
    )  # fmt: skip


@pytest.fixture
def both(start: StartService, tmp_path: Path) -> tuple[Service, Service, Truth]:
    """A server that answers from memory, one that queries, and what they are about."""
    truth = deliveries()
    publish(tmp_path, marts_of(truth), data_as_of=DATA_AS_OF)
    from_memory = start()
    # A file is opened but once in a process.
    other = tmp_path / "other"
    shutil.copytree(tmp_path / "snapshots", other / "snapshots")
    return from_memory, start(home=other, rows_cache_mb=0), truth


def test_a_change_is_that_of_an_independent_recount(
    both: tuple[Service, Service, Truth],
) -> None:
    """At six times of eleven days, most of them odd: from memory, by query and by hand."""
    from_memory, queried, truth = both
    draw = random.Random(3)
    seen: set[str | None] = set()
    keys = {
        (service is queried, customer): service.key(customer)
        for service in (from_memory, queried)
        for customer in (LONG, PRO, STRANGER, FREE)
    }
    for tz, day in [*MORNINGS, ("UTC", date(2026, 11, 21)), ("Asia/Tokyo", date(2026, 11, 23))]:
        for clock in TIMES:
            now = instant_of(datetime.combine(day, clock), zone(tz))
            for summary in SUMMARIES:
                customer, days = (
                    draw.choice([LONG, LONG, PRO, STRANGER, FREE]),
                    draw.choice([1, 2, 7, 7, 30, 90]),
                )
                asked = {"days": str(days), "tz": tz}
                if draw.random() < 0.2:
                    asked["end"] = (day - timedelta(days=draw.randint(1, 3))).isoformat()
                compare = draw.choice(["previous", "previous", "week", "month"])
                path = f"/api/stats/{summary}"
                body = answer(truth, customer, path, asked, now)
                assert isinstance(body, dict)
                expected = {
                    **body,
                    **change(
                        truth, customer, path, asked, now, DATA_AS_OF.replace(tzinfo=UTC), compare
                    ),
                }
                for service in (from_memory, queried):
                    service.settings.now = now
                    found = service.client.get(
                        path,
                        params={**asked, "compare": compare},
                        headers={"X-API-Key": keys[service is queried, customer]},
                    )
                    assert found.json() == expected, (tz, now, asked, compare, customer)
                    assert list(found.json()) == list(expected)
                seen.add(expected["change_reason"] and expected["change_reason"].split(" 20")[0])
    assert seen >= {None, "data begins", "data is kept from"}
    assert "no quarter hour of this period is loaded yet" in seen


def test_mornings_are_compared_with_mornings(service: Service) -> None:
    """At 09:07 with data of 08:50, both spans end at 08:45 of their own last day."""
    tz = zone("Europe/Paris")
    spans = compared_spans(
        days=7,
        tz="Europe/Paris",
        end=date(2026, 3, 31),
        known_until=instant_of(datetime(2026, 3, 31, 8, 50), tz),
        comparing=Comparing.previous,
    )
    assert spans.current.start == first_instant(date(2026, 3, 25), tz)
    assert spans.current.end.astimezone(tz).isoformat() == "2026-03-31T08:45:00+02:00"
    assert spans.previous.start == first_instant(date(2026, 3, 18), tz)
    assert spans.previous.end.astimezone(tz).isoformat() == "2026-03-24T08:45:00+01:00"


@pytest.mark.parametrize(
    ("tz", "now", "days", "earlier"),
    [
        # 02:30 is not there seven dates before, when clocks went from 02:00 to 03:00.
        ("Europe/Paris", "2026-04-05T02:40:00+02:00", 7, "2026-03-29T03:00:00+02:00"),
        # From 02:00 to 02:30: 02:15 is not there.
        ("Australia/Lord_Howe", "2026-10-11T02:20:00+11:00", 7, "2026-10-04T02:30:00+11:00"),
        # 02:30 is there twice seven dates before: the first, so that both are as long.
        ("Europe/Paris", "2026-11-01T02:40:00+01:00", 7, "2026-10-25T02:30:00+02:00"),
        # The second 02:30 of today: there is but one a week before.
        ("Europe/Paris", "2026-10-25T02:40:00+01:00", 7, "2026-10-18T02:30:00+02:00"),
        # No midnight a week before: its day begins at 01:00.
        ("America/Santiago", "2026-09-13T00:40:00-03:00", 7, "2026-09-06T01:00:00-03:00"),
    ],
)
def test_a_time_that_is_not_there_is_the_first_later_one(
    tz: str, now: str, days: int, earlier: str
) -> None:
    """Worked out by hand at each kind of clock change."""
    known = datetime.fromisoformat(now).astimezone(UTC)
    end = known.astimezone(zone(tz)).date()
    # Seven dates that are compared with those right before are compared with the week before.
    for comparing in (Comparing.previous, Comparing.week):
        spans = compared_spans(days=days, tz=tz, end=end, known_until=known, comparing=comparing)
        assert spans.previous.end.astimezone(zone(tz)).isoformat() == earlier


AFTER_ALL = "2026-12-01T00:00:00+00:00"


@pytest.mark.parametrize(
    ("comparing", "tz", "days", "end", "known", "expected"),
    [
        # Whole months: 31 days with 28, 30 with the first 30 of 31, over the year's end.
        ("month", "UTC", 31, "2026-03-31", AFTER_ALL, ("02-01T00:00+00:00", "03-01T00:00+00:00")),
        ("month", "UTC", 30, "2026-04-30", AFTER_ALL, ("03-01T00:00+00:00", "03-31T00:00+00:00")),
        ("month", "UTC", 31, "2026-01-31", AFTER_ALL, ("12-01T00:00+00:00", "01-01T00:00+00:00")),
        # Days that February lacks: the 31st alone, then 29 to 31, both with its last day.
        ("month", "UTC", 1, "2026-03-31", AFTER_ALL, ("02-28T00:00+00:00", "03-01T00:00+00:00")),
        ("month", "UTC", 3, "2026-03-31", AFTER_ALL, ("02-28T00:00+00:00", "03-01T00:00+00:00")),
        ("month", "UTC", 1, "2024-03-31", AFTER_ALL, ("02-29T00:00+00:00", "03-01T00:00+00:00")),
        ("month", "UTC", 3, "2024-03-30", AFTER_ALL, ("02-28T00:00+00:00", "03-01T00:00+00:00")),
        # From a leap day and to one.
        ("month", "UTC", 1, "2024-02-29", AFTER_ALL, ("01-29T00:00+00:00", "01-30T00:00+00:00")),
        ("month", "UTC", 1, "2024-03-29", AFTER_ALL, ("02-29T00:00+00:00", "03-01T00:00+00:00")),
        # The clocks of Paris went forward on 29 March, those of New York on 8 March.
        (
            "month", "Europe/Paris", 30, "2026-04-30", AFTER_ALL,
            ("03-01T00:00+01:00", "03-31T00:00+02:00"),
        ),
        (
            "week", "America/New_York", 7, "2026-03-14", AFTER_ALL,
            ("03-01T00:00-05:00", "03-08T00:00-05:00"),
        ),
        (
            "week", "America/New_York", 3, "2026-03-16", AFTER_ALL,
            ("03-07T00:00-05:00", "03-10T00:00-04:00"),
        ),
        # A week back is a week back, however long the period.
        ("week", "UTC", 30, "2026-03-31", AFTER_ALL, ("02-23T00:00+00:00", "03-25T00:00+00:00")),
        (
            "week", "Asia/Kathmandu", 3, "2026-03-10", AFTER_ALL,
            ("03-01T00:00+05:45", "03-04T00:00+05:45"),
        ),
        # Cut at 17:45 of the day, and at 09:00 of a day that February lacks.
        (
            "week", "Asia/Kathmandu", 3, "2026-03-10", "2026-03-10T17:59:00+05:45",
            ("03-01T00:00+05:45", "03-03T17:45+05:45"),
        ),
        (
            "month", "Asia/Kathmandu", 10, "2026-03-10", "2026-03-10T17:59:00+05:45",
            ("02-01T00:00+05:45", "02-10T17:45+05:45"),
        ),
        (
            "month", "UTC", 31, "2026-03-31", "2026-03-31T09:07:00+00:00",
            ("02-01T00:00+00:00", "02-28T09:00+00:00"),
        ),
        (
            "month", "UTC", 30, "2024-03-30", "2024-03-30T12:00:00+00:00",
            ("02-01T00:00+00:00", "02-29T12:00+00:00"),
        ),
        # 02:30 was not there on 29 March.
        (
            "month", "Europe/Paris", 2, "2026-04-29", "2026-04-29T02:40:00+02:00",
            ("03-28T00:00+01:00", "03-29T03:00+02:00"),
        ),
        # Data up to midnight: 30 March is whole, so 28 February is; 28 March in another period.
        (
            "month", "UTC", 2, "2026-03-31", "2026-03-31T00:00:00+00:00",
            ("02-28T00:00+00:00", "03-01T00:00+00:00"),
        ),
        (
            "month", "UTC", 31, "2026-03-31", "2026-03-29T00:14:00+00:00",
            ("02-01T00:00+00:00", "03-01T00:00+00:00"),
        ),
        # Nothing of the period is there yet: nothing of the earlier one is compared.
        (
            "month", "UTC", 1, "2026-03-31", "2026-03-31T00:14:00+00:00",
            ("02-28T00:00+00:00", "02-28T00:00+00:00"),
        ),
    ],
)  # fmt: skip
def test_the_dates_a_week_and_a_month_before(
    comparing: str, tz: str, days: int, end: str, known: str, expected: tuple[str, str]
) -> None:
    """From a calendar, by hand: where the earlier span begins and ends, on local clocks."""
    spans = compared_spans(
        days=days,
        tz=tz,
        end=date.fromisoformat(end),
        known_until=datetime.fromisoformat(known),
        comparing=Comparing(comparing),
    )
    found = [
        instant.astimezone(zone(tz)).isoformat(timespec="minutes")[5:]
        for instant in (spans.previous.start, spans.previous.end)
    ]
    assert found == list(expected)
    assert spans.current.start == first_instant(
        date.fromisoformat(end) - timedelta(days=days - 1), zone(tz)
    )


def test_a_change_against_a_week_before_is_not_one_against_the_dates_before(
    service: Service,
) -> None:
    """Two dates: those of a week before are not the two right before, and have another tag."""
    path = "/api/stats/usage/summary?days=2&end=2026-03-09&compare="
    found = {name: service.get(f"{path}{name}") for name in ("previous", "week", "month")}
    assert {name: answer.json()["previous_from"] for name, answer in found.items()} == {
        "previous": "2026-03-06T00:00:00Z",
        "week": "2026-03-01T00:00:00Z",
        "month": "2026-02-08T00:00:00Z",
    }
    assert len({answer.headers["ETag"] for answer in found.values()}) == 3
    wrong = service.get(f"{path}year")
    assert wrong.status_code == 422
    assert wrong.json()["details"]["allowed"] == "previous, week, month or none"


def test_bodies_are_the_same_without_the_parameter(service: Service) -> None:
    """Byte by byte, with another tag: the question is another one."""
    for summary in SUMMARIES:
        plain = service.get(f"/api/stats/{summary}")
        none = service.get(f"/api/stats/{summary}?compare=none")
        compared = service.get(f"/api/stats/{summary}?compare=previous")
        assert none.content == plain.content
        assert compared.content.startswith(plain.content[:-1] + b',"previous":')
        assert compared.headers["ETag"] != plain.headers["ETag"] == none.headers["ETag"]


def test_a_change_moves_on_at_each_quarter_hour(service: Service) -> None:
    """An answer that is kept holds no longer than its spans: 11:00 was the data's own limit."""
    key = {"X-API-Key": service.key(ACME)}
    path = "/api/stats/usage/summary?days=2&end=2026-03-10&compare=previous"

    def at(hour: int, minute: int) -> str:
        service.settings.now = datetime(2026, 3, 10, hour, minute, tzinfo=UTC)
        body = service.client.get(path, headers=key).json()
        return f"{body['compared_to']} {body['previous_to']}"

    assert at(10, 14) == "2026-03-10T10:00:00Z 2026-03-08T10:00:00Z"
    assert at(10, 15) == "2026-03-10T10:15:00Z 2026-03-08T10:15:00Z"
    assert at(10, 29) == "2026-03-10T10:15:00Z 2026-03-08T10:15:00Z"
    assert at(12, 0) == "2026-03-10T11:00:00Z 2026-03-08T11:00:00Z"


def test_a_change_is_rounded_once() -> None:
    """From exact ratios, half away from zero; none from 0 and none of nothing."""
    assert change_percent((3, 1), (4, 1)) == 33.33
    assert change_percent((400_000, 1), (399_981, 1)) == -0.0
    assert str(change_percent((400_000, 1), (399_981, 1))) == "0.0"
    assert change_percent((400_000, 1), (399_980, 1)) == -0.01
    assert change_percent((1, 3), (1, 2)) == 50.0
    assert change_percent((2, 1), (0, 1)) == -100.0
    assert change_percent((0, 1), (5, 1)) is None
    assert change_percent((5, 0), (5, 1)) is None
    assert change_percent((5, 1), (0, 0)) is None


def test_the_account_says_since_when_there_is_data(service: Service) -> None:
    """The first event ever, what retention shows, and the later of the two dates."""
    assert service.get("/api/stats/account", ACME).json() == {
        "customer_id": ACME,
        "customer_name": "Acme",
        "tier": "pro",
        "time_zone": None,
        "retention_days": 90,
        "retention_from": "2025-12-10",
        "data_from": "2025-12-10",
        "covered_from": "2025-12-10",
        "first_event_at": "2025-12-09T23:45:00Z",
        "newest_event_at": "2026-03-10T09:45:00Z",
        "requests_per_minute": 10_000,
        "daily_token_budget": 100_000,
    }


def test_the_account_names_the_time_zone_of_the_customer(
    start: StartService, tmp_path: Path
) -> None:
    """The one that was delivered, if it is one of the pinned list's."""
    marts = replace(sample(), time_zones=[(ACME, "Asia/Kathmandu"), (BOREAL, "Mars/Olympus")])
    publish(tmp_path, marts)
    service = start()
    assert service.get("/api/stats/account", ACME).json()["time_zone"] == "Asia/Kathmandu"
    assert service.get("/api/stats/account", BOREAL).json()["time_zone"] is None


def test_the_account_of_a_customer_without_events_has_no_dates_of_data(service: Service) -> None:
    """Retention shows a date all the same; a change has nothing to compare."""
    account = service.get("/api/stats/account", QUIET).json()
    assert account["retention_from"] == "2026-02-08"
    for field in ("data_from", "covered_from", "first_event_at", "newest_event_at"):
        assert account[field] is None
    body = service.get("/api/stats/usage/summary?compare=previous", QUIET).json()
    assert body["change_reason"] == "there was never any data"


def test_the_account_of_a_stranger_is_that_of_its_events(service: Service) -> None:
    """Customer 4 was never delivered: no name, no tier, no retention, no budget."""
    account = service.get("/api/stats/account", UNKNOWN_POLICY).json()
    assert account["customer_name"] is None
    assert account["tier"] is None
    assert account["retention_from"] is None
    assert account["daily_token_budget"] is None


def test_the_account_takes_no_parameter(service: Service) -> None:
    """It is about no period; the error says so."""
    answered = service.get("/api/stats/account?days=7")
    assert answered.status_code == 422
    assert answered.json()["details"] == {"parameter": "days", "allowed": "no parameter"}
