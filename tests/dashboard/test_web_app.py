"""What docs/web-app.md shows for a page, in a real browser: same origin, and another one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route

from dashboard.conftest import NORTHWIND
from dashboard.nginx import nginx
from dashboard.platform_page import Platform, platform
from dashboard.serving import NOW, Server, running
from tokens_fixture import COOKIE, SECRET, token
from web_app_page import example, examples

pytestmark = pytest.mark.browser

AT = datetime.fromisoformat(NOW)
SNIPPETS = examples("js")[:5]
RESULTS = ("projectedMonthly", "slow", "fastest", "alert", "scaleUpBefore")
"""What the five come to, in order."""


@pytest.fixture(scope="module")
def both(demo_home: Path) -> Iterator[tuple[Server, Platform, Platform]]:
    """A server over the demo, a platform in front of it, and one of another origin."""
    with (
        platform("http://127.0.0.1:9", host="localhost") as other,
        platform("http://127.0.0.1:9") as sibling,
        running(
            demo_home,
            jwt_secret=SECRET,
            jwt_cookie=COOKIE,
            cors_origins=f"{other.url},{sibling.url}",
        ) as server,
        platform(server.url) as around,
    ):
        SIBLINGS[server.url] = sibling
        yield server, around, other


SIBLINGS: dict[str, Platform] = {}
"""By server: a platform of another origin that is named, on the same host as the server."""


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """An empty tab."""
    context = browser.new_context(timezone_id="Asia/Kathmandu")
    yield context.new_page()
    context.close()


def signed_in(page: Page, where: Platform) -> None:
    """Open the platform with a session of the customer."""
    sent = token(NORTHWIND, now=AT)
    page.context.add_cookies([{"name": COOKIE, "value": sent, "url": where.url, "httpOnly": True}])
    page.goto(where.url)


def evaluated(page: Page, code: str, result: str) -> Any:
    """What an example comes to in the page."""
    return page.evaluate(f"async () => {{ {code}\nreturn {result} }}")


def expected(server: Server) -> dict[str, Any]:
    """What the five come to, worked out from a key's answers."""
    key = server.key(NORTHWIND)
    agents = server.answer("usage/by-agent", key, days=7)
    models = server.answer("usage/by-model", key, days=30)
    rate = server.answer("compliance/summary", key, days=30)["toxic_rate_percent"]
    types = server.answer("feedback/by-agent-type", key, days=30)["agent_types"]
    found = {
        "projectedMonthly": server.answer("usage/summary", key, days=30)["total_tokens"],
        "slow": [each for each in agents if (each["avg_response_time_ms"] or 0) > 3000],
        "fastest": max(models, key=lambda each: each["tokens_per_second"] or 0),
        "alert": rate > 1.0,
        "scaleUpBefore": [
            [each["agent_type_name"], each["rating_degrades_at_load"]] for each in types
        ],
    }
    assert found["slow"] and found["scaleUpBefore"] and found["projectedMonthly"] > 0
    return found


def test_the_five_snippets_run_from_the_same_origin(
    page: Page, both: tuple[Server, Platform, Platform]
) -> None:
    """With the cookie, through the platform's proxy; without it each is refused."""
    server, around, _ = both
    signed_in(page, around)
    found = {
        name: evaluated(page, snippet, name)
        for snippet, name in zip(SNIPPETS, RESULTS, strict=True)
    }
    assert found["projectedMonthly"] == pytest.approx(expected(server)["projectedMonthly"])
    for name in RESULTS[1:]:
        assert found[name] == expected(server)[name], name
    page.context.clear_cookies()
    refused = "(await (await fetch('/api/stats/usage/summary')).json()).error_code"
    assert evaluated(page, "", refused) == "INVALID_API_KEY"


def test_the_block_for_nginx_makes_it_the_same_origin(
    page: Page, both: tuple[Server, Platform, Platform], tmp_path: Path
) -> None:
    """As the page has it, but for the port: the cookie goes through and the answers come back, and
    what is elsewhere is not passed on."""
    server, _, _ = both
    block = example("nginx", "location")
    assert block.count("http://127.0.0.1:8000;") == 1
    with nginx(tmp_path, block.replace("http://127.0.0.1:8000", server.url)) as url:
        signed_in(page, Platform(url))
        for snippet, name in zip(SNIPPETS, RESULTS, strict=True):
            found = evaluated(page, snippet, name)
            is_number = name == "projectedMonthly"
            wanted = expected(server)[name]
            assert found == (pytest.approx(wanted) if is_number else wanted), name
        again = "const first = await fetch('/api/stats/usage/summary?days=30');"
        tag = "{headers: {'If-None-Match': first.headers.get('ETag')}, cache: 'no-store'}"
        asked = f"(await fetch('/api/stats/usage/summary?days=30', {tag})).status"
        assert evaluated(page, again, asked) == 304
        assert evaluated(page, "", "(await fetch('/healthz')).status") == 404


def test_the_five_snippets_run_from_another_origin(
    page: Page, both: tuple[Server, Platform, Platform]
) -> None:
    """With a token, after a preflight; from an origin that is not named the browser refuses."""
    server, around, other = both
    code = (
        f"const statistics = {json.dumps(server.url)};"
        f"const token = async () => {json.dumps(token(NORTHWIND, now=AT))};"
        f"{example('js', 'const ask = ')}"
    )
    methods: list[str] = []
    page.on("request", lambda request: methods.append(request.method))
    page.goto(other.url)
    found = evaluated(page, code, f"{{ {', '.join(RESULTS)} }}")
    assert found["projectedMonthly"] == pytest.approx(expected(server)["projectedMonthly"])
    for name in RESULTS[1:]:
        assert found[name] == expected(server)[name], name
    page.goto(around.url)
    with pytest.raises(Exception, match="Failed to fetch"):
        evaluated(page, code, "1")


def test_a_cookie_works_from_an_origin_that_is_named(
    page: Page, both: tuple[Server, Platform, Platform]
) -> None:
    """With `credentials`; one that is not named reads nothing, though the browser sends it."""
    server, around, _ = both
    sent = token(NORTHWIND, now=AT)
    page.context.add_cookies([{"name": COOKIE, "value": sent, "url": server.url}])
    ask = (
        f"const answer = await fetch('{server.url}/api/stats/usage/summary?days=30',"
        " {credentials: 'include'})"
    )
    page.goto(SIBLINGS[server.url].url)
    assert evaluated(page, ask, "answer.status") == 200
    page.goto(around.url)
    with pytest.raises(Exception, match="Failed to fetch"):
        evaluated(page, ask, "1")


def test_what_may_come_back_is_handled(page: Page, both: tuple[Server, Platform, Platform]) -> None:
    """Waits and asks again after 429 and 503, at once throws what waiting does not mend."""
    server, around, _ = both
    signed_in(page, around)
    answers = [(429, "1"), (503, "0")]

    def busy(route: Route) -> None:
        if not answers:
            route.continue_()
            return
        status, seconds = answers.pop(0)
        route.fulfill(status=status, headers={"Retry-After": seconds}, json={"error": "wait"})

    page.route("**/api/stats/usage/summary*", busy)
    code = example("js", "askPatiently")
    summary = evaluated(page, code, "await askPatiently('/api/stats/usage/summary?days=30')")
    assert summary == server.answer("usage/summary", server.key(NORTHWIND), days=30)
    assert answers == []
    wrong = "await askPatiently('/api/stats/usage/timeline?days=0').catch(error => error.body)"
    assert evaluated(page, code, wrong)["error_code"] == "INVALID_PARAMETER"


def test_pages_of_a_list_are_the_list(page: Page, both: tuple[Server, Platform, Platform]) -> None:
    """Some rows at a time give all of them once, in order."""
    server, around, _ = both
    signed_in(page, around)
    rows = "await Array.fromAsync(rowsOf('/api/stats/usage/by-agent?days=30', 7))"
    if not page.evaluate("'fromAsync' in Array"):
        rows = "await (async () => { const all = []; for await (const row of "
        rows += "rowsOf('/api/stats/usage/by-agent?days=30', 7)) all.push(row); return all })()"
    found = evaluated(page, example("js", "rowsOf"), rows)
    assert found == server.answer("usage/by-agent", server.key(NORTHWIND), days=30)
    assert len(found) > 14


def test_days_are_those_of_whoever_looks(
    page: Page, both: tuple[Server, Platform, Platform]
) -> None:
    """By whichever of its names the browser calls its zone."""
    server, around, _ = both
    signed_in(page, around)
    found = evaluated(page, example("js", "timeZone"), "timeline")
    asked = server.answer("usage/timeline", server.key(NORTHWIND), days=7, tz="Asia/Kathmandu")
    assert found == asked
