"""The price book in the published file, and what follows from it: rates, names, costs by class."""

from __future__ import annotations

import duckdb

from orchestration.contract.streams import TOKEN_CLASSES
from orchestration.lake.newest import rendered
from orchestration.storage.sql import quoted

_PRICE_BOOK = {
    "price_book": "select * from warehouse.raw.price_book order by all",
    "price_book_left_out": "select * from warehouse.raw.price_book_left_out order by all",
}
_OF_NAMES = {
    "rates": "select * from warehouse.raw.rates order by all",
    "resolved_models": (
        "select provider, model, priced_provider, priced_model, found_by, standard_prices_only "
        "from warehouse.raw.resolved_models order by all"
    ),
}
TABLES = (*_PRICE_BOOK, *_OF_NAMES)
VIEWS = {
    "cost_quarter_hourly": rendered(
        "{{ costs_by_class('marts.usage_quarter_hourly', 'marts.rates', token_classes) }}",
        token_classes=TOKEN_CLASSES,
    ),
    "unpriced_models": """
        select
            provider,
            model,
            cast(sum(unpriced_tokens) as bigint) as unpriced_tokens,
            cast(sum(total_tokens) as bigint) as total_tokens,
            count(distinct customer_id) as customer_count,
            min(occurred_date) as first_date,
            max(occurred_date) as last_date
        from marts.provider_daily
        where unpriced_tokens > 0
        group by provider, model
    """,
}
"""SQL of the views of the file, by the names that tables have in it."""


def write_tables(connection: duckdb.DuckDBPyConnection, *, has_new_price_book: bool) -> list[str]:
    """Write the tables of prices into the attached snapshot anew, those of a price_book that it has
    already left out. Returns which were written."""
    tables = {**(_PRICE_BOOK if has_new_price_book else {}), **_OF_NAMES}
    for table, rows in tables.items():
        name = f"snapshot.marts.{quoted(table)}"
        connection.execute(f"drop table if exists {name}")
        connection.execute(f"create table {name} as {rows}")
    return list(tables)


def add_views(connection: duckdb.DuckDBPyConnection) -> None:
    """Bring the views along. The snapshot is the database in use."""
    for view, rows in VIEWS.items():
        connection.execute(f"create view marts.{quoted(view)} as {rows}")
