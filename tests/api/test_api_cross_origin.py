"""Pages of other origins: what they may read, and what they may put into a frame."""

from pathlib import Path

import pytest

from api import pages
from service_fixture import Service, StartService
from snapshot_fixture import ACME, publish, sample

SUMMARY = "/api/stats/usage/summary"
APP, OTHER = "https://app.example.com", "https://other.example.com"
PREFLIGHT = {
    "Access-Control-Request-Method": "GET",
    "Access-Control-Request-Headers": "authorization",
}
STRANGERS = (
    OTHER,
    "null",
    "https://app.example.com.evil.example",
    "https://evil-app.example.com",
    "http://app.example.com",
    "https://app.example.com:8443",
    "https://APP.example.com",
    "https://app.example.com/",
    f"{APP}, {OTHER}",
    "*",
    "",
)


@pytest.fixture
def opened(start: StartService, tmp_path: Path) -> Service:
    """An app that two origins may read and one may embed."""
    publish(tmp_path, sample())
    return start(cors_origins=f"{APP}, http://localhost:3000", frame_ancestors=APP)


def opens(answer_headers: object) -> dict[str, str]:
    """Those of the headers that let a page of another origin in."""
    return {
        name: value
        for name, value in dict(answer_headers).items()  # type: ignore[call-overload]
        if name.startswith("access-control-")
    }


def test_nothing_is_opened_by_default(service: Service) -> None:
    """No header lets another origin in; a preflight is refused as any method but GET is."""
    for origin in (APP, "null", "http://localhost:3000"):
        answer = service.get(SUMMARY, headers={"Origin": origin})
        assert answer.status_code == 200
        assert opens(answer.headers) == {}
        preflight = service.client.options(SUMMARY, headers={"Origin": origin, **PREFLIGHT})
        assert preflight.status_code == 405
        assert opens(preflight.headers) == {}
    page = service.client.get("/?embed=1")
    assert page.headers["X-Frame-Options"] == "DENY"
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]


def test_an_allowed_origin_reads_every_kind_of_answer(opened: Service) -> None:
    """Answers from memory, 304, 401, 404, 414, 422 and 405, with credentials and by its name."""
    key = {"X-API-Key": opened.key(ACME)}
    tag = opened.client.get(SUMMARY, headers=key).headers["ETag"]
    for origin in (APP, "http://localhost:3000"):
        for path, headers, status in (
            (SUMMARY, key, 200),
            (SUMMARY, key | {"If-None-Match": tag}, 304),
            (SUMMARY, {}, 401),
            (f"{SUMMARY}?days=0", key, 422),
            (f"{SUMMARY}?{'x' * 5000}", key, 414),
            ("/api/stats/nothing", key, 404),
        ):
            answer = opened.client.get(path, headers={**headers, "Origin": origin})
            assert answer.status_code == status
            assert answer.headers["Access-Control-Allow-Origin"] == origin
            assert answer.headers["Access-Control-Allow-Credentials"] == "true"
            assert "Origin" in answer.headers["Vary"]
            exposed = answer.headers["Access-Control-Expose-Headers"].split(", ")
            for name in answer.headers:
                own = name.startswith("x-") and name not in (
                    "x-content-type-options",
                    "x-frame-options",
                )
                assert not own or name in [each.lower() for each in exposed], name
        assert opened.client.post(SUMMARY, headers={"Origin": origin}).status_code == 405


def test_a_preflight_of_an_allowed_origin_is_answered_without_a_key(opened: Service) -> None:
    """With the methods and headers there are, for ten minutes; it counts for no rate limit."""
    answer = opened.client.options(SUMMARY, headers={"Origin": APP, **PREFLIGHT})
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["Access-Control-Allow-Origin"] == APP
    assert answer.headers["Access-Control-Allow-Methods"] == "GET"
    allowed = answer.headers["Access-Control-Allow-Headers"].lower().split(", ")
    assert {"x-api-key", "authorization", "if-none-match"} <= set(allowed)
    assert answer.headers["Access-Control-Max-Age"] == "600"
    assert "Origin" in answer.headers["Vary"]
    assert "X-RateLimit-Limit" not in answer.headers
    # OPTIONS that is no preflight is a method like any other.
    assert opened.client.options(SUMMARY, headers={"Origin": APP}).status_code == 405


@pytest.mark.parametrize("origin", STRANGERS)
def test_a_stranger_reads_nothing(opened: Service, origin: str) -> None:
    """Names that look like an allowed one, parts of it, lists and wildcards are not allowed."""
    answer = opened.get(SUMMARY, headers={"Origin": origin})
    assert answer.status_code == 200
    assert opens(answer.headers) == {}
    preflight = opened.client.options(SUMMARY, headers={"Origin": origin, **PREFLIGHT})
    assert (preflight.status_code, opens(preflight.headers)) == (405, {})


def test_only_the_api_is_read_and_only_the_dashboard_is_framed(opened: Service) -> None:
    """Measurements, pages and files are not opened; the API's answers stay out of frames."""
    for path in ("/", "/docs", "/metrics", "/healthz", "/openapi.json", "/dashboard/main.js"):
        assert opens(opened.client.get(path, headers={"Origin": APP}).headers) == {}, path
    for path in ("/", "/?embed=1&days=30"):
        page = opened.client.get(path)
        assert "X-Frame-Options" not in page.headers
        policy = page.headers["Content-Security-Policy"]
        assert f"frame-ancestors {APP};" in policy
        assert "script-src 'self';" in policy
    for path in ("/docs", SUMMARY, "/dashboard/main.js", "/nothing"):
        answer = opened.client.get(path)
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    "wrong",
    [
        "*", "https://*", "https://*.example.com", "app.example.com", "https://", "null", "'self'",
        "https://app.example.com/", "https://app.example.com/app", "ftp://app.example.com",
        "https://user@app.example.com", "https://app.example.com https://a;b", "https://a\tb",
        "https://app.example.com, *", "https://app.example.com:", "https://-", "https://a'b",
    ],
)  # fmt: skip
def test_what_is_no_origin_is_an_error_of_the_settings(start: StartService, wrong: str) -> None:
    """Most of all a wildcard: an answer to a cookie would be for all the web."""
    for name in ("cors_origins", "frame_ancestors"):
        with pytest.raises(ValueError, match=name):
            start(**{name: wrong})


def test_origins_are_compared_as_browsers_send_them(start: StartService, tmp_path: Path) -> None:
    """Capital letters and the port that a scheme has anyway make no difference."""
    publish(tmp_path, sample())
    service = start(
        cors_origins="HTTPS://App.Example.com:443 http://a.example:80,http://[::1]:3000"
    )
    for origin in (APP, "http://a.example", "http://[::1]:3000"):
        answer = service.get(SUMMARY, headers={"Origin": origin})
        assert answer.headers["Access-Control-Allow-Origin"] == origin


def test_the_dashboard_has_the_platforms_title_logo_and_theme(
    start: StartService, tmp_path: Path
) -> None:
    """As text, never as markup, in the page; its files are served, and revalidated."""
    logo, theme = tmp_path / "logo.svg", tmp_path / "theme.css"
    logo.write_text('<svg xmlns="http://www.w3.org/2000/svg"/>')
    theme.write_text(":root { --accent: #c2185b }")
    title = '<b>"Agents" & more</b>'
    service = start(
        dashboard_title=title,
        dashboard_logo=logo,
        dashboard_theme=theme,
        jwt_secret="x" * 32,
        jwt_cookie="session",
        frame_ancestors=APP,
    )
    page = service.client.get("/")
    shown = "&lt;b&gt;&quot;Agents&quot; &amp; more&lt;/b&gt;"
    assert title not in page.text
    assert f"<title>{shown}</title>" in page.text
    assert f'data-title="{shown}" data-cookie data-parents="{APP}"' in page.text
    for name, content, kind in (
        ("logo", logo.read_bytes(), "image/svg+xml"),
        ("theme.css", theme.read_bytes(), "text/css; charset=utf-8"),
    ):
        assert f"dashboard/own/{name}" in page.text
        answer = service.client.get(f"/dashboard/own/{name}")
        assert (answer.content, answer.headers["Content-Type"]) == (content, kind)
        assert answer.headers["Cache-Control"] == "no-cache"
    again = service.client.get("/", headers={"If-None-Match": page.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_a_cookies_name_alone_opens_no_page(start: StartService) -> None:
    """Where no token is taken, the dashboard is not to try what the cookie opens."""
    assert "data-cookie" not in start(jwt_cookie="session").client.get("/").text


def test_files_that_are_not_there_are_an_error_of_the_settings(
    start: StartService, tmp_path: Path
) -> None:
    """And so is a file of another kind, which would be served to everybody."""
    (tmp_path / "keys.db").write_text("")
    for wrong in (
        {"dashboard_logo": tmp_path / "logo.svg"},
        {"dashboard_logo": tmp_path / "keys.db"},
        {"dashboard_theme": tmp_path / "theme.css"},
        {"dashboard_theme": tmp_path},
        {"dashboard_title": ""},
    ):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            start(**wrong)


def test_a_page_without_the_places_for_it_is_noticed(start: StartService) -> None:
    """A change of the page that would lose the title stops the server, not the title."""
    settings = start(dashboard_title="Agents").settings
    with pytest.raises(ValueError, match="not one"):
        pages.dashboard_page("<html></html>", settings)
