"""Words that are not to come back, in names and in prose: see `tests/docs/words/README.md`."""

from __future__ import annotations

import re
import subprocess

from published_demo import CHECKOUT

WORDS = CHECKOUT / "tests" / "docs" / "words"
INSTEAD = dict(line.split(": ") for line in (WORDS / "instead.txt").read_text().splitlines())
# Parts of names are words too: two in `answers_held`, two in `HeldAnswer`, one in `withheld`.
WORD = re.compile("[A-Z]?[a-z]+|[A-Z]+")
# Here the word is the field's own.
IN_THE_FIELD = re.compile("price[_ -]?books?", re.IGNORECASE)
# What was said at the time, what others wrote, and the lists.
EXCEPT = re.compile(
    r"CHANGELOG\.md|.*/vendor/.*|api/docs_page/swagger.*|.*\.lock|.*\.(png|gz|parquet)"
    r"|dbt_project/price_list/.*|tests/docs/(test_words\.py|words/.*)"
)


def test_words_that_mislead_do_not_come_back() -> None:
    """In no file but those that say what was said at the time, or what others wrote."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=CHECKOUT,
        check=True,
        capture_output=True,
    )
    found = {}
    for name in listed.stdout.decode().split("\0"):
        file = CHECKOUT / name
        if file.is_file() and not EXCEPT.fullmatch(name):
            text = IN_THE_FIELD.sub("", f"{name} {file.read_text()}")
            words = {word.lower() for word in WORD.findall(text)}
            if used := sorted(words & INSTEAD.keys()):
                found[name] = ", ".join(f"{word} ({INSTEAD[word]})" for word in used)
    assert found == {}, "say it in the words of the field"
