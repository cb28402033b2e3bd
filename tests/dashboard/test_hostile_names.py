"""A name is text, whatever it says."""

from __future__ import annotations

import csv
import io

import pytest
from playwright.sync_api import expect

from dashboard.browsing import Tab
from dashboard.conftest import OpenTab
from dashboard.hostile import AGENT_NAMES, ENTITY, HOSTILE, MODEL, TYPE_NAME
from dashboard.serving import Server

pytestmark = pytest.mark.browser


@pytest.fixture
def hostile_tab(open_tab: OpenTab, odd: Server) -> Tab:
    """The usage of the customer with hostile names."""
    return open_tab(odd).open(odd.key(HOSTILE))


def nothing_ran(tab: Tab) -> None:
    """No name became an element, and none ran."""
    assert tab.page.title().endswith("agentstats")
    made = "#view img, #view script, #view svg, #view b, #view iframe"
    assert tab.page.locator(made).count() == 0


def test_names_of_agents_are_shown_as_they_are(hostile_tab: Tab) -> None:
    """Markup, formulas, quotes and line breaks are letters; blanks and doubles get their id."""
    shown = [row["Agent"] for row in hostile_tab.table("agents")]
    assert shown[:6] == AGENT_NAMES[:6]
    assert shown[6] == "Agent 7"
    assert shown[7] == AGENT_NAMES[7]
    assert shown[8:] == ["Same (9)", "Same (10)"]
    nothing_ran(hostile_tab)


def test_names_in_charts_and_their_descriptions_are_text(hostile_tab: Tab) -> None:
    """The chart is drawn; tooltips too are pixels."""
    hostile_tab.panel("agents").locator("canvas").hover()
    label = hostile_tab.panel("agents").locator("canvas").get_attribute("aria-label")
    assert label is not None and AGENT_NAMES[0] in label
    nothing_ran(hostile_tab)


def test_a_backwards_name_stays_in_its_cell(hostile_tab: Tab) -> None:
    """Each name is isolated, so that it cannot turn round what is beside it."""
    hostile_tab.table("agents")
    cells = hostile_tab.panel("agents").locator("tbody th bdi")
    expect(cells).to_have_count(len(AGENT_NAMES))


def test_names_of_models_types_and_entities_are_text(hostile_tab: Tab) -> None:
    """On every tab."""
    assert hostile_tab.table("models")[0]["Model"] == MODEL
    hostile_tab.choose_tab("Compliance")
    assert hostile_tab.table("pii")[0]["Type"] == ENTITY
    assert hostile_tab.table("toxic-types")[0]["Agent Type"] == TYPE_NAME
    nothing_ran(hostile_tab)
    hostile_tab.choose_tab("Feedback")
    assert hostile_tab.table("load")[0]["Agent Type"] == TYPE_NAME
    hostile_tab.choose_tab("Agent types")
    row = hostile_tab.table("comparison")[0]
    assert (row["Agent Type"], row["Model"]) == (TYPE_NAME, MODEL)
    nothing_ran(hostile_tab)


def test_downloads_are_inert_in_a_spreadsheet(hostile_tab: Tab) -> None:
    """No text cell starts with what a spreadsheet runs."""
    _, text = hostile_tab.download("agents")
    names = [row["agent_name"] for row in csv.DictReader(io.StringIO(text))]
    assert names[1] == "'=1+1" and names[4] == "'@SUM(A1:A9)"
    assert names[5] == AGENT_NAMES[5]
    hostile_tab.choose_tab("Agent types")
    _, text = hostile_tab.download("comparison")
    assert next(csv.DictReader(io.StringIO(text)))["name"] == f"'{TYPE_NAME}"


def test_a_long_name_does_not_widen_the_page(open_tab: OpenTab, odd: Server) -> None:
    """Two hundred letters fit a phone."""
    tab = open_tab(odd, size=(360, 740)).open(odd.key(HOSTILE))
    tab.table("agents")
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= 360
