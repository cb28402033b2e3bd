"""A browser, servers, and tabs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from dashboard import hostile
from dashboard.browsing import Tab, launch, tab_in
from dashboard.serving import Server, make_demo, running
from snapshot_fixture import NOW as SAMPLE_NOW

NORTHWIND, FREE_CUSTOMER, PRO_CUSTOMER = 1039, 1002, 1001
"""Of the demo: kept for 730 days, 7 days, 90 days."""

OpenTab = Callable[..., Tab]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One browser for all tests; each gets a tab of its own."""
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def demo_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo, made anew; or a copy of DEMO_HOME, to save that time."""
    home = tmp_path_factory.mktemp("demo") / "home"
    ready = os.environ.get("DEMO_HOME")
    if ready:
        shutil.copytree(ready, home, symlinks=True)
    else:
        make_demo(home)
    return home


@pytest.fixture(scope="session")
def demo(demo_home: Path) -> Iterator[Server]:
    """A server over the demo."""
    with running(demo_home) as server:
        yield server


@pytest.fixture(scope="session")
def key(demo: Server) -> str:
    """A key of the demo's own customer."""
    return demo.key(NORTHWIND)


@pytest.fixture(scope="session")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server over a few odd customers: hostile names, one day of data, none."""
    home = tmp_path_factory.mktemp("odd")
    hostile.publish_to(home)
    with running(home, now=SAMPLE_NOW.isoformat()) as server:
        yield server


@pytest.fixture
def open_tab(browser: Browser) -> Iterator[OpenTab]:
    """Opens tabs; see `tab_in`."""
    with ExitStack() as stack:

        def opened(server: Server, **options: Any) -> Tab:
            return stack.enter_context(tab_in(browser, server, **options))

        yield opened


@pytest.fixture
def tab(open_tab: OpenTab, demo: Server, key: str) -> Tab:
    """The demo's usage of 7 days in UTC."""
    return open_tab(demo).open(key)
