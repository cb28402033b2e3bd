"""What the page shows is what the API says."""

from __future__ import annotations

import csv
import io
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Route

from dashboard.browsing import number, tab_in
from dashboard.conftest import NORTHWIND, PRO_CUSTOMER, OpenTab
from dashboard.serving import Server, running

pytestmark = pytest.mark.browser

PERIODS_AND_ZONES = [
    (7, "UTC"),
    (30, "Asia/Kathmandu"),
    (90, "America/Los_Angeles"),
    (7, "Pacific/Kiritimati"),
    (30, "Pacific/Pago_Pago"),
    (7, "America/St_Johns"),
]


def whole(value: int) -> str:
    """A whole number as readers of English write it."""
    return f"{value:,}"


@pytest.mark.parametrize(("days", "zone"), PERIODS_AND_ZONES)
def test_cards_are_the_summary(
    open_tab: OpenTab, demo: Server, key: str, days: int, zone: str
) -> None:
    """Messages, tokens, agents and response time are those of usage/summary, to the digit."""
    tab = open_tab(demo).open(key, days=days, tz=zone)
    summary = demo.answer("usage/summary", key, days=days, tz=zone)
    assert tab.card("total_messages") == whole(summary["total_messages"])
    assert tab.card("total_tokens") == whole(summary["total_tokens"])
    assert tab.card("active_agents") == whole(summary["active_agents"])
    assert tab.card("avg_response_time_ms") == f"{whole(summary['avg_response_time_ms'])} ms"


@pytest.mark.parametrize(("days", "zone"), PERIODS_AND_ZONES)
def test_cards_are_the_sums_of_their_charts(
    open_tab: OpenTab, demo: Server, key: str, days: int, zone: str
) -> None:
    """Chart and table of days, of agents and of models add up to the cards, in every zone."""
    tab = open_tab(demo).open(key, days=days, tz=zone)
    messages, tokens = number(tab.card("total_messages")), number(tab.card("total_tokens"))
    assert messages > 0
    assert len(tab.drawn("volume")[0]) == days
    assert sum(value or 0 for value in tab.drawn("volume")[0]) == messages
    for name in ("agents", "models"):
        assert sum(value or 0 for series in tab.drawn(name) for value in series) == tokens
        rows = tab.table(name)
        assert sum(number(row["Total Tokens"]) for row in rows) == tokens
        assert sum(number(row["Messages"]) for row in rows) == messages
    assert len(tab.table("agents")) == number(tab.card("active_agents"))
    days_shown = tab.table("volume")
    assert sum(number(row["Messages"]) for row in days_shown) == messages
    assert sum(number(row["Tokens"]) for row in days_shown) == tokens
    assert tab.total("volume") == ["All", whole(int(messages)), whole(int(tokens))]


def test_the_volume_chart_also_shows_tokens(open_tab: OpenTab, demo: Server, key: str) -> None:
    """Its switch turns messages into tokens and back, and keeps the focus."""
    tab = open_tab(demo).open(key)
    tab.panel("volume").get_by_role("button", name="Show Tokens").click()
    tab.wait()
    assert tab.panel("volume").locator("h3").inner_text() == "Token Volume Over Time"
    assert sum(value or 0 for value in tab.drawn("volume")[0]) == number(tab.card("total_tokens"))
    assert "Messages" in str(tab.page.evaluate("document.activeElement.textContent"))


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kathmandu"])
def test_the_change_is_the_api_s(open_tab: OpenTab, demo: Server, key: str, zone: str) -> None:
    """Each card has the change of its own figure, and the page says which two spans it compares."""
    tab = open_tab(demo).open(key, days=7, tz=zone)
    summary = demo.answer("usage/summary", key, days=7, tz=zone, compare="previous")
    for metric in ("total_messages", "total_tokens", "active_agents", "avg_response_time_ms"):
        percent = summary["change_percent"][metric]
        shown = tab.change(metric)
        assert number(shown.split("%")[0]) == pytest.approx(abs(percent), abs=0.051)
        direction = "▲ up" if percent > 0 else "▼ down" if percent < 0 else "= unchanged"
        assert shown.startswith(direction)
    before = summary["previous"]["total_messages"]
    assert f"from {whole(before)}" in tab.change("total_messages")
    until = {"UTC": ("3:00 PM", "Nov 13"), "Asia/Kathmandu": ("8:45 PM", "Nov 13")}[zone]
    spans = tab.page.inner_text(".range").split("change: ")[1]
    now, earlier = " ".join(spans.split()).split(" against ")  # locales have spaces of all kinds
    assert now.startswith("Nov 14, 12:00") and now.endswith(f"Nov 20, {until[0]}")
    assert earlier.startswith("Nov 7, 12:00") and earlier.endswith(f"{until[1]}, {until[0]}")


def test_a_morning_is_compared_with_mornings(browser: Browser, demo_home: Path) -> None:
    """At 09:07 today is a third of a day, and so is the last day of the period before."""
    morning = "2026-11-20T09:07:00Z"
    with running(demo_home, now=morning) as server, tab_in(browser, server) as tab:
        key = server.key(NORTHWIND)
        tab.open(key, days=7)
        summary = server.answer("usage/summary", key, days=7, compare="previous")
        assert (summary["compared_to"], summary["previous_to"]) == (
            "2026-11-20T09:00:00Z",
            "2026-11-13T09:00:00Z",
        )
        whole_days = server.answer("usage/summary", key, days=7, end="2026-11-13")
        before = summary["previous"]["total_messages"]
        assert before < whole_days["total_messages"]
        assert f"from {whole(before)} to " in tab.change("total_messages")


def test_a_change_from_before_the_first_event_is_not_available(
    open_tab: OpenTab, demo: Server, key: str
) -> None:
    """The demo has 90 days: the 90 before them are no growth from nothing."""
    tab = open_tab(demo).open(key, days=90)
    account = demo.answer("account", key)
    assert account["first_event_at"].startswith("2026-08-22")
    assert tab.change("total_messages") == "n/a data begins Aug 22, 2026"
    assert "change" not in tab.page.inner_text(".range")


def test_a_change_that_retention_cuts_is_not_available(open_tab: OpenTab, demo: Server) -> None:
    """90 days are kept, so 90 days have nothing whole before them, but 30 days have."""
    tab = open_tab(demo).open(demo.key(PRO_CUSTOMER), days=90)
    assert tab.change("total_messages").startswith("n/a data ")
    assert tab.change("avg_response_time_ms").startswith("n/a")
    tab.choose_period(30)
    assert "%" in tab.change("total_messages")


def test_more_than_tenfold_is_a_multiple_and_a_long_time_is_in_seconds(
    open_tab: OpenTab, demo: Server, key: str
) -> None:
    """▲ 38,689 % says nothing; 36,525 ms are 36.5 s."""
    tab = open_tab(demo)

    def with_growth(route: Route) -> None:
        answer = route.fetch()
        body = answer.json()
        body["avg_response_time_ms"] = body["compared"]["avg_response_time_ms"] = 36525
        body["previous"] |= {"total_messages": 175, "total_tokens": 100, "active_agents": 0}
        body["compared"] |= {"total_messages": 2170, "total_tokens": 1000}
        body["change_percent"] |= {
            "total_messages": 1140.0, "total_tokens": 900.0, "active_agents": None
        }  # fmt: skip
        route.fulfill(response=answer, json=body)

    tab.page.route("**/usage/summary**", with_growth)
    tab.open(key)
    assert tab.change("total_messages") == "▲ now 12.4× from 175 to 2,170"
    assert tab.change("total_tokens").startswith("▲ up 900%")
    assert tab.change("active_agents") == "n/a it was 0 before"
    assert tab.card("avg_response_time_ms") == "36.5 s"


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kathmandu"])
def test_cost_is_the_api_s(open_tab: OpenTab, demo: Server, key: str, zone: str) -> None:
    """Cards, cost by day, model and token class; the classes add up to the whole."""
    tab = open_tab(demo).open(key, days=30, tab="cost", tz=zone)
    summary = demo.answer("cost/summary", key, days=30, tz=zone)
    cents = Decimal(summary["cost_usd"]).quantize(Decimal("0.01"), ROUND_HALF_UP)
    assert tab.card("cost_usd") == f"${cents:,}"
    month = summary["month_to_date"]
    assert number(tab.card("month_to_date")) == pytest.approx(float(month["cost_usd"]), abs=0.0051)
    note = tab.page.inner_text('[data-metric="month_to_date"] .note')
    assert note == "from Nov 1, 2026"
    assert tab.card("unpriced_tokens") == whole(summary["unpriced_tokens"])
    assert tab.card("reported_cost_usd") == "–"
    costs = demo.answer("usage/timeline", key, days=30, tz=zone)["cost_usd"]
    assert tab.drawn("cost-days") == [[float(each) for each in costs]]
    for panel, rows in (("cost-models", "by_model"), ("cost-classes", "by_token_class")):
        found = [float(row["cost_usd"]) for row in summary[rows] if row["cost_usd"] is not None]
        assert tab.drawn(panel) == [found[:15]]
        assert sum(found) == pytest.approx(float(summary["cost_usd"]), abs=1e-4)
        shown = tab.table(panel)
        assert [row["Tokens"] for row in shown] == [whole(row["tokens"]) for row in summary[rows]]


def test_compliance_is_the_api_s(open_tab: OpenTab, demo: Server, key: str) -> None:
    """Cards, redactions by type, rates by agent type."""
    tab = open_tab(demo).open(key, days=30, tab="compliance", tz="Europe/Paris")
    summary = demo.answer("compliance/summary", key, days=30, tz="Europe/Paris")
    assert tab.card("toxic_messages") == whole(summary["toxic_messages"])
    assert tab.card("pii_redactions.total") == whole(summary["pii_redactions"]["total"])
    assert tab.card("messages_with_pii") == whole(summary["messages_with_pii"])
    rate = tab.page.inner_text('[data-metric="toxic_messages"] .note')
    assert rate == f"{summary['toxic_rate_percent']:.2f}% of messages"
    coverage = tab.page.inner_text('[data-metric="total_messages"] .note')
    scanned, messages = summary["scanned_messages"], summary["total_messages"]
    assert coverage.startswith(f"{whole(scanned)} scanned (")
    assert number(coverage.split("(")[1]) == pytest.approx(100 * scanned / messages, abs=0.051)
    by_type = summary["pii_redactions"]["by_type"]
    assert tab.drawn("pii") == [list(by_type.values())]
    assert [row["Type"] for row in tab.table("pii")] == list(by_type)
    types = demo.answer("compliance/by-agent-type", key, days=30, tz="Europe/Paris")["agent_types"]
    assert tab.drawn("toxic-types") == [[each["toxic_rate_percent"] for each in types]]
    assert tab.drawn("pii-types") == [[each["pii_per_message"] for each in types]]
    shown = tab.table("toxic-types")
    assert [row["Scanned Messages"] for row in shown] == [
        whole(each["scanned_messages"]) for each in types
    ]
    assert [row["PII per Message"] for row in shown] == [
        f"{each['pii_per_message']:.3f}" for each in types
    ]


def test_feedback_is_the_api_s(open_tab: OpenTab, demo: Server, key: str) -> None:
    """Cards, distribution, rating by load."""
    tab = open_tab(demo).open(key, days=30, tab="feedback")
    summary = demo.answer("feedback/summary", key, days=30)
    counts = summary["rating_distribution"]
    assert tab.card("total_feedback") == whole(summary["total_feedback"])
    assert tab.card("average_rating") == f"{summary['average_rating']:.2f}"
    assert tab.drawn("distribution") == [[counts[stars] for stars in "54321"]]
    assert tab.total("distribution")[1] == whole(summary["total_feedback"])
    types = demo.answer("feedback/by-agent-type", key, days=30)["agent_types"]
    drawn = tab.drawn("load")
    for place, load in enumerate(("low", "medium", "high")):
        means = [each["rating_by_load"][load]["avg_rating"] for each in types]
        assert drawn[place] == means[:8]
    shown = tab.table("load")
    assert [row["Ratings"] for row in shown] == [whole(each["total_feedback"]) for each in types]


def test_the_comparison_is_the_api_s(open_tab: OpenTab, demo: Server, key: str) -> None:
    """Every agent type with all its numbers, in the API's order."""
    tab = open_tab(demo).open(key, days=30, tab="agent-types")
    types = demo.answer("agent-types/comparison", key, days=30)["agent_types"]
    shown = tab.table("comparison")
    assert [row["Agent Type"] for row in shown] == [each["name"] for each in types]
    assert [row["Total Tokens"] for row in shown] == [
        whole(each["performance"]["total_tokens"]) for each in types
    ]
    assert [row["Average Rating"] for row in shown] == [
        f"{each['satisfaction']['average_rating']:.2f}" for each in types
    ]


@pytest.mark.parametrize(
    ("tab_name", "panel", "endpoint"),
    [
        ("usage", "volume", "usage/timeline"),
        ("usage", "agents", "usage/by-agent"),
        ("usage", "models", "usage/by-model"),
        ("compliance", "toxic-types", "compliance/by-agent-type"),
        ("feedback", "load", "feedback/by-agent-type"),
    ],
)
def test_a_download_is_the_api_s_csv(
    open_tab: OpenTab, demo: Server, key: str, tab_name: str, panel: str, endpoint: str
) -> None:
    """Same columns, same rows, same inert cells; only 4.0 may be written 4."""
    tab = open_tab(demo).open(key, days=30, tab=tab_name, tz="Asia/Kathmandu")
    name, text = tab.download(panel)
    answer = demo.response(endpoint, key, days=30, tz="Asia/Kathmandu", format="csv")
    assert name == f"{endpoint.replace('/', '-')}.csv"
    assert cells(text) == cells(answer.text)


def cells(text: str) -> list[list[Any]]:
    """The cells of a CSV text, numbers as numbers."""
    return [[as_number(cell) for cell in row] for row in csv.reader(io.StringIO(text))]


def as_number(cell: str) -> str | float:
    """A cell as a number, if it is one."""
    try:
        return float(cell)
    except ValueError:
        return cell


def test_numbers_and_dates_are_in_the_reader_s_locale(
    open_tab: OpenTab, demo: Server, key: str
) -> None:
    """A German browser groups by points and writes the day first."""
    tab = open_tab(demo, locale="de-DE").open(key)
    messages = demo.answer("usage/summary", key)["total_messages"]
    assert tab.card("total_messages") == f"{messages:,}".replace(",", ".")
    assert "20. Nov. 2026" in tab.page.inner_text(".range")


def test_another_key_shows_another_customer(open_tab: OpenTab, demo: Server) -> None:
    """After one key is forgotten, nothing of its customer is left when the next one comes."""
    tab = open_tab(demo).open(demo.key(NORTHWIND))
    first = tab.card("total_messages")
    tab.page.get_by_role("button", name="Forget key").click()
    assert tab.page.locator("#view").inner_html() == ""
    tab.type_key(demo.key(PRO_CUSTOMER))
    tab.wait()
    assert tab.card("total_messages") != first
