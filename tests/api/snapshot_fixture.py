"""A small real snapshot, made with DuckDB from literal rows, published as the pipeline does it.

Only quarter hours are written by hand; the daily marts are their sums. To try the API by hand:

    PYTHONPATH=tests/api python -c "import snapshot_fixture; snapshot_fixture.serve_sample()"
"""

import pickle
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any

import duckdb

from api.auth.keys import KeyStore
from api.server.workers import serve
from api.settings import ServingSettings

TIERS = Path(__file__).resolve().parents[2] / "dbt_project" / "seeds" / "retention_policies.csv"
NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
PUBLISHED_AT = datetime(2026, 3, 10, 11, 5)
RECOUNTED_AT = datetime(2026, 3, 10, 3, 0)

ANOMALIES = ("total_mismatches", "conflicting_duplicates", "received_in_future", "withdrawn")
PARTS = (
    *("cache_read_input", "cache_write_input", "cache_write_1h_input", "audio_input"),
    *("image_input", "cache_read_audio_input", "cache_read_image_input", "reasoning_output"),
    *("audio_output", "image_output"),
)
CLASSES = (*PARTS, "input", "output")
USAGE = (
    "event_count",
    "message_count",
    "error_count",
    "input_tokens",
    "output_tokens",
    "total_tokens",
    "message_tokens",
    "message_input_tokens",
    "response_time_ms_sum",
    "response_time_count",
    "timed_output_tokens",
    "uncached_input_tokens",
    *(f"{part}_tokens" for part in PARTS),
    "cache_reported_input_tokens",
    "tool_calls",
    *(f"class_{token_class}_tokens" for token_class in CLASSES),
    "unclassed_input_tokens",
    "unclassed_output_tokens",
    "token_classes_exceed_total",
    *("cost_usd", "unpriced_tokens", "assumed_price_tokens", "left_out_fee_events"),
    *("reported_cost_usd", "reported_cost_events"),
)
COSTS = ("cost_usd", "unpriced_tokens", "assumed_price_tokens", "left_out_fee_events")
USD_PER_TOKEN = {
    "claude-sonnet-4": ("0.000003", "0.000015"),
    "gpt-4o": ("0.0000025", "0.00001"),
    "B": ("0.000003", "0.000015"),
    "a": (None, "0.000002"),
}
"""Of all classes of input and of output, by model; others have no price, as tokens of no class."""
ERRORS = ("error_count", "input_tokens", "output_tokens", "total_tokens", *COSTS)
COMPLIANCE = (
    "scan_count",
    "scanned_messages",
    "toxic_messages",
    "messages_with_pii",
    "pii_redactions",
)
FEEDBACK = ("rating_count", "rating_sum", *(f"rating_{stars}_count" for stars in range(1, 6)))

# Each mart of quarter hours: its dimensions and measures; and each daily mart made of it.
QUARTER_HOURLY = {
    "usage_quarter_hourly": (
        "customer_id bigint, agent_id bigint, agent_type_id bigint, model varchar,"
        " provider varchar, processing varchar,"
        " response_time_buckets integer[], time_to_first_token_buckets integer[]",
        USAGE,
    ),
    "usage_attribute_quarter_hourly": (
        "customer_id bigint, attribute varchar, value varchar, agent_type_id bigint, model varchar,"
        " provider varchar, processing varchar",
        USAGE,
    ),
    "errors_quarter_hourly": (
        "customer_id bigint, agent_id bigint, agent_type_id bigint, model varchar,"
        " provider varchar, processing varchar, error_type varchar",
        ERRORS,
    ),
    "compliance_quarter_hourly": (
        "customer_id bigint, agent_id bigint, agent_type_id bigint, model varchar",
        COMPLIANCE,
    ),
    "pii_quarter_hourly": (
        "customer_id bigint, agent_id bigint, agent_type_id bigint, model varchar,"
        " entity_type varchar",
        ("pii_redactions",),
    ),
    "feedback_quarter_hourly": (
        "customer_id bigint, agent_id bigint, agent_type_id bigint, model varchar,"
        " load_bucket varchar",
        FEEDBACK,
    ),
}
DAILY = {
    "customer_daily": ("usage_quarter_hourly", "customer_id", USAGE),
    "agent_daily": ("usage_quarter_hourly", "customer_id, agent_id", USAGE),
    "model_daily": ("usage_quarter_hourly", "customer_id, model", USAGE),
    "agent_type_model_daily": ("usage_quarter_hourly", "customer_id, agent_type_id, model", USAGE),
    "provider_daily": (
        "usage_quarter_hourly",
        "customer_id, agent_type_id, model, provider, processing",
        USAGE,
    ),
    "usage_attribute_daily": (
        "usage_attribute_quarter_hourly",
        "customer_id, attribute, value, agent_type_id, model",
        USAGE,
    ),
    "errors_daily": (
        "errors_quarter_hourly",
        "customer_id, agent_id, agent_type_id, model, provider, processing, error_type",
        ERRORS,
    ),
    "compliance_daily": (
        "compliance_quarter_hourly",
        "customer_id, agent_id, agent_type_id, model",
        COMPLIANCE,
    ),
    "compliance_agent_type_daily": (
        "compliance_quarter_hourly",
        "customer_id, agent_type_id",
        COMPLIANCE,
    ),
    "pii_daily": (
        "pii_quarter_hourly",
        "customer_id, agent_id, agent_type_id, model, entity_type",
        ("pii_redactions",),
    ),
    "pii_agent_type_daily": (
        "pii_quarter_hourly",
        "customer_id, agent_type_id, entity_type",
        ("pii_redactions",),
    ),
    "feedback_daily": (
        "feedback_quarter_hourly",
        "customer_id, agent_id, agent_type_id, model, load_bucket",
        FEEDBACK,
    ),
    "load_bucket_daily": (
        "feedback_quarter_hourly",
        "customer_id, agent_type_id, load_bucket",
        FEEDBACK,
    ),
}


@dataclass
class Marts:
    """Rows of the marts: tuples in column order without `occurred_date`; times are text."""

    usage: list[tuple[Any, ...]] = field(default_factory=list)
    """See `usage`."""
    errors: list[tuple[Any, ...]] = field(default_factory=list)
    """customer, agent, agent type, model, provider, processing, error type, 8 measures of errors,
    bucket_start: `usage` has these attempts as well"""
    compliance: list[tuple[Any, ...]] = field(default_factory=list)
    """customer, agent type, 5 compliance measures, bucket_start; then agent and model, if any"""
    pii: list[tuple[Any, ...]] = field(default_factory=list)
    """customer, agent type, entity type, redactions, bucket_start; then agent and model, if any"""
    feedback: list[tuple[Any, ...]] = field(default_factory=list)
    """customer, agent type, load bucket, 7 feedback measures, bucket_start; then agent and model,
    if any"""
    attributes: list[tuple[Any, ...]] = field(default_factory=list)
    """customer, attribute, value, agent type, model, provider, processing, measures of usage,
    bucket_start: see `of_attribute`"""
    end_users: list[tuple[Any, ...]] = field(default_factory=list)
    """customer, agent, agent type, end user's key, quarter hours of the date, date"""
    sessions: list[tuple[Any, ...]] = field(default_factory=list)
    """customer, agent, agent type, session's key, quarter hours of the date, date"""
    customers: list[tuple[Any, ...]] = field(default_factory=list)
    """customer, name, tier, retention days"""
    time_zones: list[tuple[Any, ...]] = field(default_factory=list)
    """customer, time zone"""
    tiers: list[tuple[Any, ...]] = field(default_factory=list)
    """tier, requests a minute, daily token budget: of those that are not as built in"""
    agents: list[tuple[Any, ...]] = field(default_factory=list)
    """customer, agent, agent type, name"""
    agent_types: list[tuple[Any, ...]] = field(default_factory=list)
    """customer, agent type, name, model"""
    deliveries: list[tuple[Any, ...]] = field(default_factory=list)
    """stream, customer, reason, is dated, 6 counts, newest event, bucket_start: see `delivery`"""
    recounts: list[tuple[Any, ...]] = field(default_factory=list)
    """stream, customer, what does not add up, date"""
    deletions: list[tuple[Any, ...]] = field(default_factory=list)
    backtests: list[tuple[Any, ...]] = field(default_factory=list)
    """Of all customers: metric, days ahead, forecasts, those covered, and the two bounds."""
    """customer, table, cutoff, rows, oldest and newest deleted, deleted at"""


def ratings(*counts: int) -> tuple[int, ...]:
    """The feedback measures of so many ratings with 1, 2, 3, 4 and 5 stars."""
    stars = sum(star * count for star, count in enumerate(counts, start=1))
    return (sum(counts), stars, *counts)


def usage(
    customer: int,
    agent: int,
    agent_type: int,
    model: str,
    bucket: str,
    response_times: Sequence[int] = (),
    *,
    provider: str = "unknown",
    processing: str = "standard",
    times_to_first_token: Sequence[int] = (),
    **measures: int,
) -> tuple[Any, ...]:
    """A usage row; total_tokens is input + output, response_time_count the number of
    `response_times`, all is of messages and of no other class but input and output, and other
    measures not given are 0.

    Times in ms are below 100: each is a bucket of its own, with the same number.
    """
    tokens = {side: measures.get(f"{side}_tokens", 0) for side in ("input", "output")}
    defaults = {
        "event_count": measures.get("message_count", 0) + measures.get("error_count", 0),
        "total_tokens": sum(tokens.values()),
        "message_tokens": sum(tokens.values()),
        "message_input_tokens": tokens["input"],
        "uncached_input_tokens": tokens["input"],
        "class_input_tokens": tokens["input"],
        "class_output_tokens": tokens["output"],
        "response_time_count": len(response_times),
    }
    values: dict[str, Any] = {**dict.fromkeys(USAGE, 0), **defaults, **measures}
    if "cost_usd" not in measures:
        values |= _costs(model, values)
    keys = (customer, agent, agent_type, model, provider, processing)
    lists = (sorted(response_times), sorted(times_to_first_token))
    return (*keys, *lists, *(values[name] for name in USAGE), bucket)


def of_attribute(attribute: str, value: str, usage_row: tuple[Any, ...]) -> tuple[Any, ...]:
    """What a row of `usage` is by the value of an attribute."""
    customer, _agent, *dimensions = usage_row[:6]
    return (customer, attribute, value, *dimensions, *usage_row[8:])


def _costs(model: str, values: dict[str, Any]) -> dict[str, Any]:
    """What the tokens cost."""
    usd, unpriced = Decimal(0), 0
    prices = USD_PER_TOKEN.get(model, (None, None))
    for side, price in zip(("input", "output"), prices, strict=True):
        unclassed = values[f"unclassed_{side}_tokens"]
        priced = values[f"{side}_tokens"] - unclassed
        unpriced += unclassed if price is not None else priced + unclassed
        usd += Decimal(price or 0) * priced
    return {"cost_usd": usd, "unpriced_tokens": unpriced}


def usage_columns(**given: str) -> str:
    """SQL of a usage mart's columns but for ids, model and time: `given` ones, of messages alone,
    and 0 for all others."""
    tokens = f"({given['input_tokens']} + {given['output_tokens']})"
    values = dict.fromkeys(USAGE, "0") | {
        "event_count": given["message_count"],
        "total_tokens": tokens,
        "message_tokens": tokens,
        "message_input_tokens": given["input_tokens"],
        "uncached_input_tokens": given["input_tokens"],
        "class_input_tokens": given["input_tokens"],
        "class_output_tokens": given["output_tokens"],
        "unpriced_tokens": tokens,
        **given,
    }
    measures = [f"cast({value} as {_type_of(name)}) as {name}" for name, value in values.items()]
    return ", ".join(["'unknown' as provider", "'standard' as processing", *measures])


def _with_agent_and_model(row: tuple[Any, ...], length: int) -> tuple[Any, ...]:
    """A row of a mart by agent and model, of one that has them at its end, or none."""
    customer, agent_type, *rest = row[:length]
    agent, model = row[length:] or (1, "unknown")
    return (customer, agent, agent_type, model, *rest)


def delivery(
    stream: str,
    customer: int | None,
    bucket: str,
    *,
    reason: str | None = None,
    is_dated: bool = True,
    newest: str | None = None,
    **counts: int,
) -> tuple[Any, ...]:
    """Rows of one quarter hour: `accepted` and `duplicates`, or `rejected` with a reason."""
    parts = [counts.get(name, 0) for name in ("accepted", "duplicates", "rejected")]
    anomalies = [counts.get(name, 0) for name in ANOMALIES]
    return (stream, customer, reason, is_dated, sum(parts), *parts, *anomalies, newest, bucket)


def publish(
    home: Path,
    marts: Marts,
    *,
    snapshot_id: str = "20260310T110500Z-00000001",
    data_as_of: datetime | None = datetime(2026, 3, 10, 11, 0),
) -> Path:
    """Write a snapshot of these rows and let CURRENT name it; return the file."""
    folder = home / "snapshots"
    path = folder / snapshot_id / "agentstats.duckdb"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        file.write(_snapshot_of(pickle.dumps(marts), snapshot_id, data_as_of))
    point_to(folder, str(path.relative_to(folder)))
    return path


@lru_cache(maxsize=8)
def _snapshot_of(pickled: bytes, snapshot_id: str, data_as_of: datetime | None) -> bytes:
    """The file with these rows. It depends on nothing else, so that most tests share the sample."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "snapshot.duckdb"
        _write(path, pickle.loads(pickled), snapshot_id, data_as_of)
        return path.read_bytes()


def _write(path: Path, marts: Marts, snapshot_id: str, data_as_of: datetime | None) -> None:
    with duckdb.connect(str(path)) as connection:
        connection.execute("begin")
        connection.execute("create schema marts")
        written = {
            "usage_quarter_hourly": marts.usage,
            "usage_attribute_quarter_hourly": marts.attributes,
            "errors_quarter_hourly": marts.errors,
            "compliance_quarter_hourly": [_with_agent_and_model(r, 8) for r in marts.compliance],
            "pii_quarter_hourly": [_with_agent_and_model(r, 5) for r in marts.pii],
            "feedback_quarter_hourly": [_with_agent_and_model(r, 11) for r in marts.feedback],
        }
        for name, (dimensions, measures) in QUARTER_HOURLY.items():
            columns = ", ".join(f"{measure} {_type_of(measure)}" for measure in measures)
            _table(
                connection,
                name,
                f"{dimensions}, {columns}, bucket_start timestamp, occurred_date date",
                [(*row, row[-1][:10]) for row in written[name]],
            )
        for name, (source, dimensions, measures) in DAILY.items():
            sums = ", ".join(
                f"cast(sum({measure}) as {_type_of(measure)}) as {measure}" for measure in measures
            )
            connection.execute(
                f"create table marts.{name} as select {dimensions}, {sums}, occurred_date"
                f" from marts.{source} group by {dimensions}, occurred_date"
                " order by customer_id, occurred_date"
            )
        _write_costs_by_class(connection)
        names = dict.fromkeys(attribute for _, attribute, *_ in marts.attributes)
        _table(connection, "attributes", "name varchar", [(name,) for name in names])
        for name, counted in (("end_user", marts.end_users), ("session", marts.sessions)):
            _table(
                connection,
                f"{name}_daily",
                f"customer_id bigint, agent_id bigint, agent_type_id bigint, {name}_key bigint,"
                " quarter_hours integer[], active_quarter_hours bigint, occurred_date date",
                [(*row[:-1], len(row[-2]), row[-1]) for row in counted],
            )
        _table(
            connection,
            "customers",
            "customer_id bigint, customer_name varchar, tier varchar, retention_days bigint,"
            " time_zone varchar, updated_at timestamp, covered_from date, data_from date,"
            " retention_from date, first_event_at timestamp, newest_event_at timestamp",
            [
                (
                    *row,
                    dict(marts.time_zones).get(row[0]),
                    *("2026-01-01", None),
                    *_event_times(row[0], *written.values()),
                )
                for row in marts.customers
            ],
        )
        connection.execute(
            f"create table marts.tiers as select *, cast(null as bigint) as requests_per_minute"
            f" from read_csv('{TIERS}', types = {{'daily_token_budget': 'bigint'}})"
        )
        for tier, requests_per_minute, daily_token_budget in marts.tiers:
            connection.execute("delete from marts.tiers where tier = ?", [tier])
            connection.execute(
                "insert into marts.tiers by name select ? as tier, ? as requests_per_minute,"
                " ? as daily_token_budget",
                [tier, requests_per_minute, daily_token_budget],
            )
        _table(
            connection,
            "agents",
            "customer_id bigint, agent_id bigint, agent_type_id bigint, agent_name varchar,"
            " updated_at timestamp",
            [(*row, "2026-01-01") for row in marts.agents],
        )
        _table(
            connection,
            "agent_types",
            "customer_id bigint, agent_type_id bigint, agent_type_name varchar, model varchar,"
            " updated_at timestamp",
            [(*row, "2026-01-01") for row in marts.agent_types],
        )
        _table(
            connection,
            "delivery_quarter_hourly",
            "stream varchar, customer_id bigint, reason varchar, is_dated boolean,"
            " delivered bigint, accepted bigint, duplicates bigint, rejected bigint,"
            f" {', '.join(f'{name} bigint' for name in ANOMALIES)}, newest_event_at timestamp,"
            " bucket_start timestamp, occurred_date date",
            [(*row, row[-1][:10]) for row in marts.deliveries],
        )
        _table(
            connection,
            "reconciliation",
            "stream varchar, customer_id bigint, difference bigint, occurred_date date",
            marts.recounts,
        )
        _table(
            connection,
            "retention_ledger",
            "customer_id bigint, table_name varchar, cutoff timestamp, rows_deleted bigint,"
            " oldest_deleted timestamp, newest_deleted timestamp, deleted_at timestamp",
            marts.deletions,
        )
        _table(
            connection,
            "forecast_backtest",
            "metric varchar, days_ahead integer, forecast_count bigint, covered_count bigint,"
            " low_bound double, high_bound double",
            marts.backtests,
        )
        _table(
            connection,
            "load_buckets",
            "load_bucket varchar, min_instances bigint, max_instances bigint,"
            " instances_range varchar",
            [("low", 1, 2, "1-2"), ("medium", 3, 5, "3-5"), ("high", 6, None, "6+")],
        )
        _table(
            connection,
            "response_time_buckets",
            "response_time_bucket bigint, from_ms bigint, to_ms bigint, middle_ms bigint",
            [(ms, ms, ms, ms) for ms in range(100)],
        )
        _table(
            connection,
            "snapshot_info",
            "snapshot_id varchar, published_at timestamp, data_as_of timestamp,"
            " schema_version integer, agentstats_version varchar, recounted_at timestamp,"
            " price_book varchar",
            [(snapshot_id, PUBLISHED_AT, data_as_of, 1, "0.1.0", RECOUNTED_AT, "list-1")],
        )
        connection.execute("commit")


def _type_of(measure: str) -> str:
    return "decimal(38, 12)" if measure.endswith("_usd") else "bigint"


def _write_costs_by_class(connection: duckdb.DuckDBPyConnection) -> None:
    """Costs by token class, by the same prices."""
    prices = ", ".join(
        f"('{model}', '{side}', {price})"
        for model, of_sides in USD_PER_TOKEN.items()
        for side, price in zip(("input", "output"), of_sides, strict=True)
        if price is not None
    )
    classes = [
        *((each, each.rsplit("_", 1)[-1], f"class_{each}_tokens") for each in CLASSES),
        ("input", "none", "unclassed_input_tokens"),
        ("output", "none", "unclassed_output_tokens"),
    ]
    names, sides, tokens = zip(*classes, strict=True)
    connection.execute(
        f"""
        create view marts.cost_quarter_hourly as
        with by_class as (
            select *, unnest({list(names)}) as token_class, unnest({list(sides)}) as side,
            unnest([{", ".join(tokens)}]) as tokens from marts.usage_quarter_hourly
        )
        select customer_id, agent_id, agent_type_id, by_class.model, provider, processing,
        token_class, tokens, bucket_start, occurred_date,
        cast(coalesce(tokens * cast(price.usd as decimal(18, 12)), 0) as decimal(38, 12))
            as cost_usd,
        case when price.usd is null then tokens else 0 end as unpriced_tokens,
        0 as assumed_price_tokens
        from by_class left join (values {prices}) as price (model, side, usd)
        on by_class.model = price.model and by_class.side = price.side
        where tokens > 0
        """
    )
    connection.execute(
        """
        create table marts.cost_daily as select customer_id, agent_type_id, model, provider,
        processing, token_class, cast(sum(tokens) as bigint) as tokens, sum(cost_usd) as cost_usd,
        cast(sum(unpriced_tokens) as bigint) as unpriced_tokens,
        cast(sum(assumed_price_tokens) as bigint) as assumed_price_tokens, occurred_date
        from marts.cost_quarter_hourly group by all order by customer_id, occurred_date
        """
    )


def _event_times(customer: int, *marts: list[tuple[Any, ...]]) -> tuple[Any, ...]:
    """data_from, no retention_from, first and newest event; the last two to the quarter hour."""
    times = sorted(row[-1] for rows in marts for row in rows if row[0] == customer)
    if not times:
        return (None, None, None, None)
    data_from = datetime.fromisoformat(times[0]).date() + timedelta(days=1)
    return (data_from, None, times[0], times[-1])


def point_to(folder: Path, name: str) -> None:
    """Let CURRENT name a file, by an atomic rename."""
    fresh = folder / "CURRENT.tmp"
    fresh.write_text(f"{name}\n")
    fresh.replace(folder / "CURRENT")


def _table(
    connection: duckdb.DuckDBPyConnection, name: str, columns: str, rows: list[tuple[Any, ...]]
) -> None:
    connection.execute(f"create table marts.{name} ({columns})")
    # Many rows a statement: DuckDB takes a millisecond for each statement, whatever is in it.
    for some in (rows[first : first + 100] for first in range(0, len(rows), 100)):
        row = f"({', '.join('?' for _ in some[0])})"
        connection.execute(
            f"insert into marts.{name} values {', '.join([row] * len(some))}",
            [value for each in some for value in each],
        )


ACME, BOREAL, QUIET, UNKNOWN_POLICY = 1, 2, 3, 4
USAGE_STREAM, SCAN_STREAM, RATING_STREAM = "agent_usage_events", "audit_events", "feedback_events"


def sample() -> Marts:
    """Customer 1 has everything, worked out by hand in the tests; 2 is another; 3 has no events.

    Customer 4 has no row in `customers`, so nothing of it is ever deleted.
    """
    return Marts(
        customers=[
            (ACME, "Acme", "pro", 90),
            (BOREAL, "Boreal", "free", 7),
            (QUIET, "Quiet", "starter", 30),
        ],
        agents=[
            (ACME, 42, 5, "Support Bot"),
            (ACME, 43, 5, "=1+1"),
            (BOREAL, 42, 5, "Another Bot"),
        ],
        agent_types=[
            (ACME, 5, "Customer Support", "claude-sonnet-4"),
            (ACME, 6, "@Billing", "gpt-4o"),
            (ACME, 8, "Never used", "gpt-4o"),
            (BOREAL, 5, "Other", None),
        ],
        usage=[
            # 2026-03-10, today in UTC.
            usage(ACME, 42, 5, "claude-sonnet-4", "2026-03-10 00:00", message_count=3,
                  input_tokens=300, output_tokens=100, response_time_ms_sum=2500,
                  response_time_count=2, timed_output_tokens=70),
            usage(ACME, 43, 5, "gpt-4o", "2026-03-10 09:45", message_count=1,
                  input_tokens=150, output_tokens=50, response_time_ms_sum=1000,
                  response_time_count=1, timed_output_tokens=50),
            # 2026-03-09: 18:15 UTC is the first quarter hour of 2026-03-10 in Kathmandu.
            usage(ACME, 42, 5, "gpt-4o", "2026-03-09 18:00", message_count=1,
                  input_tokens=10, output_tokens=0),
            usage(ACME, 42, 5, "gpt-4o", "2026-03-09 18:15", message_count=2,
                  input_tokens=150, output_tokens=50),
            # 44 has no name, and as many tokens as 43; its type 6 has a name that starts with @.
            usage(ACME, 44, 6, "unknown", "2026-03-05 12:00", message_count=2,
                  input_tokens=190, output_tokens=10, response_time_ms_sum=5,
                  response_time_count=2, timed_output_tokens=10),
            # Older than seven days, then older than the 90 days that are kept (2025-12-10).
            usage(ACME, 42, 5, "gpt-4o", "2026-02-20 00:00", message_count=10,
                  input_tokens=1000, output_tokens=1000),
            usage(ACME, 42, 5, "gpt-4o", "2025-12-10 00:00", message_count=100,
                  input_tokens=1, output_tokens=1),
            usage(ACME, 42, 5, "gpt-4o", "2025-12-09 23:45", message_count=1000,
                  input_tokens=1, output_tokens=1),
            usage(BOREAL, 42, 5, "secret-model", "2026-03-10 00:00", message_count=7,
                  input_tokens=70, output_tokens=7),
            usage(UNKNOWN_POLICY, 1, 1, "m", "2020-01-01 00:00", message_count=1,
                  input_tokens=1, output_tokens=1),
        ],
        compliance=[
            (ACME, 5, 4, 3, 1, 2, 5, "2026-03-10 00:00"),
            (ACME, 6, 1, 1, 0, 1, 2, "2026-03-05 12:00"),
            (ACME, 7, 1, 1, 1, 0, 0, "2026-03-04 12:00"),
            (BOREAL, 5, 9, 9, 9, 9, 9, "2026-03-10 00:00"),
        ],
        pii=[
            (ACME, 5, "PERSON", 3, "2026-03-10 00:00"),
            (ACME, 5, "EMAIL_ADDRESS", 2, "2026-03-10 00:00"),
            (ACME, 6, "IBAN_CODE", 2, "2026-03-05 12:00"),
            (BOREAL, 5, "SECRET", 9, "2026-03-10 00:00"),
        ],
        feedback=[
            (ACME, 5, "low", *ratings(0, 0, 0, 1, 1), "2026-03-10 00:00"),
            (ACME, 5, "high", *ratings(1, 0, 0, 1, 0), "2026-03-09 18:15"),
            (ACME, 5, "unknown", *ratings(0, 0, 1, 0, 0), "2026-03-09 18:00"),
            (ACME, 6, "medium", *ratings(0, 1, 0, 0, 4), "2026-03-05 12:00"),
            (ACME, 9, "low", *ratings(0, 0, 0, 0, 5), "2026-03-01 12:00"),
            (BOREAL, 5, "low", *ratings(9, 0, 0, 0, 0), "2026-03-10 00:00"),
        ],
        deliveries=[
            delivery(USAGE_STREAM, ACME, "2026-03-10 00:00", accepted=3, duplicates=2,
                     total_mismatches=1, conflicting_duplicates=1, received_in_future=2,
                     newest="2026-03-10 00:14:59.5"),
            delivery(USAGE_STREAM, ACME, "2026-03-10 00:00", reason="missing_agent_id", rejected=2),
            delivery(USAGE_STREAM, ACME, "2026-03-10 09:45", accepted=1,
                     newest="2026-03-10 09:46:00"),
            delivery(USAGE_STREAM, ACME, "2026-03-10 11:00", reason="expired", is_dated=False,
                     rejected=5),
            # 18:15 UTC is the first quarter hour of 2026-03-10 in Kathmandu.
            delivery(SCAN_STREAM, ACME, "2026-03-09 18:00", accepted=4, withdrawn=3,
                     newest="2026-03-09 18:14:59"),
            delivery(SCAN_STREAM, ACME, "2026-03-09 18:15", reason="invalid_is_toxic", rejected=2),
            delivery(RATING_STREAM, ACME, "2026-03-05 12:00", duplicates=7,
                     newest="2026-03-05 12:00:00"),
            # Older than the 90 days that are kept (2025-12-10).
            delivery(USAGE_STREAM, ACME, "2025-12-10 00:00", accepted=100,
                     newest="2025-12-10 00:00:00"),
            delivery(USAGE_STREAM, ACME, "2025-12-09 23:45", accepted=1000,
                     newest="2025-12-09 23:59:59"),
            delivery(USAGE_STREAM, BOREAL, "2026-03-10 00:00", accepted=7, duplicates=70,
                     newest="2026-03-10 00:14:59.999999"),
            delivery(USAGE_STREAM, None, "2026-03-10 00:00", reason="invalid_customer_id",
                     rejected=99),
        ],
        deletions=[
            (ACME, "agent_usage_events", "2025-12-10", 20, "2025-12-09 01:00",
             "2025-12-09 23:59", "2026-03-10 03:00"),
            (ACME, "feedback_events", "2025-12-10", 2, None, None, "2026-03-10 03:00"),
            (ACME, "agent_usage_events", "2025-12-09", 10, "2025-12-08 01:00",
             "2025-12-08 23:59", "2026-03-09 18:15"),
            (ACME, "agent_usage_events", "2025-01-01", 5, "2024-12-31 01:00",
             "2024-12-31 23:59", "2025-03-31 03:00"),
            (BOREAL, "agent_usage_events", "2026-03-03", 77, "2026-03-02", "2026-03-02",
             "2026-03-10 03:00"),
        ],
    )  # fmt: skip


def serve_sample() -> None:
    """Serve the sample on 127.0.0.1:8000 until stopped; prints a key of customer 1."""
    with tempfile.TemporaryDirectory() as folder:
        settings = ServingSettings(home=Path(folder), now=NOW)
        publish(settings.home, sample())
        _, key = KeyStore(settings.keys_path).create(ACME, "sample")
        print(f"curl -H 'X-API-Key: {key}' http://127.0.0.1:8000/api/stats/usage/summary")
        serve(settings)
