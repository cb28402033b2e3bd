"""One tab with the dashboard in it, and what can be read from it."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlencode

from playwright.sync_api import Browser, Locator, Page, Playwright, expect

from dashboard.serving import Server

FOLDER = Path(__file__).resolve().parent
CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox",
    "--headless=new",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
ALL_DRAWN = (
    "[...document.querySelectorAll('canvas')].every(each => globalThis.Chart?.getChart(each))"
)
DESK = (1280, 900)
PHONE = (390, 844)

Scheme = Literal["light", "dark"]


def launch(playwright: Playwright) -> Browser:
    """Debian's Chromium, installed if it is missing."""
    subprocess.run([FOLDER / "install_chromium.sh"], check=True)
    return playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)


class Tab:
    """A tab; `refusals_expected` is set where the server is made to refuse, which Chromium logs."""

    def __init__(self, page: Page, server: Server) -> None:
        self.page = page
        self.server = server
        self.refusals_expected = False
        self.errors: list[str] = []
        self.requests: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda line: self._log(line.type, line.text))
        page.on("request", lambda request: self.requests.append(request.url))

    def _log(self, kind: str, text: str) -> None:
        is_refusal = text.startswith("Failed to load resource")
        if kind in ("error", "warning") and not (is_refusal and self.refusals_expected):
            self.errors.append(text)

    def go(self, **query: str | int) -> None:
        """Open the dashboard at an address."""
        question = f"?{urlencode(query)}" if query else ""
        self.page.goto(f"{self.server.url}/{question}")

    def type_key(self, key: str) -> None:
        """Type a key and send it."""
        self.page.fill("#key", key)
        self.page.press("#key", "Enter")

    def open(self, key: str, **query: str | int) -> Tab:
        """Open the dashboard at an address, give it a key, wait for the numbers."""
        self.go(**query)
        self.type_key(key)
        self.wait()
        return self

    def wait(self) -> None:
        """Wait until the numbers of the newest choice are there, and every chart is drawn."""
        self.page.wait_for_selector("#view:not([aria-busy]) h2")
        deadline = time.monotonic() + 10
        # Asked from here: the page's policy keeps a condition from being evaluated in it.
        while not self.page.evaluate(ALL_DRAWN):
            assert time.monotonic() < deadline, "a chart was not drawn in 10 s"
            self.page.wait_for_timeout(20)

    def choose_period(self, days: int) -> None:
        """Press a period."""
        self.page.get_by_role("radio", name=f"{days} days").check()
        self.wait()

    def choose_zone(self, name: str) -> None:
        """Choose a time zone."""
        self.page.select_option("#zone", name)
        self.wait()

    def choose_tab(self, name: str) -> None:
        """Press a tab."""
        self.page.get_by_role("tab", name=name).click()
        self.wait()

    def card(self, metric: str) -> str:
        """The number on a card, as it is written."""
        return self.page.inner_text(f'[data-metric="{metric}"] .value')

    def change(self, metric: str) -> str:
        """The line with the change on a card, as it is seen."""
        return " ".join(self.page.inner_text(f'[data-metric="{metric}"] .change').split())

    def panel(self, name: str) -> Locator:
        """A panel by its id."""
        return self.page.locator(f"#panel-{name}")

    def panels(self) -> list[str]:
        """Ids of all panels."""
        found = self.page.locator(".panel").evaluate_all("all => all.map(each => each.id)")
        return [str(name).removeprefix("panel-") for name in found]

    def table(self, name: str) -> list[dict[str, str]]:
        """The body of a panel's table: one dictionary of texts for each row."""
        self._show_table(name)
        headings = self.panel(name).locator("thead th").all_inner_texts()
        rows = self.panel(name).locator("tbody tr")
        texts = rows.evaluate_all(
            "rows => rows.map(row => [...row.children].map(cell => cell.textContent))"
        )
        return [dict(zip(headings, row, strict=True)) for row in texts]

    def total(self, name: str) -> list[str]:
        """The last row of a panel's table."""
        self._show_table(name)
        return self.panel(name).locator("tfoot th, tfoot td").all_inner_texts()

    def _show_table(self, name: str) -> None:
        toggle = self.panel(name).get_by_role("button", name="Table")
        if toggle.count() and toggle.get_attribute("aria-pressed") == "false":
            toggle.click()
        expect(self.panel(name).locator("table")).to_be_visible()

    def drawn(self, name: str) -> list[list[float | None]]:
        """The values of each dataset of a panel's chart."""
        data: list[list[float | None]] = self.page.evaluate(
            "name => Chart.getChart(document.querySelector(`#panel-${name} canvas`))"
            ".data.datasets.map(dataset => dataset.data)",
            name,
        )
        return data

    def download(self, name: str) -> tuple[str, str]:
        """Name and text of a panel's CSV file."""
        with self.page.expect_download() as waiting:
            self.panel(name).get_by_role("button", name="CSV").click()
        path = waiting.value.path()
        return waiting.value.suggested_filename, path.read_bytes().decode()

    def notice(self, name: str) -> Locator:
        """A notice by its name."""
        return self.page.locator(f'[data-notice="{name}"]')


@contextmanager
def tab_in(
    browser: Browser,
    server: Server,
    *,
    zone: str = "UTC",
    locale: str = "en-US",
    scheme: Scheme = "light",
    size: tuple[int, int] = DESK,
    scale: float = 1,
    now: str | None = None,
    is_clock_fixed: bool = True,
    **more: Any,
) -> Iterator[Tab]:
    """A tab of its own; at its end, nothing may have gone wrong in it or left this server."""
    context = browser.new_context(
        timezone_id=zone,
        locale=locale,
        color_scheme=scheme,
        viewport={"width": size[0], "height": size[1]},
        device_scale_factor=scale,
        reduced_motion=more.pop("reduced_motion", "reduce"),
        **more,
    )
    context.set_default_timeout(10_000)
    page = context.new_page()
    if is_clock_fixed:
        page.clock.set_fixed_time(now or server.now)
    tab = Tab(page, server)
    try:
        yield tab
        assert tab.errors == []
        elsewhere = [url for url in tab.requests if not url.startswith((server.url, "blob:"))]
        assert elsewhere == []
    finally:
        context.close()


def number(text: str) -> float:
    """What a number written for readers of English is."""
    return float(re.sub(r"[^0-9.\-]", "", text))
