"""`/api/stats/budgets`: what of each budget is used, and when it will be used up."""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from service_fixture import StartService
from snapshot_fixture import ACME, BOREAL, Marts, publish, usage

PATH = "/api/stats/budgets"
TODAY = date(2026, 3, 10)  # by the clock of the service, 12:00 UTC; loaded at 11:00


def by_quarters(
    days: int, tokens: Callable[[int], int], *, until: int = 44, budget: int | None = 60
) -> Marts:
    """A customer who used tokens in each quarter hour of so many days, and today up to `until`; of
    the day before them, one."""
    times = [datetime(2026, 3, 10) - timedelta(days=days + 1)]
    times += [
        datetime(2026, 3, 10) - timedelta(days=day) + timedelta(minutes=15) * quarter
        for day in range(days, -1, -1)
        for quarter in range(96 if day else until)
    ]
    rows = [
        usage(
            ACME, 42, 5, "gpt-4o", f"{time:%Y-%m-%d %H:%M}", message_count=1,
            input_tokens=tokens((time.hour * 60 + time.minute) // 15),
        )
        for time in times
    ]  # fmt: skip
    return Marts(
        customers=[(ACME, "Acme", "pro", 90), (BOREAL, "Boreal", "free", 7)],
        usage=rows,
        tiers=[("pro", None, budget), ("free", None, None)],
    )


def answered(start: StartService, home: Path, marts: Marts) -> Any:
    """The budgets of the customer."""
    publish(home, marts)
    answer = start().get(PATH)
    assert answer.status_code == 200
    return answer.json()


def test_a_budget_says_what_is_used_and_when_it_will_be_used_up(
    start: StartService, tmp_path: Path
) -> None:
    """A token a quarter hour: 44 by 11:00, the 60th by 15:00."""
    assert answered(start, tmp_path, by_quarters(20, lambda _: 1)) == [
        {
            "rule_id": "tier_daily_tokens",
            "name": "Daily tokens of tier pro",
            "metric": "total_tokens",
            "amount": 60,
            "used": 44,
            "used_percent": 73.33,
            "window": "day",
            "tz": "UTC",
            "resets_at": "2026-03-11T00:00:00Z",
            "exhausted_at": "2026-03-10T15:00:00Z",
        }
    ]


@pytest.mark.parametrize(
    ("amount", "exhausted_at"),
    [
        (1, "2026-03-10T00:15:00Z"),
        (40, "2026-03-10T10:00:00Z"),
        (44, "2026-03-10T11:00:00Z"),
        (45, "2026-03-10T11:15:00Z"),
        (95, "2026-03-10T23:45:00Z"),
        (96, None),
        (97, None),
    ],
)
def test_the_time_is_that_of_the_quarter_hour(
    start: StartService, tmp_path: Path, amount: int, exhausted_at: str | None
) -> None:
    """Reached or to be reached; the last quarter hour ends when the budget resets."""
    (budget,) = answered(start, tmp_path, by_quarters(14, lambda _: 1, budget=amount))
    assert budget["exhausted_at"] == exhausted_at
    assert budget["used_percent"] == round(4400 / amount + 1e-9, 2)


def test_what_is_to_come_has_the_profile_of_the_hours(start: StartService, tmp_path: Path) -> None:
    """Nothing from 11:00 to 20:00, then 3 tokens a quarter hour: the 50th by 20:30."""

    def tokens(quarter: int) -> int:
        return 1 if quarter < 44 else 0 if quarter < 80 else 3

    (budget,) = answered(start, tmp_path, by_quarters(20, tokens, budget=50))
    assert (budget["used"], budget["exhausted_at"]) == (44, "2026-03-10T20:30:00Z")


def test_without_enough_days_nothing_is_projected(start: StartService, tmp_path: Path) -> None:
    """13 whole days; what was reached is known all the same."""
    publish(tmp_path, by_quarters(13, lambda _: 1))
    service = start()
    (budget,) = service.get(PATH).json()
    assert (budget["used"], budget["exhausted_at"]) == (44, None)
    publish(tmp_path, by_quarters(13, lambda _: 1, budget=44), snapshot_id="later")
    service.await_snapshot("later")
    (reached,) = service.get(PATH).json()
    assert reached["exhausted_at"] == "2026-03-10T11:00:00Z"


def test_old_data_is_projected_no_further(start: StartService, tmp_path: Path) -> None:
    """Loaded yesterday: nothing of today is used as far as is known."""
    marts = by_quarters(20, lambda _: 1, until=0)
    publish(tmp_path, marts, data_as_of=datetime(2026, 3, 9, 23, 0))
    (budget,) = start().get(PATH).json()
    assert (budget["used"], budget["exhausted_at"]) == (0, None)


def test_a_tier_without_a_budget_has_none(start: StartService, tmp_path: Path) -> None:
    """And parameters there are none."""
    publish(tmp_path, by_quarters(14, lambda _: 1))
    service = start()
    assert service.get(PATH, customer_id=BOREAL).json() == []
    assert service.get(f"{PATH}?days=3").status_code == 422
    assert service.get(PATH).headers["X-Data-As-Of"] == "2026-03-10T11:00:00Z"
