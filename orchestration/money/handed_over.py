"""What a run hands to the models of prices: names and their rates, as tables of the warehouse.

`raw.rates` has what a token of each class costs by name, processing, context and time, and
`raw.price_contexts` between which thresholds an input lies. Both follow from the price book and
from the names in use alone, so that a changed price shows as changed rows.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import duckdb

from orchestration.contract.streams import AGENT_USAGE_EVENTS, MAX_COUNT
from orchestration.lake.names import rows_of
from orchestration.money.price_book import UNKNOWN, PriceBook, Resolved
from orchestration.money.price_list import Price
from orchestration.money.rates import FALLBACKS, NO_PRICE, Span, rate_id, spans, thresholds

EVERYBODY = 0
"""Stands for all customers that have no prices of their own for a name."""
NO_RATE = 0
"""What a mart says of tokens without any price."""

RATES = {
    "rate_id": "bigint",
    "customer_id": "bigint",
    "provider": "varchar",
    "model": "varchar",
    "processing": "varchar",
    "context_over_tokens": "bigint",
    "valid_from": "timestamp",
    "valid_to": "timestamp",
    "quarter_from": "integer",
    "quarter_to": "integer",
    **{f"usd_{name}": "decimal(18,12)" for name in FALLBACKS},
    **{f"assumed_{name}": "boolean" for name in FALLBACKS},
    "has_left_out_fee": "boolean",
}
CONTEXTS = {
    "customer_id": "bigint",
    "provider": "varchar",
    "model": "varchar",
    "context_over_tokens": "bigint",
    "from_tokens": "bigint",
    "to_tokens": "bigint",
}
RESOLVED = {
    "provider": "varchar",
    "model": "varchar",
    "priced_provider": "varchar",
    "priced_model": "varchar",
    "found_by": "varchar",
    "standard_prices_only": "boolean",
    "names_id": "varchar",
}
PRICE_BOOK = {
    "customer_id": "bigint",
    "provider": "varchar",
    "model": "varchar",
    "token_class": "varchar",
    "processing": "varchar",
    "context_over_tokens": "bigint",
    "usd_per_million": "decimal(18,6)",
    "valid_from": "timestamp",
    "valid_to": "timestamp",
    "utc_from": "varchar",
    "utc_to": "varchar",
    "source": "varchar",
}
LEFT_OUT = {
    "provider": "varchar",
    "model": "varchar",
    "processing": "varchar",
    "unit": "varchar",
    "usd": "varchar",
    "reason": "varchar",
}
REPRICING = {"occurred_date": "date", "is_in_lake": "boolean"}
TABLES: Mapping[str, Mapping[str, str]] = {
    "rates": RATES,
    "price_contexts": CONTEXTS,
    "resolved_models": RESOLVED,
    "price_book": PRICE_BOOK,
    "price_book_left_out": LEFT_OUT,
}

SCHEMA = "".join(
    f"create table if not exists raw.{table} "
    f"({', '.join(f'{name} {kind}' for name, kind in columns.items())});\n"
    for table, columns in TABLES.items()
) + (
    "create table if not exists raw.price_book_id (id varchar, is_in_marts boolean);\n"
    "create table if not exists raw.rates_in_marts as from raw.rates;\n"
    "create table if not exists raw.contexts_in_marts as from raw.price_contexts;\n"
    "create table if not exists raw.repricing (occurred_date date, is_in_lake boolean);\n"
)

Name = tuple[str, str, str]
"""Provider, model and processing, as marts have them."""


@dataclass(frozen=True)
class Repriced:
    """UTC dates of usage events that have other prices now.

    What was counted in `in_marts` has another price and is the same otherwise; `in_lake` other
    thresholds of input tell events apart.
    """

    in_marts: frozenset[date] = frozenset()
    in_lake: frozenset[date] = frozenset()

    @property
    def dates(self) -> frozenset[date]:
        return self.in_marts | self.in_lake

    def read_from_lake(self) -> Repriced:
        """The same dates, for an engine that cannot rebuild a date of itself."""
        return Repriced(in_lake=self.dates)


NOT_REPRICED = Repriced()


def names_in_use(
    warehouse: duckdb.DuckDBPyConnection, paths: Sequence[str], rebuilt: Sequence[date] | None
) -> list[Name]:
    """The names of the events in lake files, and of those in marts that stay as they are: all but
    the `rebuilt` dates; None for no date."""
    selects = []
    if paths:
        selects.append(
            f"select coalesce(provider, '{UNKNOWN}') as provider, model_used as model, processing "
            f"from {rows_of(AGENT_USAGE_EVENTS)}"
        )
    if rebuilt is not None and _has_marts(warehouse):
        selects.append(
            "select provider, model, processing from marts.usage_quarter_hourly "
            "where not list_contains($rebuilt::date[], occurred_date)"
        )
    if not selects:
        return []
    parameters: dict[str, Any] = {"paths": list(paths)} if paths else {}
    if rebuilt is not None and len(selects) > len(parameters):
        parameters["rebuilt"] = list(rebuilt)
    return warehouse.execute(
        f"select distinct provider, model, processing from ({' union all '.join(selects)}) "
        "order by all",
        parameters,
    ).fetchall()


def _has_marts(warehouse: duckdb.DuckDBPyConnection) -> bool:
    return bool(
        warehouse.execute(
            "select 1 from duckdb_tables() "
            "where schema_name = 'marts' and table_name = 'usage_quarter_hourly'"
        ).fetchall()
    )


def hand_over(
    warehouse: duckdb.DuckDBPyConnection, price_book: PriceBook, names: Sequence[Name]
) -> None:
    """Fill the tables of prices for these names, inside of the caller's transaction."""
    resolved = _resolve(warehouse, price_book, names)
    rates, contexts = _rates(price_book, resolved, names)
    fill(warehouse, "rates", rates)
    fill(warehouse, "price_contexts", contexts)
    fill(
        warehouse,
        "resolved_models",
        [
            (
                each.provider,
                each.model,
                each.priced_provider,
                each.priced_model,
                each.found_by,
                each.standard_prices_only,
                price_book.names_id,
            )
            for each in resolved.values()
        ],
    )
    if _price_book_id(warehouse, in_marts=False) != price_book.price_book_id:
        fill(warehouse, "price_book", map(_listed, (*price_book.listed.prices, *price_book.own)))
        fill(
            warehouse,
            "price_book_left_out",
            [tuple(row[name] or None for name in LEFT_OUT) for row in price_book.listed.left_out],
        )
        warehouse.execute("delete from raw.price_book_id where not is_in_marts")
        warehouse.execute(
            "insert into raw.price_book_id values (?, false)", [price_book.price_book_id]
        )


def _price_book_id(warehouse: duckdb.DuckDBPyConnection, *, in_marts: bool) -> str | None:
    """Which price book was handed over last, or the marts were made by."""
    rows = warehouse.execute(
        "select id from raw.price_book_id where is_in_marts = ?", [in_marts]
    ).fetchall()
    return rows[0][0] if rows else None


def price_book_in_marts(warehouse: duckdb.DuckDBPyConnection) -> str | None:
    """Which price book the marts were made by; None where there are none."""
    return _price_book_id(warehouse, in_marts=True)


def is_new(warehouse: duckdb.DuckDBPyConnection, price_book: PriceBook) -> bool:
    """Whether the marts were made by another price book."""
    return price_book_in_marts(warehouse) != price_book.price_book_id


def settle(warehouse: duckdb.DuckDBPyConnection) -> None:
    """Note that the marts have the rates that were handed over, in the caller's transaction."""
    for table, kept in (("rates", "rates_in_marts"), ("price_contexts", "contexts_in_marts")):
        warehouse.execute(f"delete from raw.{kept}")
        warehouse.execute(f"insert into raw.{kept} from raw.{table}")
    warehouse.execute("delete from raw.price_book_id where is_in_marts")
    warehouse.execute("insert into raw.price_book_id select id, true from raw.price_book_id")
    warehouse.execute("delete from raw.repricing")


def note_repricing(warehouse: duckdb.DuckDBPyConnection, repriced: Repriced) -> None:
    """Note, in the caller's transaction, that some marts may have new prices of these dates before
    others do. Until they are settled each run rebuilds them, whatever the prices are by then."""
    rows = [(day.isoformat(), False) for day in repriced.in_marts]
    rows += [(day.isoformat(), True) for day in repriced.in_lake]
    _insert(warehouse, "raw.repricing", REPRICING, rows)


def repriced_dates(
    warehouse: duckdb.DuckDBPyConnection, price_book: PriceBook, rebuilt: Sequence[date]
) -> Repriced:
    """The dates on which marts have rows of other rates than the price book gives them now, and
    those that a run was about to reprice which did not come to its end.

    `rebuilt` dates are left out: they are rebuilt anyway.
    """
    if not _has_marts(warehouse):
        return NOT_REPRICED
    in_marts, in_lake = set[date](), set[date]()
    for day, is_in_lake in warehouse.execute("from raw.repricing").fetchall():
        (in_lake if is_in_lake else in_marts).add(day)
    if is_new(warehouse, price_book):
        for day, is_in_lake in _with_other_rates(warehouse, price_book, rebuilt):
            (in_lake if is_in_lake else in_marts).add(day)
    in_lake -= set(rebuilt)
    return Repriced(frozenset(in_marts - in_lake - set(rebuilt)), frozenset(in_lake))


def _with_other_rates(
    warehouse: duckdb.DuckDBPyConnection, price_book: PriceBook, rebuilt: Sequence[date]
) -> list[tuple[date, bool]]:
    """The dates, and whether thresholds differ."""
    names = names_in_use(warehouse, [], rebuilt)
    rates, contexts = _rates(price_book, _resolve(warehouse, price_book, names), names)
    warehouse.execute("create or replace temp table new_rates as from raw.rates limit 0")
    warehouse.execute(
        "create or replace temp table new_contexts as from raw.price_contexts limit 0"
    )
    _insert(warehouse, "new_rates", RATES, rates)
    _insert(warehouse, "new_contexts", CONTEXTS, contexts)
    return warehouse.execute(
        f"""
        with of_other_prices as (
            select distinct provider, model, processing from (
                (from raw.rates_in_marts except from new_rates)
                union all (from new_rates except from raw.rates_in_marts)
            )
        ),
        of_other_contexts as (
            select distinct customer_id, provider, model from (
                (from raw.contexts_in_marts except from new_contexts)
                union all (from new_contexts except from raw.contexts_in_marts)
            )
        ),
        staying as (
            select * from marts.usage_quarter_hourly
            where not list_contains($rebuilt::date[], occurred_date)
        )
        select distinct * from (
            select staying.occurred_date, false
            from staying
            inner join of_other_prices using (provider, model, processing)
            left join new_rates as everybodys on everybodys.customer_id = {EVERYBODY}
                and {_holds_for("everybodys")}
            left join new_rates as own on own.customer_id = staying.customer_id
                and {_holds_for("own")}
            where coalesce(own.rate_id, everybodys.rate_id, {NO_RATE}) <> staying.rate_id
            union all
            select staying.occurred_date, true
            from staying
            inner join of_other_contexts as other using (provider, model)
            where other.customer_id in ({EVERYBODY}, staying.customer_id)
        )
        """,
        {"rebuilt": list(rebuilt)},
    ).fetchall()


def _holds_for(rate: str) -> str:
    """SQL: whether a row of rates is about the name of a row of the mart, and its quarter hour."""
    same = " and ".join(
        f"staying.{name} = {rate}.{name}"
        for name in ("provider", "model", "processing", "context_over_tokens")
    )
    quarter = "extract(hour from staying.bucket_start) * 4"
    quarter += " + extract(minute from staying.bucket_start) // 15"
    return (
        f"{same} and staying.bucket_start >= {rate}.valid_from"
        f" and staying.bucket_start < {rate}.valid_to"
        f" and {quarter} >= {rate}.quarter_from and {quarter} < {rate}.quarter_to"
    )


def _resolve(
    warehouse: duckdb.DuckDBPyConnection, price_book: PriceBook, names: Iterable[Name]
) -> dict[tuple[str, str], Resolved]:
    """What each provider and model means; known ones are not looked up again."""
    wanted = {(provider, model): None for provider, model, _ in names}
    known = {
        (row[0], row[1]): Resolved(*row)
        for row in warehouse.execute(
            "select provider, model, priced_provider, priced_model, found_by, standard_prices_only "
            "from raw.resolved_models where names_id = ?",
            [price_book.names_id],
        ).fetchall()
    }
    return {name: known.get(name) or price_book.resolve(*name) for name in wanted}


def _rates(
    price_book: PriceBook, resolved: Mapping[tuple[str, str], Resolved], names: Iterable[Name]
) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """Rows of `rates` and of `price_contexts`."""
    processings: dict[tuple[str, str], list[str]] = {}
    for provider, model, processing in names:
        processings.setdefault((provider, model), []).append(processing)
    worked_out: dict[tuple[Any, ...], list[Span]] = {}
    rates: list[tuple[Any, ...]] = []
    contexts: list[tuple[Any, ...]] = []
    for name, of_name in processings.items():
        meaning = resolved[name]
        if meaning.named is None:
            continue
        for customer in (None, *price_book.customers_of(meaning)):
            prices = tuple(price_book.prices_of(meaning, customer))
            owner = EVERYBODY if customer is None else customer
            over = thresholds(prices)
            if len(over) > 1 or customer is not None:
                ends = [*over[1:], MAX_COUNT * 100]
                contexts += [
                    (owner, *name, start, start + (start > 0), end)
                    for start, end in zip(over, ends, strict=True)
                ]
            has_fee = price_book.has_left_out_fee(meaning)
            for processing in of_name:
                for context in over:
                    key = (prices, processing, context)
                    if key not in worked_out:
                        worked_out[key] = spans(prices, processing, context)
                    for span in worked_out[key]:
                        if span.rate == NO_PRICE and customer is None:
                            continue
                        number = rate_id(owner, name, processing, context, span.rate, has_fee)
                        row = _row(owner, name, processing, context, span, has_fee)
                        rates.append((number, *row))
    return rates, contexts


def _row(
    owner: int, name: tuple[str, str], processing: str, context: int, span: Span, has_fee: bool
) -> tuple[Any, ...]:
    return (
        owner,
        *name,
        processing,
        context,
        span.valid_from.isoformat(sep=" "),
        span.valid_to.isoformat(sep=" "),
        span.quarter_from,
        span.quarter_to,
        *(None if each.usd is None else _text(each.usd, 12) for each in span.rate),
        *(each.is_assumed for each in span.rate),
        has_fee,
    )


def _listed(price: Price) -> tuple[Any, ...]:
    """A row of `price_book`."""
    return (
        price.customer_id,
        price.provider,
        price.model,
        price.token_class,
        price.processing,
        price.context_over_tokens,
        _text(price.usd_per_million, 6),
        price.valid_from and price.valid_from.isoformat(sep=" "),
        price.valid_to and price.valid_to.isoformat(sep=" "),
        _time(price.utc_from),
        _time(price.utc_to),
        "price list" if price.is_listed else "delivered",
    )


def _text(amount: int, decimals: int) -> str:
    return f"{Decimal(amount).scaleb(-decimals):f}"


def _time(quarter: int | None) -> str | None:
    return None if quarter is None else f"{quarter // 4:02}:{quarter % 4 * 15:02}"


def fill(warehouse: duckdb.DuckDBPyConnection, table: str, rows: Iterable[tuple[Any, ...]]) -> None:
    """Replace the rows of one of these tables, in one statement however many there are."""
    warehouse.execute(f"delete from raw.{table}")
    _insert(warehouse, f"raw.{table}", TABLES[table], rows)


def _insert(
    warehouse: duckdb.DuckDBPyConnection,
    table: str,
    columns: Mapping[str, str],
    rows: Iterable[tuple[Any, ...]],
) -> None:
    objects = [dict(zip(columns, row, strict=True)) for row in rows]
    if objects:
        warehouse.execute(
            f"insert into {table} select unnest(from_json(?, ?), recursive := true)",
            [json.dumps(objects), json.dumps([dict(columns)])],
        )
