"""Write the pages that say again what the code says: metrics, marts, settings.

python docs/reference_pages.py            # write them
python docs/reference_pages.py --check    # end with 1 if one of them is stale
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from api.installation import parsed_ahead
from orchestration.publication.descriptions import Description, read_descriptions
from orchestration.publication.metrics import Metric, read_metrics
from orchestration.settings import PREFIX, Settings
from orchestration.warehouse import dbt

DOCS = Path(__file__).resolve().parent
CHECKOUT = DOCS.parent

_SOURCE = "<!-- Written by docs/reference_pages.py: `make docs` writes it anew. -->\n"


def metrics_page(metrics: list[Metric]) -> str:
    """`docs/metrics.md`: what each ratio means, and how to call it."""
    parts = [
        "# Metrics\n",
        _SOURCE,
        "Every measure and metric is declared once, in `dbt_project/metrics.yml`. The API answers\n"
        "by it, and the published file has each ratio and percentile as a macro in schema\n"
        "`marts`: the number of a query is the number of the API.\n",
        "- A ratio takes **sums** over the rows asked about, never other ratios or averages; a\n"
        "  percentile takes the lists of all of them, as one list.\n"
        "- With no data, a count or a sum is 0, and a ratio or an average is null.\n"
        "- Rounding is half away from zero, once, at the end, and exact.\n"
        "- The sums and counts that metrics are made of are described in [marts.md](marts.md).\n",
        "| metric | meaning |\n|---|---|\n"
        + "".join(f"| [`{each.name}`](#{each.name}) | {each.description} |\n" for each in metrics),
    ]
    for each in metrics:
        parts.append(f"## `{each.name}`\n\n{each.description}\n")
        if each.example:
            parts.append(f"```sql\n{each.example}\n```\n")
        else:
            parts.append(
                f"```sql\nmarts.{each.signature}\n```\n\n"
                f"`{each.parameters[0]}` is summed over a compliance mart, `{each.parameters[1]}` "
                "is the sum of\n`message_count` over a usage mart, for the same keys and dates.\n"
            )
        parts.append(f"In full, for tools without the macro:\n\n```sql\n{each.sql}\n```\n")
    return "\n".join(parts)


def marts_page(descriptions: dict[str, Description]) -> str:
    """`docs/marts.md`: every table and column of the published file."""
    parts = [
        "# Marts\n",
        _SOURCE,
        "Every table of the published file, in schema `marts`. The same texts are comments in the\n"
        "file (`select table_name, comment from duckdb_tables()`), and in the dbt docs.\n"
        "[for-analysts.md](for-analysts.md) shows how to ask; [metrics.md](metrics.md) has the\n"
        "ratios. Times have no zone and mean UTC.\n",
        "| mart | what one row is |\n|---|---|\n"
        + "".join(
            f"| [`{name}`](#{name}) | {_grain(each)} |\n" for name, each in descriptions.items()
        ),
    ]
    for name, each in descriptions.items():
        meta = each.meta
        parts.append(
            f"## `{name}`\n\n{each.text}\n\n"
            f"Owner: {meta['owner']}. Tier: {meta['tier']}. Freshness: {meta['freshness']}.\n\n"
            "| column | type | meaning |\n|---|---|---|\n"
            + "".join(
                f"| `{column}` | {each.types[column] or _seed_type(column)} | {text} |\n"
                for column, text in each.columns.items()
            )
        )
    return "\n".join(parts)


def _grain(description: Description) -> str:
    return description.text.split(". ")[0].split(": ")[0].removesuffix(".")


def _seed_type(column: str) -> str:
    """Types of seeds are in dbt_project.yml: texts, and whole numbers."""
    is_number = column.startswith(("min_", "max_")) or column.endswith("_days")
    return "bigint" if is_number else "varchar"


def settings_page() -> str:
    """`docs/settings.md`: every setting."""
    rows = "".join(
        f"| `{PREFIX}{name.upper()}` | {_allowed(field)} | {_default(name, field)} "
        f"| {field.description} |\n"
        for name, field in Settings.model_fields.items()
    )
    return (
        f"# Settings\n\n{_SOURCE}\n"
        "Settings come from the environment, or from `.env` in the checkout (installed from a\n"
        "wheel: in the folder that a command is run in); the environment wins.\n"
        "An unknown or wrong one ends every command with 2 and a line that names it.\n"
        "[.env.example](../.env.example) has them all, ready to copy.\n\n"
        f"| setting | allowed | default | meaning |\n|---|---|---|---|\n{rows}"
    )


def example_environment() -> str:
    """`.env.example`: every setting with its default, commented out."""
    parts = ["# Settings of agentstats, with their defaults. Copy to .env, uncomment, change.\n"]
    for name, field in Settings.model_fields.items():
        default = _default(name, field)
        value = "" if default == "unset" else default.split("`")[1]
        parts.append(
            f"# {field.description} Allowed: {_allowed(field)}.\n#{PREFIX}{name.upper()}={value}\n"
        )
    return "\n".join(parts)


def _allowed(field: FieldInfo) -> str:
    kinds = [kind for kind in get_args(field.annotation) or [field.annotation] if kind]
    if get_origin(field.annotation) is Literal:
        return ", ".join(f"`{kind}`" for kind in kinds)
    if get_origin(field.annotation) is dict:
        return "JSON object"
    words: dict[object, str] = {
        Path: "folder",
        datetime: "ISO 8601 time",
        int: "whole number",
        float: "number",
        bool: "true or false",
        SecretStr: "text, never shown",
    }
    text = next((words[kind] for kind in kinds if kind in words), "text")
    bounds = {type(each): each for each in field.metadata}
    lower, above, upper = bounds.get(Ge), bounds.get(Gt), bounds.get(Le)
    if isinstance(lower, Ge):
        text += f", {lower.ge} or more" if upper is None else f" from {lower.ge}"
    if isinstance(above, Gt):
        text += f", more than {above.gt}"
    if isinstance(upper, Le):
        text += f" to {upper.le}" if lower or above else f", at most {upper.le}"
    return text


def _default(name: str, field: FieldInfo) -> str:
    if name == "home":
        return "`data` in the checkout; installed from a wheel: `~/.local/share/agentstats`"
    return "unset" if field.default is None else f"`{field.default}`"


def pages() -> dict[Path, str]:
    """The text of each generated page, by its path. Parses the dbt project if it changed."""
    descriptions = read_descriptions(dbt.parse_into(parsed_ahead()))
    makers: dict[Path, Callable[[], str]] = {
        DOCS / "metrics.md": lambda: metrics_page(read_metrics()),
        DOCS / "marts.md": lambda: marts_page(descriptions),
        DOCS / "settings.md": settings_page,
        CHECKOUT / ".env.example": example_environment,
    }
    return {path: make() for path, make in makers.items()}


def main() -> None:
    """Write the pages, or check that they are what would be written."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; end with 1 if stale")
    check = parser.parse_args().check
    stale = [
        path for path, text in pages().items() if not path.exists() or path.read_text() != text
    ]
    if check and stale:
        names = ", ".join(str(path.relative_to(CHECKOUT)) for path in stale)
        sys.exit(f"stale: {names}; `make docs` writes them anew")
    if not check:
        for path, text in pages().items():
            path.write_text(text)
    print(json.dumps({"written" if not check else "checked": len(pages())}))


if __name__ == "__main__":
    main()
