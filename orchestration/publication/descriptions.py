"""What tables and columns say about themselves, read from dbt's manifest.

The one place where a description is written is the YAML beside the models. Publication puts it into
the file, `agentstats export` into the manifest, `docs/reference_pages.py` into the pages.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

SCHEMA = "marts"

# Tables that publication writes itself; dbt knows them as tables of this source.
PUBLISHED_SOURCE = "published"


@dataclass(frozen=True)
class Description:
    """What a table is: one paragraph, one for each column, in order, its `meta` and its tags."""

    text: str
    columns: Mapping[str, str]
    types: Mapping[str, str] = field(default_factory=dict)
    meta: Mapping[str, str] = field(default_factory=dict)
    tags: Sequence[str] = ()


def read_descriptions(manifest: Path) -> dict[str, Description]:
    """The description of each table in the published schema, by its name, sorted."""
    parsed = json.loads(manifest.read_text())
    nodes = [
        node
        for node in parsed["nodes"].values()
        if node["resource_type"] in {"model", "seed"} and node["schema"] == SCHEMA
    ]
    nodes += [
        source for source in parsed["sources"].values() if source["source_name"] == PUBLISHED_SOURCE
    ]
    return {
        node["name"]: Description(
            text=_one_line(node["description"]),
            columns={
                column["name"]: _one_line(column["description"])
                for column in node["columns"].values()
            },
            types={
                column["name"]: column["data_type"] or "" for column in node["columns"].values()
            },
            meta={**node.get("source_meta", {}), **node["config"].get("meta", {})},
            tags=node["tags"],
        )
        for node in sorted(nodes, key=lambda node: str(node["name"]))
    }


def _one_line(text: str) -> str:
    return " ".join(text.split())
