"""Nothing can be asked, set or run that the docs do not name; and what they name is there."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer
from fastapi.routing import APIRoute

import reference_pages
from api.app import create_app
from api.errors import FRAMEWORK_ERRORS, STATUS_AND_CODE
from api.installation import parsed_ahead
from api.parameters import ALLOWED
from api.settings import ServingSettings
from commands import commands_of
from orchestration.cli import app
from orchestration.publication.descriptions import read_descriptions
from orchestration.publication.metrics import read_metrics
from orchestration.settings import PREFIX, Settings, read_settings
from orchestration.warehouse import dbt
from published_demo import CHECKOUT

DOCS = CHECKOUT / "docs"
PAGES = sorted(
    [
        *(CHECKOUT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
        *DOCS.rglob("*.md"),
    ]
)
EVERYTHING = "\n".join(page.read_text() for page in PAGES)


def _paths_of(routes: list[Any]) -> set[str]:
    """Paths of routes, those of included routers too."""
    paths = set()
    for route in routes:
        if isinstance(route, APIRoute):
            paths.add(route.path)
        inner = getattr(route, "original_router", None) or getattr(route, "router", None)
        if inner is not None:
            paths |= _paths_of(inner.routes)
    return paths


@pytest.mark.parametrize("path", list(reference_pages.pages()), ids=lambda path: path.name)
def test_generated_pages_are_fresh(path: Path) -> None:
    """Metrics, marts, settings and .env.example say what the code says; `make docs` mends them."""
    assert path.read_text() == reference_pages.pages()[path]


def test_every_endpoint_is_documented_and_every_documented_one_is_there(tmp_path: Path) -> None:
    """The page of the API has just the addresses that the service answers."""
    service = create_app(ServingSettings(home=tmp_path))
    paths = _paths_of(service.routes) | set(service.openapi()["paths"])
    page = (DOCS / "api.md").read_text()
    documented = {
        path
        for line in page.splitlines()
        if line.startswith("| `/")
        for path in re.findall(r"`(/[^`]*)`", line.split("|")[1])
    }
    assert {path for path in paths if path.startswith("/api/")} == {
        path for path in documented if path.startswith("/api/")
    }
    assert "/healthz" in paths
    assert paths - {"/"} <= documented


def test_every_error_parameter_and_header_is_documented(tmp_path: Path) -> None:
    """Error codes, parameters and the headers that the code sets are on the page of the API."""
    page = (DOCS / "api.md").read_text()
    codes = {code for _, code in STATUS_AND_CODE.values()} | {
        code for code, _ in FRAMEWORK_ERRORS.values()
    }
    sources = "".join(path.read_text() for path in (CHECKOUT / "api").rglob("*.py"))
    headers = set(re.findall(r'"(X-[A-Z][A-Za-z-]+)"', sources)) - {
        "X-Content-Type-Options", "X-Frame-Options",
    }  # fmt: skip
    for name in sorted(codes | headers | ALLOWED.keys() | {"INTERNAL_ERROR"}):
        assert f"`{name}" in page or f"{name}:" in page, name


def test_every_setting_is_documented_and_every_documented_one_is_there() -> None:
    """The docs name all settings and no other."""
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    named = set(re.findall(rf"{PREFIX}[A-Z_]+", EVERYTHING))
    assert named == known


def test_the_example_environment_is_complete_and_changes_nothing() -> None:
    """Uncommented, .env.example sets every setting that has a default to just that default."""
    lines = [
        line.removeprefix("#").partition("=")
        for line in (CHECKOUT / ".env.example").read_text().splitlines()
        if re.match(rf"#{PREFIX}[A-Z_]+=", line)
    ]
    assert [name for name, _, _ in lines] == [
        f"{PREFIX}{name.upper()}" for name in Settings.model_fields
    ]
    given = {name: value for name, _, value in lines if value and name != f"{PREFIX}HOME"}
    assert read_settings(given) == read_settings({})


def test_every_command_and_option_is_documented() -> None:
    """Each command is in the docs, with each option that is its own."""
    commands = commands_of(typer.main.get_command(app))
    assert {"run", "keys create", "sql"} <= commands.keys()
    for name, command in commands.items():
        assert re.search(rf"agentstats {name}\b", EVERYTHING), name
        for parameter in command.params:
            for option in parameter.opts:
                if option.startswith("--") and option != "--serve":
                    assert option in EVERYTHING, (name, option)


def test_every_make_target_has_a_line_in_make_help() -> None:
    """A target that is named in the docs exists, and `make help` explains every one."""
    makefile = (CHECKOUT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):.* ## ", makefile, re.MULTILINE))
    assert targets == set(re.findall(r"^\.PHONY: ([a-z-]+)$", makefile, re.MULTILINE))
    assert set(re.findall(r"`make ([a-z-]+)", EVERYTHING)) <= targets


def test_every_mart_and_metric_is_documented() -> None:
    """The analysts' page names every mart, the page of metrics every ratio, with its parts."""
    for_analysts = (DOCS / "for-analysts.md").read_text()
    for mart, description in read_descriptions(dbt.parse_into(parsed_ahead())).items():
        assert f"`{mart}`" in for_analysts, mart
        for column in description.columns:
            assert f"`{column}`" in (DOCS / "marts.md").read_text(), (mart, column)
    for metric in read_metrics():
        assert f"## `{metric.name}`" in (DOCS / "metrics.md").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    """Links between pages, to files and to headings of generated pages all have a target."""
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if target.startswith(("http://", "https://")):
            continue
        path, _, heading = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), target
        if heading:
            headings = re.findall(r"^#+ (.*)$", file.read_text(), re.MULTILINE)
            slugs = {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}
            assert heading in slugs, target


def test_the_pages_name_no_file_that_is_not_there() -> None:
    """A path of this repository in the docs is in every clone, not only where one has worked."""
    files = subprocess.run(
        ["git", "ls-files", "-z"], cwd=CHECKOUT, check=True, capture_output=True, text=True
    ).stdout.split("\0")
    known = {str(each) for file in files for each in (Path(file), *Path(file).parents)}
    for path in re.findall(r"`((?:api|dbt_project|orchestration|tests|docs)/[\w./]+)`", EVERYTHING):
        assert path.rstrip("/") in known, path
