"""Headers, pages that are not statistics, the request log."""

import hashlib
import re
from pathlib import Path

import pytest

from api import pages
from recount.answers import ENDPOINTS
from service_fixture import Service, StartService
from snapshot_fixture import ACME, BOREAL, NOW, publish, sample

SUMMARY = "/api/stats/usage/summary"


def test_every_answer_says_where_it_comes_from(service: Service) -> None:
    """Snapshot, freshness, coverage and caching are in the headers."""
    headers = service.get(SUMMARY).headers
    assert headers["X-Snapshot-Id"] == "20260310T110500Z-00000001"
    assert headers["X-Data-As-Of"] == "2026-03-10T11:00:00Z"
    assert headers["X-Covered-From"] == "2025-12-10"
    assert headers["Cache-Control"] == "private, no-cache"
    assert headers["Vary"] == "X-API-Key, Authorization, Cookie, Origin, Accept-Encoding"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert "default-src 'self'" in headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("query", "tz", "first", "last"),
    [
        ("days=7", "UTC", "2026-03-04", "2026-03-10"),
        ("days=7&tz=Asia/Kathmandu", "Asia/Kathmandu", "2026-03-04", "2026-03-10"),
        # It is 02:00 of the next date there.
        ("days=1&tz=Pacific/Kiritimati", "Pacific/Kiritimati", "2026-03-11", "2026-03-11"),
        ("days=2&end=2024-03-01", "UTC", "2024-02-29", "2024-03-01"),
        ("start=2026-02-28&tz=Europe/Paris", "Europe/Paris", "2026-02-28", "2026-03-10"),
        # Nothing is kept from before 2025-12-10.
        ("start=2025-12-01&end=2025-12-11", "UTC", "2025-12-01", "2025-12-11"),
    ],
)
def test_every_answer_about_a_period_says_which_dates_it_is_of(
    service: Service, query: str, tz: str, first: str, last: str
) -> None:
    """Made anew, from memory, as 304 and in another spelling, on each endpoint with a period."""
    for path in (*ENDPOINTS, "/api/stats/usage/latency", "/api/stats/data-quality"):
        asked = f"{path}?{query}"
        made = service.get(asked)
        has = {"If-None-Match": made.headers["ETag"]}
        answers = {
            200: [made, service.get(asked), service.get(asked, BOREAL), service.get(f"{asked}&")],
            304: [service.get(asked, headers=has), service.get(f"{asked}&&", headers=has)],
        }
        for status, of_status in answers.items():
            for answer in of_status:
                assert answer.status_code == status
                assert answer.headers["X-Time-Zone"] == tz
                assert answer.headers["X-Period-Start"] == first
                assert answer.headers["X-Period-End"] == last


def test_what_is_about_no_period_names_none(service: Service) -> None:
    """The account, made anew and from memory."""
    for _ in range(2):
        headers = service.get("/api/stats/account").headers
        assert not {"X-Time-Zone", "X-Period-Start", "X-Period-End"} & set(headers)
        assert headers["X-Covered-From"] == "2025-12-10"


def test_a_sane_request_id_comes_back(service: Service) -> None:
    """Anything else is replaced by one of ours."""
    assert (
        service.get(SUMMARY, headers={"X-Request-ID": "a-B.9_z"}).headers["X-Request-ID"]
        == "a-B.9_z"
    )
    for insane in ("", "a b", "x" * 65, "a\tb", "<b>", 'a"b'):
        answer = service.get(SUMMARY, headers={"X-Request-ID": insane})
        assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["X-Request-ID"])


def test_an_unchanged_answer_is_304(service: Service) -> None:
    """304 has no body but keeps the headers; a weak tag, a list and a star match too."""
    etag = service.get(SUMMARY).headers["ETag"]
    for sent in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        answer = service.get(SUMMARY, headers={"If-None-Match": sent})
        assert answer.status_code == 304
        assert answer.content == b""
        assert answer.headers["ETag"] == etag
        assert answer.headers["X-Snapshot-Id"] == "20260310T110500Z-00000001"
        assert answer.headers["Cache-Control"] == "private, no-cache"
        assert answer.headers["Vary"] == "X-API-Key, Authorization, Cookie, Origin, Accept-Encoding"
        assert "X-RateLimit-Remaining" in answer.headers
    assert service.get(SUMMARY, headers={"If-None-Match": '"other"'}).status_code == 200


def test_tags_tell_questions_apart_but_not_spellings(service: Service) -> None:
    """The default spelled out has the same tag; another customer, query or format has another."""
    plain = service.get(SUMMARY).headers["ETag"]
    assert service.get(f"{SUMMARY}?tz=UTC&days=7&end=2026-03-10").headers["ETag"] == plain
    others = [
        service.get(SUMMARY, BOREAL),
        service.get(f"{SUMMARY}?days=8"),
        service.get(f"{SUMMARY}?tz=Europe/Paris"),
        service.get(f"{SUMMARY}?end=2026-03-09"),
        service.get("/api/stats/usage/by-agent"),
        service.get("/api/stats/usage/by-agent?format=csv"),
    ]
    assert len({plain, *(answer.headers["ETag"] for answer in others)}) == 7


def test_a_new_snapshot_changes_the_tag(service: Service) -> None:
    """The answer must be asked for again even if its numbers are the same."""
    etag = service.get(SUMMARY).headers["ETag"]
    publish(service.settings.home, sample(), snapshot_id="20260310T120500Z-00000002")
    service.await_snapshot("20260310T120500Z-00000002")
    answer = service.get(SUMMARY, headers={"If-None-Match": etag})
    assert answer.status_code == 200
    assert answer.headers["X-Snapshot-Id"] == "20260310T120500Z-00000002"


def test_without_any_load_there_is_no_data_as_of(service: Service) -> None:
    """A snapshot before the first load has no freshness to claim."""
    publish(
        service.settings.home, sample(), snapshot_id="20260310T120500Z-00000002", data_as_of=None
    )
    service.await_snapshot("20260310T120500Z-00000002")
    assert "X-Data-As-Of" not in service.get(SUMMARY).headers


def test_the_log_names_the_customer_and_never_the_key(service: Service) -> None:
    """One JSON line a request, with the route template and no raw input."""
    key = service.key(ACME)
    service.client.get(
        f"{SUMMARY}?days=3&tz=Europe/Paris",
        headers={"X-API-Key": key, "X-Request-ID": "r1"},
    )
    service.client.get(f"/nope/{key}", headers={"X-API-Key": key})
    summary, nope = service.log_lines()
    assert summary["request_id"] == "r1"
    assert summary["route"] == SUMMARY
    assert summary["status"] == 200
    assert summary["customer_id"] == ACME
    assert summary["duration_ms"] > 0
    assert nope["route"] == "unmatched"
    assert key not in service.log.getvalue()
    assert "Paris" not in service.log.getvalue()


def test_measurements_are_by_route_template(service: Service) -> None:
    """An unknown path is one label value, however many there are."""
    service.get(SUMMARY)
    service.get("/secret-path-1")
    service.client.request("BREW", "/secret-path-2")
    text = service.client.get("/metrics").text
    assert f'route="{SUMMARY}",status="200"}} 1.0' in text
    assert 'agentstats_requests_total{method="OTHER",route="unmatched",status="404"} 1.0' in text
    assert "agentstats_snapshot_open 1.0" in text
    assert "secret-path" not in text


def test_the_docs_page_loads_only_files_of_ours(service: Service) -> None:
    """It works offline: no inline script or style, no other host, and every file is served."""
    answer = service.client.get("/docs")
    page = answer.text
    assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert "//" not in page and "style=" not in page and "<style" not in page
    assert re.findall(r"<script(?! src=)", page) == []
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(loaded) == 4
    for path in loaded:
        file = service.client.get(path)
        assert file.status_code == 200
        assert file.headers["X-Content-Type-Options"] == "nosniff"


def test_vendored_files_are_as_published() -> None:
    """Name, version, licence and hashes stand beside them."""
    listed = (pages.DOCS_FOLDER / "VENDORED.md").read_text()
    assert re.search(r"swagger-ui-dist \d+\.\d+\.\d+, Apache-2\.0", listed)
    hashes = dict(re.findall(r"^\| (\S+) \| ([0-9a-f]{64}) \|$", listed, re.MULTILINE))
    ours = {"index.html", "start.js", "VENDORED.md"}
    assert set(hashes) == {path.name for path in pages.DOCS_FOLDER.iterdir()} - ours
    for name, expected in hashes.items():
        assert hashlib.sha256((pages.DOCS_FOLDER / name).read_bytes()).hexdigest() == expected


def test_ready_names_the_snapshot(service: Service) -> None:
    """200 once a snapshot is open and answers."""
    answer = service.client.get("/readyz")
    assert answer.json() == {
        "status": "ready",
        "snapshot_id": "20260310T110500Z-00000001",
        "problem": None,
    }


def test_the_root_is_the_dashboard_if_there_is_one(
    start: StartService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the folder the root leads to /docs; with it the page and its files are served."""
    folder = tmp_path / "dashboard"
    monkeypatch.setattr(pages, "DASHBOARD_FOLDER", folder)
    bare = start(now=NOW).client.get("/")
    assert (bare.status_code, bare.headers["Location"]) == (307, "/docs")
    folder.mkdir()
    (folder / "index.html").write_text("<title>board</title>")
    (folder / "board.js").write_text("1")
    client = start(now=NOW).client
    assert client.get("/").text == "<title>board</title>"
    script = client.get("/dashboard/board.js")
    assert script.status_code == 200
    assert script.headers["X-Content-Type-Options"] == "nosniff"
    assert client.get("/dashboard/nope.js").json()["error_code"] == "NOT_FOUND"
