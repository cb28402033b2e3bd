"""Period, time zone and tab: how they are chosen, and where they are kept."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect

from dashboard.browsing import Tab
from dashboard.conftest import OpenTab
from dashboard.serving import Server

pytestmark = pytest.mark.browser


def query(tab: Tab) -> dict[str, str]:
    """What the address says."""
    return {name: values[0] for name, values in parse_qs(urlsplit(tab.page.url).query).items()}


@pytest.mark.parametrize("zone", ["Asia/Kathmandu", "America/Los_Angeles"])
def test_the_zone_starts_as_the_browser_s(
    open_tab: OpenTab, demo: Server, key: str, zone: str
) -> None:
    """A browser in that zone asks for its dates, and every chart names it."""
    tab = open_tab(demo, zone=zone).open(key)
    assert query(tab) == {"days": "7", "tz": zone, "tab": "usage"}
    expect(tab.page.locator("#zone")).to_have_value(zone)
    summary = demo.answer("usage/summary", key, tz=zone)
    assert tab.card("total_messages") == f"{summary['total_messages']:,}"
    for name in ("Usage", "Cost", "Compliance", "Feedback", "Agent types"):
        tab.choose_tab(name)
        for panel in tab.page.locator(".panel").all():
            expect(panel.locator(".subtitle")).to_contain_text(zone)
        for canvas in tab.page.locator("canvas").all():
            assert zone in (canvas.get_attribute("aria-label") or "")


def test_period_and_zone_change_the_numbers(tab: Tab, key: str) -> None:
    """Each choice shows what the API says about it."""
    for days in (30, 90, 7):
        tab.choose_period(days)
        for zone in ("Asia/Tokyo", "America/Sao_Paulo"):
            tab.choose_zone(zone)
            summary = tab.server.answer("usage/summary", key, days=days, tz=zone)
            assert tab.card("total_messages") == f"{summary['total_messages']:,}"
            assert len(tab.drawn("volume")[0]) == days
            expect(tab.panel("agents").locator(".subtitle")).to_contain_text(zone)


def test_an_address_brings_back_what_was_seen(
    open_tab: OpenTab, tab: Tab, demo: Server, key: str
) -> None:
    """Period, zone and tab are in it; the key is not, and has to be typed."""
    tab.choose_period(30)
    tab.choose_zone("Asia/Kathmandu")
    tab.choose_tab("Feedback")
    assert query(tab) == {"days": "30", "tz": "Asia/Kathmandu", "tab": "feedback"}
    other = open_tab(demo, zone="America/New_York")
    other.page.goto(tab.page.url)
    expect(other.page.get_by_label("API key")).to_be_focused()
    other.type_key(key)
    other.wait()
    assert other.page.url == tab.page.url
    assert other.card("total_feedback") == tab.card("total_feedback")


def test_back_and_forward_walk_through_the_choices(tab: Tab) -> None:
    """Each choice is a step of the history; looking for the first time is none."""
    first = tab.card("total_messages")
    tab.choose_period(30)
    tab.choose_tab("Compliance")
    tab.page.go_back()
    tab.page.wait_for_selector("#tab-usage[aria-selected=true]")
    tab.wait()
    expect(tab.page.get_by_role("radio", name="30 days")).to_be_checked()
    tab.page.go_back()
    tab.wait()
    expect(tab.page.get_by_role("radio", name="7 days")).to_be_checked()
    assert tab.card("total_messages") == first


def test_an_address_that_makes_no_sense_is_put_right(
    open_tab: OpenTab, demo: Server, key: str
) -> None:
    """Each thing that it asked for and does not get is named."""
    tab = open_tab(demo, zone="Europe/Paris").open(key, days="9999", tz="Mars/Base", tab="<b>")
    assert query(tab) == {"days": "7", "tz": "Europe/Paris", "tab": "usage"}
    said = tab.notice("address").all_inner_texts()
    assert [text.split(" is not ")[0] for text in said] == ["“9999”", "“Mars/Base”", "“<b>”"]
    assert "7, 30, 90 days: this shows 7." in said[0]
    tab.choose_period(30)
    assert tab.notice("address").count() == 0


def test_the_key_is_nowhere_but_in_this_tab(tab: Tab, key: str) -> None:
    """Not in the address, a cookie, lasting storage or the page; it goes out in one header."""
    tab.choose_period(30)
    assert key not in tab.page.url
    assert all(key not in url for url in tab.requests)
    assert tab.page.context.cookies() == []
    assert tab.page.evaluate("localStorage.length") == 0
    assert tab.page.evaluate("Object.values(sessionStorage)") == [key]
    assert key not in tab.page.content()
    assert tab.page.input_value("#key") == ""
    tab.page.get_by_role("button", name="Forget key").click()
    assert tab.page.evaluate("sessionStorage.length") == 0


def test_a_reload_keeps_the_key_and_a_new_tab_does_not(tab: Tab) -> None:
    """It lives as long as its tab."""
    tab.page.reload()
    tab.wait()
    other = tab.page.context.new_page()
    other.goto(tab.page.url)
    expect(other.get_by_label("API key")).to_be_focused()


def test_choices_made_before_the_key_count(open_tab: OpenTab, demo: Server, key: str) -> None:
    """Going back and forth without a key asks nothing of the API."""
    tab = open_tab(demo)
    tab.go(days=30, tab="compliance")
    tab.go(days=90, tab="feedback")
    tab.page.go_back()
    tab.type_key(key)
    tab.wait()
    expect(tab.page.locator("h2").last).to_have_text("Compliance")
    expect(tab.page.get_by_role("radio", name="30 days")).to_be_checked()


def test_an_unchanged_snapshot_is_not_asked_twice(tab: Tab) -> None:
    """Going back to a tab costs one request, which says whether there is anything new."""
    tab.choose_tab("Compliance")
    before = len([url for url in tab.requests if "/api/" in url])
    tab.choose_tab("Usage")
    assert len([url for url in tab.requests if "/api/" in url]) == before + 1


DATES = """
async () => {
  const { firstWholeDate, frameOf, addDays } = await import("/dashboard/frame.js");
  const frame = frameOf({ days: 30, tz: "UTC" }, { coveredFrom: "2026-02-20", body: {
    labels: ["2026-02-28", "2026-03-01"], messages: [1, 2], tokens: [3, 4],
    cost_usd: ["0.000000", null] } });
  return {
    utc: firstWholeDate("2026-03-29", "UTC"),
    east: firstWholeDate("2026-03-29", "Asia/Kathmandu"),
    west: firstWholeDate("2026-03-29", "America/Los_Angeles"),
    furthestEast: firstWholeDate("2026-03-29", "Pacific/Kiritimati"),
    leap: addDays("2028-02-28", 2),
    yearEnd: addDays("2026-01-01", -1),
    days: frame.days, start: frame.start, kept: frame.kept,
  };
}
"""


def test_dates_that_retention_cuts_are_not_whole(tab: Tab) -> None:
    """East of UTC the first date that is kept is cut; in UTC and west of it, it is whole."""
    assert tab.page.evaluate(DATES) == {
        "utc": "2026-03-29",
        "east": "2026-03-30",
        "west": "2026-03-29",
        "furthestEast": "2026-03-30",
        "leap": "2028-03-01",
        "yearEnd": "2025-12-31",
        "days": 10,
        "start": "2026-02-20",
        "kept": 10,
    }
