"""Every state of the page is one that somebody designed."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Route, expect

from dashboard.browsing import Tab, tab_in
from dashboard.conftest import FREE_CUSTOMER, NORTHWIND, OpenTab
from dashboard.hostile import ONE_DAY, QUIET
from dashboard.serving import DEMO_MADE_AT, Server, running

pytestmark = pytest.mark.browser


def test_without_a_key_it_asks_for_one(open_tab: OpenTab, demo: Server) -> None:
    """Nothing is asked of the API; the field has the focus."""
    tab = open_tab(demo)
    tab.go()
    expect(tab.page.get_by_label("API key")).to_be_focused()
    expect(tab.page.locator("#dashboard")).to_be_hidden()
    assert [url for url in tab.requests if "/api/" in url] == []
    tab.page.press("#key", "Enter")
    expect(tab.page.get_by_role("alert")).to_have_text("Type your API key.")


@pytest.mark.parametrize("key", ["cust_wrong", "cust_" + "x" * 43, "cust_ümlaut", "a b"])
def test_a_wrong_key_is_reported_and_asked_for_again(
    open_tab: OpenTab, demo: Server, key: str
) -> None:
    """Whatever is wrong with it, it is not kept."""
    tab = open_tab(demo)
    tab.refusals_expected = True
    tab.go()
    tab.type_key(key)
    expect(tab.page.locator("#key-problem")).to_contain_text("key")
    expect(tab.page.get_by_label("API key")).to_be_focused()
    expect(tab.page.get_by_label("API key")).to_have_attribute("aria-invalid", "true")
    assert tab.page.evaluate("sessionStorage.length") == 0


def test_a_key_that_stops_working_leads_back_to_the_form(tab: Tab) -> None:
    """The numbers go with it."""
    tab.refusals_expected = True
    tab.page.evaluate("sessionStorage.setItem('agentstats.key', 'cust_revoked')")
    tab.page.reload()
    expect(tab.page.locator("#key-problem")).to_contain_text("not valid")
    assert tab.page.locator("#view").inner_html() == ""


def test_while_it_loads_the_page_says_so(open_tab: OpenTab, demo: Server, key: str) -> None:
    """A first load shows the outline; a later one keeps the old numbers, dimmed."""
    tab = open_tab(demo)
    waiting: list[Route] = []
    holding = True

    def hold(route: Route) -> None:
        if holding:
            waiting.append(route)
        else:
            route.continue_()

    tab.page.route("**/api/**", hold)
    tab.go()
    tab.type_key(key)
    expect(tab.page.locator("[data-state=loading]")).to_be_visible()
    expect(tab.page.locator("#view")).to_have_attribute("aria-busy", "true")
    holding = False
    waiting.pop().continue_()
    tab.wait()
    before = tab.card("total_messages")
    holding = True
    tab.page.get_by_role("radio", name="30 days").check()
    expect(tab.page.locator("#view")).to_have_attribute("aria-busy", "true")
    assert tab.card("total_messages") == before
    holding = False
    waiting.pop().continue_()
    tab.wait()
    assert tab.card("total_messages") != before


def test_without_data_every_panel_says_what_is_missing(open_tab: OpenTab, odd: Server) -> None:
    """Counts are 0, averages a dash, changes n/a; no chart of nothing is drawn."""
    tab = open_tab(odd).open(odd.key(QUIET))
    assert tab.card("total_messages") == "0"
    assert tab.card("avg_response_time_ms") == "–"
    assert tab.change("total_messages") == "n/a there was never any data"
    for name in ("Usage", "Cost", "Compliance", "Feedback", "Agent types"):
        tab.choose_tab(name)
        assert tab.page.locator("canvas").count() == 0
        for panel in tab.page.locator(".panel").all():
            expect(panel.locator(".nothing")).to_contain_text(re.compile("(No|Nothing) "))
            expect(panel.locator(".subtitle")).to_contain_text("UTC")


def test_one_day_of_data_is_a_day_not_a_trend(open_tab: OpenTab, odd: Server) -> None:
    """It is said which day it is; its bar is there; the change is n/a."""
    tab = open_tab(odd).open(odd.key(ONE_DAY))
    expect(tab.notice("one-day")).to_contain_text("Mar 10, 2026")
    assert tab.drawn("volume") == [[0, 0, 0, 0, 0, 0, 7]]
    assert tab.change("total_messages") == "n/a data begins Mar 10, 2026"


def test_data_as_of_is_always_shown(open_tab: OpenTab, demo: Server, key: str) -> None:
    """With its zone and its age, on every tab."""
    tab = open_tab(demo, zone="Asia/Kathmandu").open(key)
    for name in ("Usage", "Cost", "Compliance", "Feedback", "Agent types"):
        tab.choose_tab(name)
        expect(tab.page.locator("#freshness")).to_contain_text("Nov 20, 2026, 8:45")
        expect(tab.page.locator("#freshness")).to_contain_text("Asia/Kathmandu · 20 minutes ago")
    stamp = tab.page.locator("#freshness time").get_attribute("datetime")
    assert stamp is not None and stamp.startswith(DEMO_MADE_AT[:16])
    assert tab.notice("stale").count() == 0


def test_stale_data_is_called_stale(open_tab: OpenTab, demo: Server, key: str) -> None:
    """Five hours after the newest load there is a warning, with the time of that load."""
    tab = open_tab(demo, now="2026-11-20T20:00:00Z").open(key)
    expect(tab.notice("stale")).to_contain_text("5 hours ago")
    expect(tab.notice("stale")).to_contain_text("Nov 20, 2026, 3:00")


def test_a_period_beyond_retention_is_cut_and_says_so(open_tab: OpenTab, demo: Server) -> None:
    """With 7 days kept, 30 days show the 8 dates that are whole in UTC, 7 east of it."""
    key = demo.key(FREE_CUSTOMER)
    tab = open_tab(demo).open(key, days=30)
    expect(tab.notice("cut")).to_contain_text("This shows 8 days, not 30.")
    expect(tab.notice("cut")).to_contain_text("Nov 13, 2026 (UTC)")
    assert len(tab.drawn("volume")[0]) == 8
    assert sum(value or 0 for value in tab.drawn("volume")[0]) == int(tab.card("total_messages"))
    assert tab.card("total_messages") == str(
        demo.answer("usage/summary", key, days=30)["total_messages"]
    )
    assert tab.change("total_messages").startswith("n/a")
    tab.choose_zone("Asia/Kathmandu")
    expect(tab.notice("cut")).to_contain_text("This shows 7 days, not 30.")
    tab.choose_period(7)
    assert tab.notice("cut").count() == 0


def test_periods_beyond_retention_cannot_be_chosen_and_say_why(
    open_tab: OpenTab, demo: Server
) -> None:
    """With 7 days kept there is one; with 730 there are all, and nothing to say."""
    tab = open_tab(demo).open(demo.key(FREE_CUSTOMER))
    expect(tab.page.get_by_role("radio", name="7 days")).to_be_enabled()
    for days in (30, 90):
        expect(tab.page.get_by_role("radio", name=f"{days} days")).to_be_disabled()
    why = "30 and 90 days are not kept: yours are from Nov 13, 2026 on."
    expect(tab.page.locator("#periods-why")).to_have_text(why)
    tab.page.get_by_role("button", name="Forget key").click()
    tab.type_key(demo.key(NORTHWIND))
    tab.wait()
    expect(tab.page.get_by_role("radio", name="90 days")).to_be_enabled()
    expect(tab.page.locator("#periods-why")).to_be_empty()


def test_an_open_page_is_left_alone_until_there_is_newer_data(
    browser: Browser, demo: Server, key: str
) -> None:
    """Sort, scroll, tables and focus stay when it looks again; a newer snapshot is shown."""
    with tab_in(browser, demo, is_clock_fixed=False) as tab:
        tab.page.clock.install(time=demo.now)
        tab.open(key)
        tab.table("agents")
        heading = tab.panel("agents").get_by_role("button", name="Messages")
        heading.click()
        tab.page.evaluate("document.querySelector('#panel-agents .table-frame').scrollTop = 99")
        first = tab.table("agents")[0]
        look_again(tab)
        expect(tab.page.locator("#freshness")).to_contain_text("30 minutes ago")
        assert [url.split("/")[-1].split("?")[0] for url in tab.requests] == ["timeline"]
        assert tab.table("agents")[0] == first
        expect(heading).to_be_focused()
        frame = tab.panel("agents").locator(".table-frame")
        assert frame.evaluate("each => each.scrollTop") == 99

        def with_newer(route: Route) -> None:
            answer = route.fetch()
            route.fulfill(response=answer, headers={**answer.headers, "x-snapshot-id": "newer"})

        tab.page.route("**/api/**", with_newer)
        look_again(tab)
        deadline = time.monotonic() + 10
        while len(tab.requests) < 4:
            assert time.monotonic() < deadline, tab.requests
            tab.page.wait_for_timeout(50)
        assert tab.notice("error").count() == 0


def look_again(tab: Tab) -> None:
    """Let the page's time pass until it asks for newer data, and give it time for the answer."""
    tab.requests.clear()
    while not tab.requests:
        tab.page.clock.run_for(30_000)
        tab.page.wait_for_timeout(50)
    tab.page.wait_for_timeout(1000)


def test_a_printed_page_has_every_row(tab: Tab) -> None:
    """On paper no table stops at what fits a screen, colours are those of paper, and come back."""
    tab.choose_period(30)
    rows = len(tab.table("agents"))
    assert rows == 40
    tab.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    tab.page.emulate_media(media="print", color_scheme="dark")
    frame = tab.panel("agents").locator(".table-frame")
    shown, whole = frame.evaluate("each => [each.clientHeight, each.scrollHeight]")
    assert shown == whole
    last = tab.panel("agents").locator("tbody tr").last.bounding_box()
    total = tab.panel("agents").locator("tfoot tr").bounding_box()
    panel = tab.panel("agents").bounding_box()
    assert last is not None and total is not None and panel is not None
    assert last["y"] + last["height"] <= total["y"] + 1
    assert total["y"] + total["height"] <= panel["y"] + panel["height"]
    expect(tab.page.locator(".controls")).to_be_hidden()
    expect(tab.page.locator("#session")).to_be_hidden()
    white = "rgb(255, 255, 255)"
    expect(tab.panel("agents")).to_have_css("background-color", white)
    assert tab.page.locator("body").evaluate("each => each.clientWidth") == 720
    tab.page.emulate_media(media="screen", color_scheme="dark")
    tab.page.evaluate("dispatchEvent(new Event('afterprint'))")
    expect(tab.panel("agents")).not_to_have_css("background-color", white)


def test_too_many_requests_wait_and_come_back(open_tab: OpenTab, demo: Server, key: str) -> None:
    """It counts down to when the server lets it in again, then loads by itself."""
    tab = open_tab(demo)
    tab.refusals_expected = True
    refusals = iter(range(1))

    def refuse_once(route: Route) -> None:
        if next(refusals, None) is None:
            route.continue_()
        else:
            body = {"error": "Too many.", "error_code": "RATE_LIMIT_EXCEEDED", "details": {}}
            route.fulfill(status=429, headers={"Retry-After": "2"}, body=json.dumps(body))

    tab.page.route("**/api/**", refuse_once)
    tab.go()
    tab.type_key(key)
    expect(tab.notice("rate-limited")).to_contain_text("Trying again in 2 seconds.")
    expect(tab.notice("rate-limited").get_by_role("button")).to_have_text("Retry now")
    tab.wait()
    assert tab.notice("rate-limited").count() == 0


def test_the_server_s_own_limit_is_shown(browser: Browser, demo_home: Path) -> None:
    """With 3 requests a minute, a page that needs 4 shows what it has and says when to go on."""
    with (
        running(demo_home, rate_limit=3) as server,
        tab_in(browser, server) as tab,
    ):
        tab.refusals_expected = True
        tab.go()
        tab.type_key(server.key(NORTHWIND))
        expect(tab.notice("rate-limited")).to_contain_text(re.compile(r"again in \d+ seconds"))
        expect(tab.panel("volume").locator("canvas")).to_be_visible()


def test_an_error_shows_its_request_id_and_a_way_on(
    open_tab: OpenTab, demo: Server, key: str
) -> None:
    """Retry loads what failed; what did not fail is shown all along."""
    tab = open_tab(demo)
    tab.refusals_expected = True
    body = {"error": "Something went wrong.", "error_code": "INTERNAL_ERROR", "details": {}}
    tab.page.route(
        "**/usage/by-model**",
        lambda route: route.fulfill(
            status=500, headers={"X-Request-ID": "abc123"}, body=json.dumps(body)
        ),
    )
    tab.open(key)
    expect(tab.notice("error")).to_contain_text("Request ID: abc123")
    expect(tab.panel("models")).to_contain_text("Not loaded.")
    expect(tab.panel("agents").locator("canvas")).to_be_visible()
    tab.page.unroute("**/usage/by-model**")
    tab.page.get_by_role("button", name="Retry").click()
    tab.wait()
    assert tab.notice("error").count() == 0
    expect(tab.panel("models").locator("canvas")).to_be_visible()


def test_a_server_that_cannot_be_reached_is_reported(tab: Tab) -> None:
    """A choice that cannot be loaded shows no numbers of another choice; Retry brings them."""
    tab.refusals_expected = True
    tab.page.context.set_offline(True)
    tab.page.get_by_role("radio", name="30 days").check()
    expect(tab.notice("error")).to_contain_text("cannot be reached")
    assert tab.page.locator(".card").count() == 0
    tab.page.context.set_offline(False)
    tab.page.get_by_role("button", name="Retry").click()
    tab.wait()
    assert tab.page.locator(".card").count() == 5


def test_before_the_first_snapshot_it_says_so(browser: Browser, tmp_path: Path) -> None:
    """An installation without data has nothing to show yet, and the page looks again."""
    with running(tmp_path) as server, tab_in(browser, server) as tab:
        tab.refusals_expected = True
        tab.go()
        tab.type_key(server.key(1))
        expect(tab.notice("not-ready")).to_contain_text("No data has been published yet.")
        expect(tab.notice("not-ready")).to_contain_text("Trying again in")


def test_answers_of_two_snapshots_are_never_mixed(tab: Tab) -> None:
    """If a snapshot is published while a page loads, all of it is loaded again."""
    asked = []

    def publish_between(route: Route) -> None:
        asked.append(route.request.url)
        answer = route.fetch()
        newer = len(asked) > 2
        headers = {**answer.headers, "x-snapshot-id": "newer" if newer else "older"}
        route.fulfill(response=answer, headers=headers)

    tab.page.route("**/api/**", publish_between)
    tab.page.get_by_role("button", name="Refresh").click()
    tab.wait()
    assert len([url for url in asked if "timeline" in url]) == 2
    assert len(asked) == 8


def test_a_drop_at_load_is_marked_where_the_api_says_so(
    open_tab: OpenTab, demo: Server, key: str
) -> None:
    """A number is shown with the load, null as no credible drop."""
    tab = open_tab(demo)
    drops = [6, 3, None]

    def with_drops(route: Route) -> None:
        answer = route.fetch()
        body = answer.json()
        for place, each in enumerate(body["agent_types"]):
            # The comparison has it beside the ratings.
            each.get("satisfaction", each)["rating_degrades_at_load"] = drops[place % 3]
        route.fulfill(response=answer, json=body)

    tab.page.route("**/feedback/by-agent-type**", with_drops)
    tab.page.route("**/agent-types/comparison**", with_drops)
    tab.open(key, days=30, tab="feedback")
    expect(tab.panel("load").locator(".legend")).to_contain_text("ratings drop from here")
    summary = tab.panel("load").locator("canvas").get_attribute("aria-label") or ""
    assert "ratings drop: at 6+ instances" in summary
    expected = ["at 6+ instances", "at 3+ instances", "no credible drop"]
    assert [row["Ratings Drop"] for row in tab.table("load")][:3] == expected
    assert "rating_degrades_at_load" in tab.download("load")[1]
    tab.choose_tab("Agent types")
    assert [row["Ratings Drop"] for row in tab.table("comparison")][:3] == expected


def test_no_drop_is_shown_where_the_api_says_nothing(
    open_tab: OpenTab, demo: Server, key: str
) -> None:
    """An API without the field has no column for it."""
    tab = open_tab(demo)

    def without_drops(route: Route) -> None:
        answer = route.fetch()
        body = answer.json()
        for each in body["agent_types"]:
            each.pop("rating_degrades_at_load", None)
        route.fulfill(response=answer, json=body)

    tab.page.route("**/feedback/by-agent-type**", without_drops)
    tab.open(key, days=30, tab="feedback")
    assert "drop" not in tab.panel("load").inner_text()
    assert "Ratings Drop" not in tab.table("load")[0]
