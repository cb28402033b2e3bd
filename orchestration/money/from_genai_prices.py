"""Makes the built-in price list from the package genai-prices: `make prices`.

Facts only: prices, by whom and from when, and which names mean which model. A person looks at what
changes (`git diff dbt_project/price_list`) before it is used.
"""

from __future__ import annotations

import csv
import hashlib
import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Context, Decimal
from importlib.metadata import files, version
from itertools import pairwise
from pathlib import Path
from typing import Any

from genai_prices import types as listed
from genai_prices.data import providers as all_providers

from orchestration.money.price_list import FREE_MODELS, LEFT_OUT, NAMES, PRICE_LIST, SOURCE

CLASSES = {
    "input_mtok": "input",
    "cache_read_mtok": "cache_read_input",
    "cache_write_mtok": "cache_write_input",
    "cache_write_1h_mtok": "cache_write_1h_input",
    "input_audio_mtok": "audio_input",
    "input_image_mtok": "image_input",
    "cache_audio_read_mtok": "cache_read_audio_input",
    "cache_image_read_mtok": "cache_read_image_input",
    "output_mtok": "output",
    "output_reasoning_mtok": "reasoning_output",
    "output_audio_mtok": "audio_output",
    "output_image_mtok": "image_output",
}
"""The token class of each price of the list that is one of tokens."""

PROCESSINGS = {
    ("processing", "batch"): "batch",
    ("service_tier", "flex"): "flex",
    ("service_tier", "priority"): "priority",
    ("service_tier", "fast"): "fast",
    ("speed", "fast"): "fast",
}
"""What a variant of the prices is asked for by, and how that is processed."""
STANDARD_VARIANT = ("service_tier", "default")

FEE_PER_REQUEST = "requests_kcount"

_FLOAT_NOISE = Context(prec=12, rounding=ROUND_HALF_UP)
_MILLIONTH = Decimal("0.000001")
_MIDNIGHT = time(0)


@dataclass(frozen=True)
class Cell:
    """A span of dates and a stretch of the day in which the same prices hold."""

    valid_from: date | None
    valid_to: date | None
    utc_from: time | None = None
    utc_to: time | None = None


def rounded(price: Decimal) -> Decimal:
    """To 12 significant digits, which takes the noise of floating point away, then to 6 decimals,
    half away from zero."""
    return _FLOAT_NOISE.plus(price).quantize(_MILLIONTH, rounding=ROUND_HALF_UP)


def main(folder: Path) -> None:
    """Write the list into a folder, and say what rounding changed."""
    free = set((folder / FREE_MODELS).read_text(encoding="utf-8").split())
    rows: list[list[Any]] = []
    left_out: list[list[Any]] = []
    for provider in all_providers:
        for model in provider.models:
            is_free = model.id.endswith(":free") or f"{provider.id}/{model.id}" in free
            for processing, cell, prices in _price_sets(model):
                if not prices and processing == "standard":
                    if is_free:
                        prices = {"input_mtok": Decimal(0), "output_mtok": Decimal(0)}
                    else:
                        left_out.append([provider.id, model.id, processing, "", "", "no price"])
                for name, price in prices.items():
                    _add(rows, left_out, (provider.id, model.id, processing), cell, name, price)
            left_out += _unknown_variants(provider.id, model)
    _write(
        folder / PRICE_LIST,
        "provider,model,token_class,processing,context_over_tokens,usd_per_million,"
        "valid_from,valid_to,utc_from,utc_to",
        rows,
    )
    _write(
        folder / LEFT_OUT,
        "provider,model,processing,unit,usd,reason",
        list(map(list, dict.fromkeys(map(tuple, left_out)))),
    )
    (folder / NAMES).write_text(
        json.dumps([_names_of(each) for each in all_providers], indent=0, ensure_ascii=False)
        + "\n",
        encoding="utf-8",
    )
    (folder / SOURCE).write_text(
        json.dumps(
            {
                "package": "genai-prices",
                "version": version("genai-prices"),
                "license": "MIT",
                "sha256": _hash_of_package(),
            },
            indent=2,
        )
        + "\n",
        encoding="utf-8",
    )
    print(f"{len(rows)} prices, {len(left_out)} left out")


def _add(
    rows: list[list[Any]],
    left_out: list[list[Any]],
    key: tuple[str, str, str],
    cell: Cell,
    name: str,
    price: Any,
) -> None:
    """One price of the list, with its thresholds."""
    provider, model, processing = key
    if name not in CLASSES:
        base = price.base if isinstance(price, listed.TieredPrices) else price
        reason = "fee per request" if name == FEE_PER_REQUEST else "not a price of tokens"
        left_out.append([provider, model, processing, name, base, reason])
        return
    steps = [(0, price)]
    if isinstance(price, listed.TieredPrices):
        steps = [(0, price.base), *((tier.start, tier.price) for tier in price.tiers)]
    for over, usd in steps:
        exact = rounded(usd)
        if exact != usd:
            print(f"rounded: {provider} {model} {name} {usd} -> {exact.normalize():f}")
        rows.append(
            [
                provider,
                model,
                CLASSES[name],
                processing,
                over,
                f"{exact.normalize():f}",
                *(
                    "" if each is None else each.isoformat()
                    for each in (cell.valid_from, cell.valid_to)
                ),
                *("" if each is None else f"{each:%H:%M}" for each in (cell.utc_from, cell.utc_to)),
            ]
        )


def _price_sets(model: listed.ModelInfo) -> Iterator[tuple[str, Cell, dict[str, Any]]]:
    """Each processing's prices wherever they hold: all of `standard`, what others change of it."""
    conditions = [] if isinstance(model.prices, listed.ModelPrice) else list(model.prices)
    variants = model.price_variants or []
    constraints = [each.constraint for each in conditions]
    constraints += [each.constraint for each in variants]
    cells = [(cell, _instant_in(cell)) for cell in _cells(constraints)]
    standard = [(cell, _values(model.get_prices(at))) for cell, at in cells]
    yield from (("standard", cell, prices) for cell, prices in _joined(standard))
    for processing in dict.fromkeys(PROCESSINGS.values()):
        of_variant = [(cell, _changed(variants, processing, at)) for cell, at in cells]
        yield from ((processing, cell, prices) for cell, prices in _joined(of_variant) if prices)


def _changed(
    variants: Iterable[listed.PriceVariant], processing: str, at: datetime
) -> dict[str, Any]:
    """What a processing changes at an instant; of several variants the first says it."""
    found: dict[str, Any] = {}
    for variant in variants:
        keys = list(variant.when.items())
        if len(keys) != 1 or PROCESSINGS.get(keys[0]) != processing:
            continue
        if variant.constraint is None or variant.constraint.active(at):
            found = {**_values(variant.prices), **found}
    return found


def _unknown_variants(provider: str, model: listed.ModelInfo) -> Iterator[list[Any]]:
    """Prices that are asked for in another way: by a route, or a kind of search."""
    for variant in model.price_variants or []:
        keys = list(variant.when.items())
        if len(keys) == 1 and (keys[0] in PROCESSINGS or keys[0] == STANDARD_VARIANT):
            continue
        when = " and ".join(f"{key} {value}" for key, value in keys)
        for name, price in _values(variant.prices).items():
            base = price.base if isinstance(price, listed.TieredPrices) else price
            yield [provider, model.id, "standard", name, base, f"only by {when}"]


def _values(prices: listed.ModelPrice) -> dict[str, Any]:
    return {name: price for name, price in prices.__dict__.items() if price is not None}


def _cells(constraints: Iterable[Any]) -> list[Cell]:
    """The spans in which no constraint begins or ends to hold."""
    known = list(constraints)
    dates = sorted({c.start_date for c in known if isinstance(c, listed.StartDateConstraint)})
    times = sorted(
        {
            instant.replace(tzinfo=None)
            for c in known
            if isinstance(c, listed.TimeOfDateConstraint)
            for instant in (c.start_time, c.end_time)
        }
    )
    edges: list[date | None] = [None, *dates, None]
    spans = [Cell(start, end) for start, end in pairwise(edges)]
    if not times:
        return spans
    stretches = list(zip(times, [*times[1:], times[0]], strict=True))
    return [replace(span, utc_from=start, utc_to=end) for span in spans for start, end in stretches]


def _instant_in(cell: Cell) -> datetime:
    """An instant at which the prices of a cell hold."""
    day = cell.valid_from or (cell.valid_to or date(2020, 1, 2)) - timedelta(days=1)
    return datetime.combine(day, cell.utc_from or _MIDNIGHT, tzinfo=UTC)


def _joined(cells: list[tuple[Cell, dict[str, Any]]]) -> list[tuple[Cell, dict[str, Any]]]:
    """Neighbouring spans of the same prices as one; stretches of a day as a whole day where its
    prices do not change."""
    by_span: dict[tuple[date | None, date | None], list[tuple[Cell, dict[str, Any]]]] = {}
    for cell, prices in cells:
        by_span.setdefault((cell.valid_from, cell.valid_to), []).append((cell, prices))
    spans: list[tuple[Cell, list[tuple[time | None, time | None, dict[str, Any]]]]] = []
    for (start, end), of_span in by_span.items():
        days = [(cell.utc_from, cell.utc_to, prices) for cell, prices in of_span]
        if all(prices == days[0][2] for _, _, prices in days):
            days = [(None, None, days[0][2])]
        else:
            merged = [days[0]]
            for utc_from, utc_to, prices in days[1:]:
                if prices == merged[-1][2]:
                    merged[-1] = (merged[-1][0], utc_to, prices)
                else:
                    merged.append((utc_from, utc_to, prices))
            if len(merged) > 1 and merged[-1][2] == merged[0][2]:
                last = merged.pop()
                merged[0] = (last[0], merged[0][1], last[2])
            days = merged
        if spans and spans[-1][1] == days:
            spans[-1] = (replace(spans[-1][0], valid_to=end), days)
        else:
            spans.append((Cell(start, end), days))
    return [
        (replace(span, utc_from=utc_from, utc_to=utc_to), prices)
        for span, days in spans
        for utc_from, utc_to, prices in days
    ]


def _names_of(provider: listed.Provider) -> dict[str, Any]:
    """Which names mean the provider and its models, and whose models it offers besides."""
    return {
        "provider": provider.id,
        "provider_match": _clause(provider.provider_match),
        "model_match": _clause(provider.model_match),
        "fallback": provider.fallback_model_providers or [],
        "models": [[model.id, _clause(model.match)] for model in provider.models],
    }


def _clause(clause: Any) -> Any:
    """A rule as JSON: `{"equals": …}`, or `{"or": […]}` of others."""
    if clause is None:
        return None
    ((name, value),) = vars(clause).items()
    if isinstance(value, list):
        return {name.rstrip("_"): [_clause(each) for each in value]}
    return {name: value}


def _hash_of_package() -> str:
    """SHA-256 over the package's own files."""
    digest = hashlib.sha256()
    for file in sorted(files("genai-prices") or [], key=str):
        if str(file).startswith("genai_prices/") and str(file).endswith(".py"):
            digest.update(str(file).encode() + b"\0" + Path(str(file.locate())).read_bytes())
    return digest.hexdigest()


def _write(path: Path, head: str, rows: list[list[Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(head.split(","))
        writer.writerows(rows)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
