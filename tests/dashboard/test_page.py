"""What can be said about the dashboard's files without a browser."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from api.pages import DASHBOARD_FOLDER

OURS = sorted(
    path for path in DASHBOARD_FOLDER.rglob("*") if path.is_file() and "vendor" not in path.parts
)
INDEX = (DASHBOARD_FOLDER / "index.html").read_text(encoding="utf-8")
CHART_JS_SHA256 = "87364cc2b2a76a6684929e7d6b80b18a897794db38400caff1fcf1791c6925d2"
CHART_JS = DASHBOARD_FOLDER / "vendor" / "chart.js-4.6.1" / "chart.umd.min.js"


def test_nothing_names_another_host() -> None:
    """Our own files hold no address but that of the SVG vocabulary."""
    for path in OURS:
        found = re.findall(r"https?://[^\s\"'<>]+", path.read_text(encoding="utf-8"))
        assert [url for url in found if url != "http://www.w3.org/2000/svg"] == [], path


def test_nothing_is_inline() -> None:
    """The page has no script, style or handler of its own."""
    assert re.findall(r"<style|\sstyle=|\son[a-z]+=|javascript:", INDEX) == []
    assert re.findall(r"<script(?![^>]* src=)", INDEX) == []


def test_no_module_makes_markup_of_text() -> None:
    """Names can only become text nodes."""
    forbidden = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function"
    for path in OURS:
        if path.suffix == ".js":
            assert re.findall(forbidden, path.read_text(encoding="utf-8")) == [], path


def test_every_module_is_asked_for_at_once() -> None:
    """A module that is not preloaded costs the first paint one more round trip."""
    preloaded = set(re.findall(r'rel="modulepreload" href="dashboard/([^"]+)"', INDEX))
    modules = {
        path.relative_to(DASHBOARD_FOLDER).as_posix() for path in OURS if path.suffix == ".js"
    }
    assert preloaded == modules - {"main.js"} | {CHART_JS.relative_to(DASHBOARD_FOLDER).as_posix()}


def test_the_vendored_library_is_the_published_one() -> None:
    """Chart.js 4.6.1 of the npm package, byte for byte, with its licence beside it."""
    assert hashlib.sha256(CHART_JS.read_bytes()).hexdigest() == CHART_JS_SHA256
    assert "MIT" in (CHART_JS.parent / "LICENSE.md").read_text(encoding="utf-8")
    assert CHART_JS.read_text(encoding="utf-8").startswith("/*!\n * Chart.js v4.6.1")


def test_no_file_is_too_long() -> None:
    """Four hundred lines are enough for one subject; the style sheet may have more."""
    long = [path.name for path in OURS if len(_lines(path)) > 400 and path.suffix == ".js"]
    assert long == []


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()
