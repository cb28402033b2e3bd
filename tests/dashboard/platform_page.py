"""A platform's web server on loopback: an origin of its own, whose pages a test writes.

What is below /api/ it passes on to agentstats, cookie and all, as a proxy that gives both one
origin does.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx2
from playwright.sync_api import FrameLocator, Page

from dashboard.serving import Server

TITLE = "Agents of Example & Co"
THEME = """
@media (prefers-color-scheme: light) {
  :root {
    --accent: #b3005e;
    --accent-text: #b3005e;
    --series-1: #b3005e;
    --page: #fff7fb;
  }
}
"""
LOGO = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" width="24" height="24">'
    '<circle cx="12" cy="12" r="12" fill="#b3005e"/></svg>'
)
FRAME = """<!doctype html><html lang="en"><title>Platform</title>
<main><h1>Platform</h1>
<iframe id="statistics" title="Statistics" width="1200" height="900" src="{src}"></iframe></main>
<script>
const wanted = [];
const frame = document.getElementById("statistics");
const tokens = {tokens};
addEventListener("message", (event) => {{
  if (event.source !== frame.contentWindow || event.origin !== "{agentstats}") return;
  if (event.data.type !== "agentstats.token-wanted") return;
  wanted.push(event.data.type);
  const token = tokens.shift();
  if (token) frame.contentWindow.postMessage({{type: "agentstats.token", token}}, "{agentstats}");
}});
</script>"""

PASSED_ON = ("cookie", "authorization", "x-api-key", "if-none-match", "accept")
PASSED_BACK = ("content-type", "etag", "retry-after", "vary", "cache-control")


@dataclass
class Platform:
    """A running platform: `url` ends without a slash."""

    url: str
    pages: dict[str, str] = field(default_factory=dict)
    """HTML by path; / is there from the beginning."""


@contextmanager
def platform(behind: str, *, host: str = "127.0.0.1") -> Iterator[Platform]:
    """A platform for the time of the block, in front of the agentstats at the address `behind`."""
    pages = {"/": "<!doctype html><html lang=en><title>Platform</title><main><h1>Platform</h1>"}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.startswith("/api/"):
                sent = {n: v for n, v in self.headers.items() if n.lower() in PASSED_ON}
                answer = httpx2.get(f"{behind}{self.path}", headers=sent)
                kept = {n: v for n, v in answer.headers.items() if n.lower() in PASSED_BACK}
                self._answer(answer.status_code, answer.content, kept)
                return
            page = pages.get(self.path.partition("?")[0])
            content = (page or "").encode()
            kind = {"Content-Type": "text/html; charset=utf-8"}
            self._answer(404 if page is None else 200, content, kind)

        def _answer(self, status: int, content: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield Platform(f"http://{host}:{server.server_port}", pages)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def embed(
    page: Page, where: Platform, server: Server, *tokens: str, query: str = "", fragment: str = ""
) -> FrameLocator:
    """Open a page of the platform with the dashboard in a frame."""
    where.pages["/statistics"] = FRAME.format(
        src=f"{server.url}/?embed=1{query}{fragment}",
        agentstats=server.url,
        tokens=json.dumps(tokens),
    )
    page.goto(f"{where.url}/statistics")
    return page.frame_locator("#statistics")
