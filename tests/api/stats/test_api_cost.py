"""What a period cost over the sample of `snapshot_fixture`, worked out by hand."""

from __future__ import annotations

from service_fixture import Service, StartService
from snapshot_fixture import ACME, BOREAL, QUIET, Marts, publish, usage

# In millionths of a dollar: claude-sonnet-4 is 3 and 15 a token, gpt-4o 2.5 and 10; the rest has no
# price.


def test_the_summary_is_made_of_classes_and_models(service: Service) -> None:
    """Seven days: 300 and 100 tokens of claude, 310 and 100 of gpt-4o, 190 and 10 of no price."""
    assert service.get("/api/stats/cost/summary?days=7").json() == {
        "period_days": 7,
        "cost_usd": "0.004175",
        "reported_cost_usd": None,
        "complete": False,
        "unpriced_tokens": 200,
        "assumed_price_tokens": 0,
        "by_token_class": [
            {"token_class": "output", "tokens": 210, "cost_usd": "0.002500"},
            {"token_class": "input", "tokens": 800, "cost_usd": "0.001675"},
        ],
        "by_model": [
            {"model": "claude-sonnet-4", "tokens": 400, "cost_usd": "0.002400",
             "unpriced_tokens": 0},
            {"model": "gpt-4o", "tokens": 410, "cost_usd": "0.001775", "unpriced_tokens": 0},
            {"model": "unknown", "tokens": 200, "cost_usd": None, "unpriced_tokens": 200},
        ],
        "month_to_date": {"cost_usd": "0.004175", "from": "2026-03-01", "reason": None},
        "price_book": "list-1",
    }  # fmt: skip


def test_the_month_is_that_of_today_in_the_zone_whatever_the_period(service: Service) -> None:
    """A period that ended in February has the cost of March beside it."""
    body = service.get("/api/stats/cost/summary?days=1&end=2026-02-20").json()
    assert body["cost_usd"] != "0.004175"
    assert body["month_to_date"]["cost_usd"] == "0.004175"


def test_a_month_that_began_before_what_is_kept_has_no_figure(service: Service) -> None:
    """Free keeps seven days: 2026-03-03 on."""
    body = service.get("/api/stats/cost/summary", BOREAL).json()
    assert body["month_to_date"] == {
        "cost_usd": None,
        "from": "2026-03-01",
        "reason": "the month began before 2026-03-03, from which on data is kept",
    }


def test_without_events_nothing_costs_nothing(service: Service) -> None:
    """A cost of 0 that is complete."""
    body = service.get("/api/stats/cost/summary", QUIET).json()
    assert (body["cost_usd"], body["complete"]) == ("0.000000", True)
    assert (body["by_model"], body["by_token_class"]) == ([], [])


def test_a_cost_per_something_is_null_unless_it_is_complete(service: Service) -> None:
    """By model: 2,400 and 1,775 millionths over 3 and 4 messages; the third has no price."""
    asked = "metrics=cost_per_message_usd,cost_usd&group_by=model&days=7&order_by=model"
    body = service.get(f"/api/stats/query?{asked}").json()
    assert [row["cost_per_message_usd"] for row in body["rows"]] == ["0.000800", "0.000444", None]
    assert body["totals"]["cost_per_message_usd"] is None
    assert body["cost_complete"] is False
    of_one = service.get(f"/api/stats/query?{asked}&model=gpt-4o").json()
    assert of_one["cost_complete"] is True
    without = service.get("/api/stats/query?metrics=total_tokens&days=7").json()
    assert without["cost_complete"] is None


def test_money_is_a_decimal_in_a_table(service: Service) -> None:
    """6 decimals in CSV; in JSON a text, so that no reader makes a float of it."""
    asked = "/api/stats/query?metrics=cost_usd&group_by=model&days=7"
    assert service.get(f"{asked}&format=csv").text.splitlines()[1:3] == [
        ",claude-sonnet-4,0.002400",
        ",gpt-4o,0.001775",
    ]
    assert isinstance(service.get(asked).json()["totals"]["cost_usd"], str)
    receipt = service.get("/api/stats/receipt?metric=cost_usd&days=7").json()
    assert receipt["value"] == "0.004175"


def test_sums_beyond_64_bits_of_units_are_exact(start: StartService) -> None:
    """More than nine million dollars are no longer summed in memory, and come to the same."""
    service = start()
    rows = [
        usage(ACME, 42, 5, "gpt-4o", f"2026-03-0{day} 00:00", message_count=1,
              input_tokens=2 * 10**12 + day, output_tokens=0)
        for day in (7, 8, 9)
    ]  # fmt: skip
    publish(
        service.settings.home,
        Marts(customers=[(ACME, "Acme", "pro", 90)], usage=rows),
        snapshot_id="20260310T110600Z-00000002",
    )
    body = service.get("/api/stats/usage/summary?days=7").json()
    assert body["cost_usd"] == "15000000.000060"
    by_day = service.get("/api/stats/usage/timeline?days=3").json()["cost_usd"]
    assert by_day == ["5000000.000020", "5000000.000023", "0.000000"]
