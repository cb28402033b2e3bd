"""Writes docs/images/*.png from the demo: `make screenshots`."""

from __future__ import annotations

import os
import tempfile
from datetime import datetime
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from dashboard.browsing import DESK, PHONE, Scheme, launch, tab_in
from dashboard.platform_page import THEME, embed, platform
from dashboard.serving import CHECKOUT, NOW, make_demo, running
from tokens_fixture import SECRET, token

IMAGES = CHECKOUT / "docs" / "images"
NORTHWIND = 1039

# Name, size, pixels per unit, colours, tab.
PICTURES: list[tuple[str, tuple[int, int], float, Scheme, str]] = [
    ("dashboard-desktop-light", DESK, 1.5, "light", "usage"),
    ("dashboard-desktop-dark", DESK, 1.5, "dark", "usage"),
    ("dashboard-phone-light", PHONE, 2, "light", "usage"),
    ("dashboard-phone-dark", PHONE, 2, "dark", "feedback"),
    ("dashboard-cost-light", DESK, 1.5, "light", "cost"),
    ("dashboard-compliance-light", DESK, 1.5, "light", "compliance"),
    ("dashboard-feedback-dark", DESK, 1.5, "dark", "feedback"),
    ("dashboard-agent-types-light", DESK, 1.5, "light", "agent-types"),
]


def main() -> None:
    """Make the demo (or take DEMO_HOME), serve it, take the pictures."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(os.environ.get("DEMO_HOME", f"{folder}/home"))
        if not home.exists():
            make_demo(home)
        with running(home) as server, sync_playwright() as playwright:
            browser = launch(playwright)
            key = server.key(NORTHWIND)
            for name, size, scale, scheme, tab_name in PICTURES:
                with tab_in(
                    browser, server, zone="Europe/Paris", locale="en-GB",
                    scheme=scheme, size=size, scale=scale,
                ) as tab:  # fmt: skip
                    tab.open(key, days=30, tab=tab_name)
                    tab.page.evaluate("document.activeElement.blur()")
                    path = IMAGES / f"{name}.png"
                    tab.page.screenshot(path=path, full_page=size == DESK)
                    print(path.relative_to(CHECKOUT))
            take_embedded(browser, home, Path(folder))
            browser.close()


def take_embedded(browser: Browser, home: Path, folder: Path) -> None:
    """A page of a platform with the dashboard in it, in the platform's colours."""
    (folder / "theme.css").write_text(THEME)
    page = browser.new_page(
        viewport={"width": 1280, "height": 860}, device_scale_factor=1.5, reduced_motion="reduce"
    )
    page.clock.set_fixed_time(NOW)
    with (
        platform("http://127.0.0.1:9") as around,
        running(
            home,
            jwt_secret=SECRET,
            frame_ancestors=around.url,
            dashboard_theme=folder / "theme.css",
        ) as server,
    ):
        sent = token(NORTHWIND, now=datetime.fromisoformat(NOW))
        frame = embed(page, around, server, sent, query="&days=30&tz=Europe/Paris")
        frame.locator("#view:not([aria-busy]) h2").wait_for()
        page.wait_for_timeout(1000)
        path = IMAGES / "dashboard-embedded.png"
        page.screenshot(path=path)
        print(path.relative_to(CHECKOUT))


if __name__ == "__main__":
    main()
