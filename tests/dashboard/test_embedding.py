"""The dashboard in a page of another origin, and with the platform's cookie."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from dashboard.browsing import FOLDER
from dashboard.conftest import NORTHWIND, OpenTab
from dashboard.platform_page import LOGO, THEME, TITLE, Platform, embed, platform
from dashboard.serving import NOW, Server, running
from tokens_fixture import COOKIE, SECRET, token

pytestmark = pytest.mark.browser

AXE = (FOLDER / "vendor" / "axe-core-4.14.1" / "axe.min.js").read_text(encoding="utf-8")
AT = datetime.fromisoformat(NOW)


def token_of(customer_id: int = NORTHWIND, **given: Any) -> str:
    """A token of the platform at the time of the servers."""
    return token(customer_id, now=AT, **given)


@pytest.fixture(scope="module")
def themed(demo_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server over the demo that a platform may embed; which one is written before it starts."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "theme.css").write_text(THEME)
    (folder / "logo.svg").write_text(LOGO)
    with (
        platform("http://127.0.0.1:9") as allowed,
        running(
            demo_home,
            jwt_secret=SECRET,
            jwt_cookie=COOKIE,
            frame_ancestors=allowed.url,
            dashboard_title=TITLE,
            dashboard_logo=folder / "logo.svg",
            dashboard_theme=folder / "theme.css",
        ) as server,
    ):
        PLATFORMS[server.url] = allowed
        yield server


PLATFORMS: dict[str, Platform] = {}
"""The platform that may embed each server."""


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """An empty tab, whose clock is that of the servers."""
    context = browser.new_context(timezone_id="UTC", locale="en-US", reduced_motion="reduce")
    context.set_default_timeout(10_000)
    page = context.new_page()
    page.clock.set_fixed_time(NOW)
    yield page
    context.close()


def messages(server: Server, sent: str) -> str:
    """What the first card has to say to whoever has this token."""
    response = server.response_with({"Authorization": f"Bearer {sent}"}, "usage/summary")
    return f"{response.json()['total_messages']:,}"


def agents(server: Server) -> list[int]:
    """The customer's agents, most tokens first."""
    sent = {"Authorization": f"Bearer {token_of()}"}
    return [row["agent_id"] for row in server.response_with(sent, "usage/by-agent").json()]


def card_of(frame: Any) -> Any:
    """The first card."""
    return frame.locator('[data-metric="total_messages"] .value')


def test_it_works_in_a_page_of_an_allowed_origin(page: Page, themed: Server) -> None:
    """With a token by message: no header, no footer, the customer's numbers; and the token is in no
    address and no storage."""
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    sent = token_of()
    frame = embed(page, PLATFORMS[themed.url], themed, sent, query="&tz=UTC")
    expect(card_of(frame)).to_have_text(messages(themed, sent))
    for part in (".top", ".foot", "#sign-in", "#waiting"):
        expect(frame.locator(part)).to_be_hidden()
    expect(frame.locator("h1.unseen")).to_have_text(TITLE)
    inside = next(each for each in page.frames if each.url.startswith(themed.url))
    assert inside.evaluate("[sessionStorage.length, localStorage.length]") == [0, 0]
    assert inside.evaluate("document.cookie") == ""
    assert "embed=1" in inside.url and sent not in inside.url
    assert not [url for url in requests if sent in url]
    # A choice adds nothing to the history that the pages share.
    length = page.evaluate("history.length")
    frame.get_by_role("radio", name="30 days").check()
    expect(frame.locator("#view:not([aria-busy]) .range")).to_contain_text("30 days")
    assert page.evaluate("history.length") == length


def test_a_token_by_fragment_leaves_the_address(page: Page, themed: Server) -> None:
    """It is in no request, and the numbers are those of its agents alone."""
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    narrow = token_of(agent_ids=agents(themed)[:2])
    frame = embed(page, PLATFORMS[themed.url], themed, query="&tz=UTC", fragment=f"#token={narrow}")
    expect(card_of(frame)).to_have_text(messages(themed, narrow))
    assert messages(themed, narrow) != messages(themed, token_of())
    inside = next(each for each in page.frames if each.url.startswith(themed.url))
    assert "#" not in inside.evaluate("location.href")
    sent_on = [url.partition("#")[0] for url in requests]
    assert not [url for url in sent_on if narrow in url]


def test_a_token_that_ended_is_asked_for_again(page: Page, themed: Server) -> None:
    """The page around it is asked, once for each token that was refused; no key form comes up."""
    ended, right = token_of(seconds=-120), token_of()
    where = PLATFORMS[themed.url]
    frame = embed(page, where, themed, ended, ended, query="&tz=UTC")
    expect(frame.locator("#waiting")).to_be_visible()
    page.wait_for_function("wanted.length === 2")
    expect(frame.locator("#sign-in")).to_be_hidden()
    page.evaluate(
        "([token, to]) => frame.contentWindow.postMessage({type: 'agentstats.token', token}, to)",
        [right, themed.url],
    )
    expect(card_of(frame)).to_have_text(messages(themed, right))
    assert page.evaluate("wanted.length") == 2


def test_tabs_outside_the_scope_are_not_shown(page: Page, themed: Server) -> None:
    """Not to the eye and not to the keys; an address that names one shows the first that is; and
    nothing is asked that the token does not open."""
    refused: list[str] = []
    page.on(
        "response",
        lambda answer: refused.append(answer.url) if answer.status == 403 else None,
    )
    some = token_of(scope="usage feedback metrics")
    frame = embed(page, PLATFORMS[themed.url], themed, some, query="&tz=UTC&tab=compliance")
    expect(frame.locator("#view:not([aria-busy]) h2")).to_have_text("Usage")
    expect(frame.get_by_role("tab")).to_have_text(["Usage", "Feedback"])
    inside = next(each for each in page.frames if each.url.startswith(themed.url))
    assert "compliance" not in inside.evaluate("location.search")
    frame.get_by_role("tab", name="Usage").press("ArrowRight")
    expect(frame.locator("#view:not([aria-busy]) h2")).to_have_text("Feedback")
    frame.get_by_role("tab", name="Feedback").press("ArrowRight")
    expect(frame.get_by_role("tab", name="Usage")).to_be_focused()
    assert refused == []
    # The next tokens open nothing that has the dates, and all.
    page.evaluate(
        "([token, to]) => frame.contentWindow.postMessage({type: 'agentstats.token', token}, to)",
        [token_of(scope="feedback"), themed.url],
    )
    expect(frame.locator("[data-notice=error]")).to_contain_text("scope does not have usage")
    expect(frame.get_by_role("tab")).to_have_count(0)
    page.evaluate(
        "([token, to]) => frame.contentWindow.postMessage({type: 'agentstats.token', token}, to)",
        [token_of(), themed.url],
    )
    expect(frame.get_by_role("tab")).to_have_count(5)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_page_of_another_origin_may_not_embed_it(page: Page, themed: Server, host: str) -> None:
    """The browser shows nothing of it, with a token and without; the same where none is allowed."""
    refusals: list[str] = []
    page.on("console", lambda line: refusals.append(line.text))
    with platform(themed.url, host=host) as stranger:
        embed(page, stranger, themed, token_of(), fragment=f"#token={token_of()}")
        page.wait_for_timeout(1500)
        shown = [each.url for each in page.frames if each.url.startswith(themed.url)]
        assert shown == []
        assert any("frame-ancestors" in text for text in refusals)


def test_a_message_of_a_stranger_is_not_listened_to(page: Page, themed: Server) -> None:
    """A window that opened the dashboard, or the dashboard itself, cannot hand it a token."""
    page.goto(f"{themed.url}/?embed=1&tz=UTC")
    expect(page.locator("#waiting")).to_be_visible()
    page.evaluate("token => window.postMessage({type: 'agentstats.token', token}, '*')", token_of())
    page.wait_for_timeout(500)
    expect(page.locator("#waiting")).to_be_visible()
    # Nor does a token in the query do anything.
    page.goto(f"{themed.url}/?embed=1&token={token_of()}")
    expect(page.locator("#waiting")).to_be_visible()


def test_axe_finds_nothing_in_the_embedded_page(page: Page, themed: Server) -> None:
    """Nothing at all, on every tab, waiting and with numbers, in light and in dark."""
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        frame = embed(page, PLATFORMS[themed.url], themed, query="&tz=UTC")
        expect(frame.locator("#waiting")).to_be_visible()
        inside = next(each for each in page.frames if each.url.startswith(themed.url))

        def findings(inside: Any = inside) -> list[str]:
            inside.evaluate(AXE)
            found = inside.evaluate("axe.run(document, {resultTypes: ['violations']})")
            return [
                f"{each['id']}: {node['target']}"
                for each in found["violations"]
                for node in each["nodes"]
            ]

        assert findings() == []
        page.evaluate(
            "([token, to]) => frame.contentWindow.postMessage("
            "{type: 'agentstats.token', token}, to)",
            [token_of(), themed.url],
        )
        for name in ("Usage", "Cost", "Compliance", "Feedback", "Agent types"):
            frame.get_by_role("tab", name=name).click()
            expect(frame.locator("#view:not([aria-busy]) h2")).to_have_text(name)
            page.wait_for_timeout(300)
            assert findings() == [], (scheme, name)


def test_the_platforms_theme_title_and_logo_are_seen(page: Page, themed: Server) -> None:
    """Its colours are on the page and in the charts; the logo is loaded."""
    page.context.add_cookies([{"name": COOKIE, "value": token_of(), "url": themed.url}])
    page.emulate_media(color_scheme="light")
    page.goto(f"{themed.url}/?tz=UTC")
    expect(page.locator('[data-metric="total_messages"] .value')).to_be_visible()
    expect(page.locator("h1")).to_have_text(TITLE)
    assert page.title() == f"Usage · {TITLE}"
    assert page.evaluate("document.querySelector('.brand-logo').naturalWidth") > 0
    colour = "getComputedStyle(document.documentElement).getPropertyValue('--accent').trim()"
    assert page.evaluate(colour) == "#b3005e"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 247, 251)"
    page.wait_for_timeout(500)
    chart = "Chart.getChart(document.querySelector('#panel-models canvas')).data.datasets[0]"
    assert "b3005e" in str(page.evaluate(f"{chart}.backgroundColor[0]"))


def test_the_platforms_cookie_needs_no_key(page: Page, themed: Server) -> None:
    """The page opens with the cookie's numbers; without one the form asks for a key; and when the
    session has ended nothing of it stays."""
    page.goto(f"{themed.url}/?tz=UTC")
    expect(page.locator("#sign-in")).to_be_visible()
    expect(page.locator("#key-problem")).to_have_text("")
    narrow = token_of(agent_ids=agents(themed)[:1])
    cookie = {"name": COOKIE, "value": narrow, "url": themed.url, "httpOnly": True}
    page.context.add_cookies([cookie])  # type: ignore[list-item]
    page.reload()
    card = page.locator('[data-metric="total_messages"] .value')
    expect(card).to_have_text(messages(themed, narrow))
    expect(page.locator("#forget")).to_be_hidden()
    page.context.clear_cookies()
    page.get_by_role("button", name="Refresh").click()
    expect(page.locator("#key-problem")).to_contain_text("session has ended")
    expect(card).to_have_count(0)
    # A key that is typed is what counts, whatever the cookie says.
    page.context.add_cookies([cookie])  # type: ignore[list-item]
    page.fill("#key", themed.key(NORTHWIND))
    page.press("#key", "Enter")
    expect(card).to_have_text(messages(themed, token_of()))
    expect(page.locator("#forget")).to_be_visible()


def test_nothing_changes_where_nothing_is_set_up(open_tab: OpenTab, demo: Server) -> None:
    """Without a cookie's name no request is made before there is a key."""
    tab = open_tab(demo)
    tab.go()
    expect(tab.page.locator("#sign-in")).to_be_visible()
    assert not [url for url in tab.requests if "/api/" in url]
