"""How the queries are made from their files."""

import re
from collections import Counter
from typing import Any

import jinja2
import pytest

from api.queries.engine import SQL_FOLDER, Queries

MACRO = re.compile(r"\{% macro (\w+)\(")


def test_every_macro_is_compiled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many queries call it: all of them are made each time that a worker starts."""
    compiled: list[str] = []
    compile_source = jinja2.Environment.compile

    def noted(self: jinja2.Environment, source: Any, *arguments: Any, **options: Any) -> Any:
        compiled.append(source)
        return compile_source(self, source, *arguments, **options)

    monkeypatch.setattr(jinja2.Environment, "compile", noted)
    Queries()
    files = sorted(SQL_FOLDER.glob("*.jinja"))
    macros = [name for file in files for name in MACRO.findall(file.read_text(encoding="utf-8"))]
    assert Counter(MACRO.findall("".join(compiled))) == dict.fromkeys(macros, 1)
