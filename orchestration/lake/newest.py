"""The newest version of each reference row of the lake, by the rule of the models."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb
from jinja2 import Template

from api.installation import dbt_project
from orchestration.contract.streams import Stream
from orchestration.lake.names import rows_of

_MACROS = dbt_project() / "macros"


def newest_rows(
    connection: duckdb.DuckDBPyConnection, table: str, stream: Stream, paths: Sequence[str]
) -> None:
    """Make the table of the newest row of each of the stream's names."""
    columns = ", ".join(f"{name} {kind}" for name, kind in stream.lake_columns)
    connection.execute(f"create or replace temp table {table} ({columns})")
    if not paths:
        return
    newest_first = rendered(f"{{{{ newest_first('{stream.name}') }}}}")
    connection.execute(
        f"""
        insert into {table} by name
        select {", ".join(name for name, _ in stream.lake_columns)}
        from {rows_of(stream)}
        qualify row_number() over (
            partition by {", ".join(stream.identity)}
            order by {newest_first}
        ) = 1
        """,
        {"paths": list(paths)},
    )


def rendered(call: str, **values: object) -> str:
    """What a macro of the dbt project says, where there is no dbt; `values` are names in the
    call."""
    files = ("retention.sql", "content_hash.sql", "which_version.sql", "prices.sql")
    macros = "".join((_MACROS / name).read_text() for name in files)
    return Template(macros + call).render(dbt=_OfDuckDB(), **values).strip()


class _OfDuckDB:
    """What macros ask dbt about the engine."""

    @staticmethod
    def type_string() -> str:
        return "varchar"
