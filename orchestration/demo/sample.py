"""Generates the demo sample: landing files of every stream and format."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from importlib import resources
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb

from orchestration.demo import fleet as fleets
from orchestration.demo.files import LandingFile, write_landing_file

_RETENTION_DAYS = {"free": 7, "starter": 30, "pro": 90, "enterprise": 365}
_MAX_DAYS = 2557
_PERIOD_FORMATS = (
    "parquet", "csv.gz", "parquet", "ndjson.gz", "parquet", "jsonl", "parquet", "ndjson.gz",
)  # fmt: skip
"""Format of each period's usage file, oldest first; a small CSV of the last hours follows."""

_MODEL_FAMILIES = (
    # family, model, successor, days before now that the successor arrived, small model
    ("claude-sonnet", "claude-sonnet-4", "claude-sonnet-4-5", 46, "claude-haiku-4-5"),
    ("claude-haiku", "claude-3-5-haiku", "claude-haiku-4-5", 21, "gpt-4o-mini"),
    ("claude-opus", "claude-opus-4-1", "claude-opus-4-5", 9, "claude-haiku-4-5"),
    ("gpt-4", "gpt-4o", "gpt-4.1", 63, "gpt-4o-mini"),
    ("llama", "llama-3.3-70b", None, None, "llama-3.1-8b"),
)
_MODELS = (
    # model, ms to the first token, ms for each output token, spread of the latency (log scale)
    ("claude-sonnet-4", 720.0, 14.0, 0.35),
    ("claude-sonnet-4-5", 610.0, 11.5, 0.32),
    ("claude-3-5-haiku", 380.0, 8.0, 0.30),
    ("claude-haiku-4-5", 310.0, 6.0, 0.28),
    ("claude-opus-4-1", 1400.0, 24.0, 0.40),
    ("claude-opus-4-5", 1050.0, 17.0, 0.36),
    ("gpt-4o", 560.0, 11.0, 0.42),
    ("gpt-4.1", 500.0, 9.5, 0.38),
    ("gpt-4o-mini", 330.0, 6.5, 0.33),
    ("llama-3.3-70b", 450.0, 15.0, 0.50),
    ("llama-3.1-8b", 180.0, 4.0, 0.40),
)
_STEPS = 5
_INCIDENT_DAYS_AGO = 10


@dataclass(frozen=True)
class DemoSample:
    """What `generate` wrote.

    `customer_id` and `customer_name` are the largest customer's, on the tier enterprise;
    `load_sensitive_agent_type_id` is its agent type whose ratings fall at high load.
    `rows_by_stream` counts every row written, flawed and repeated ones too; `files` are
    complete paths, in the order of writing.
    """

    customer_id: int
    customer_name: str
    load_sensitive_agent_type_id: int
    rows_by_stream: Mapping[str, int]
    files: tuple[Path, ...]


def generate(
    landing: Path,
    *,
    now: datetime,
    seed: int = 20261122,
    days: int = 90,
    events: int = 240_000,
    progress: Callable[[str, int, int], None] | None = None,
) -> DemoSample:
    """Write a believable sample below `landing/<stream>/` and say what it holds.

    `events` is the number of good, distinct usage events between `days` days ago and `now`,
    none of them past the retention of its customer; repeated, conflicting, expired and broken
    rows come on top. The same `seed` and `now` give the same bytes. `progress` is called with
    the step's name, the steps done and the steps in all. Files of an earlier sample with the
    same name are replaced.

    Raises ValueError for a `now` without an offset, for days outside 1..2557 and for fewer than
    1 event.
    """
    if now.tzinfo is None:
        raise ValueError("now has no offset: pass an aware datetime, e.g. datetime.now(UTC)")
    if not 1 <= days <= _MAX_DAYS:
        raise ValueError(f"days is {days}: choose 1 to {_MAX_DAYS}")
    if events < 1:
        raise ValueError(f"events is {events}: choose at least 1")
    # Whole seconds, naive, UTC: what the sample's TIMESTAMP columns hold.
    now = now.astimezone(UTC).replace(microsecond=0, tzinfo=None)
    report = progress or _no_progress
    fleet = fleets.build_fleet(seed)

    # One thread, because the demo shares its machine with the person who waits for it, and the
    # row groups of a Parquet file then do not depend on the number of cores.
    with duckdb.connect(config={"threads": 1}) as connection:
        # It would go to standard output, where reports are read by machines.
        connection.execute("set enable_progress_bar = false")
        report("customers and agents", 0, _STEPS)
        _set_variables(connection, now=now, seed=seed, days=days, events=events)
        _create_fleet_tables(connection, fleet, now=now, days=days)
        for done, (label, script) in enumerate(
            (("usage", "usage"), ("scans", "compliance"), ("ratings", "feedback")), start=1
        ):
            report(label, done, _STEPS)
            connection.execute(_read_sql(script))
        report("files", _STEPS - 1, _STEPS)
        files, rows_by_stream = _write_files(connection, landing, now=now, days=days)
    report("done", _STEPS, _STEPS)

    largest = fleet.customers[0]
    return DemoSample(
        customer_id=largest.customer_id,
        customer_name=largest.customer_name,
        load_sensitive_agent_type_id=fleet.load_sensitive_agent_type_id,
        rows_by_stream=rows_by_stream,
        files=files,
    )


def _no_progress(_label: str, _done: int, _total: int) -> None:
    """Stand in for a progress callback that was not given."""


def _read_sql(name: str) -> str:
    return resources.files("orchestration.demo").joinpath(f"sql/{name}.sql").read_text("utf-8")


def _incident_date(now: datetime) -> date:
    """Return a working day about ten days ago, which every chart but the 7-day one shows."""
    candidate = now.date() - timedelta(days=_INCIDENT_DAYS_AGO)
    while candidate.isoweekday() > 5:
        candidate -= timedelta(days=1)
    return candidate


def _started_at(now: datetime, days: int) -> datetime:
    return datetime.combine(now.date() - timedelta(days=days), time.min)


def _set_variables(
    connection: duckdb.DuckDBPyConnection, *, now: datetime, seed: int, days: int, events: int
) -> None:
    connection.execute("set variable seed = $seed", {"seed": seed})
    connection.execute("set variable events = $events", {"events": events})
    connection.execute("set variable now = $now", {"now": now})
    connection.execute("set variable started_at = $start", {"start": _started_at(now, days)})
    connection.execute("set variable incident_date = $day", {"day": _incident_date(now)})
    connection.execute(_read_sql("macros"))


def _create_table(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    columns: Mapping[str, str],
    rows: Sequence[tuple[object, ...]],
) -> None:
    """Create a table from rows; one list parameter per column, since row-wise inserts are slow."""
    picks = ", ".join(
        f"unnest(${column}::{kind}[]) as {column}" for column, kind in columns.items()
    )
    values = {
        column: list(cells) for column, cells in zip(columns, zip(*rows, strict=True), strict=True)
    }
    connection.execute(f"create table {name} as select {picks}", values)


def _create_fleet_tables(
    connection: duckdb.DuckDBPyConnection, fleet: fleets.Fleet, *, now: datetime, days: int
) -> None:
    started_at = _started_at(now, days)
    weights_of_agents: dict[int, int] = {}
    agent_rows: list[tuple[object, ...]] = []
    for agent in fleet.agents:
        weight_from = weights_of_agents.get(agent.customer_id, 0)
        weights_of_agents[agent.customer_id] = weight_from + round(agent.weight * 1_000_000)
        agent_rows.append(
            (agent.agent_id, agent.customer_id, agent.agent_type_id, agent.agent_name,
             agent.former_name, agent.is_listed, weight_from)
        )  # fmt: skip

    weight_from = 0
    customer_rows: list[tuple[object, ...]] = []
    for customer in fleet.customers:
        retention_days = customer.retention_days or _RETENTION_DAYS[customer.tier]
        cutoff = datetime.combine(now.date() - timedelta(days=retention_days), time.min)
        kept_from = max(started_at, cutoff)
        # A short retention keeps less of the same daily traffic.
        weight = max(
            1, round(customer.weight * 1_000_000 * ((now - kept_from) / (now - started_at)))
        )
        customer_rows.append(
            (customer.customer_id, customer.customer_name, customer.tier, customer.retention_days,
             customer.zone, customer.weekend_factor, cutoff, kept_from, weight, weight_from,
             weights_of_agents[customer.customer_id])
        )  # fmt: skip
        weight_from += weight

    _create_table(
        connection,
        "customers",
        {"customer_id": "bigint", "customer_name": "varchar", "tier": "varchar",
         "retention_days": "bigint", "zone": "varchar", "weekend_factor": "double",
         "retention_cutoff": "timestamp", "kept_from": "timestamp", "weight": "bigint",
         "weight_from": "bigint", "agents_weight": "bigint"},
        customer_rows,
    )  # fmt: skip
    _create_table(
        connection,
        "agents",
        {"agent_id": "bigint", "customer_id": "bigint", "agent_type_id": "bigint",
         "agent_name": "varchar", "former_name": "varchar", "is_listed": "boolean",
         "weight_from": "bigint"},
        agent_rows,
    )  # fmt: skip
    _create_table(
        connection,
        "agent_types",
        {"agent_type_id": "bigint", "customer_id": "bigint", "agent_type_name": "varchar",
         "small_model_share": "double", "agent_count": "bigint", "family": "varchar",
         "input_tokens": "bigint", "output_tokens": "bigint", "pii_factor": "double",
         "stars": "double", "stars_lost_medium": "double", "stars_lost_high": "double"},
        [
            (kind.agent_type_id, kind.customer_id, kind.agent_type_name, kind.small_model_share,
             kind.agent_count, kind.template.family, kind.template.input_tokens,
             kind.template.output_tokens, kind.template.pii_factor, kind.template.stars,
             kind.template.stars_lost_medium, kind.template.stars_lost_high)
            for kind in fleet.agent_types
        ],
    )  # fmt: skip
    _create_table(
        connection,
        "models",
        {"model": "varchar", "first_token_ms": "double", "ms_per_token": "double",
         "spread": "double"},
        _MODELS,
    )  # fmt: skip
    _create_table(
        connection,
        "model_families",
        {"family": "varchar", "model": "varchar", "successor": "varchar",
         "replaced_at": "timestamp", "small_model": "varchar"},
        [
            (family, model, successor,
             None if days_ago is None else now - timedelta(days=days_ago), small_model)
            for family, model, successor, days_ago, small_model in _MODEL_FAMILIES
        ],
    )  # fmt: skip
    _create_table(
        connection,
        "zone_hours",
        {"zone": "varchar", "hour_start": "timestamp", "local_hour": "bigint",
         "is_weekend": "boolean"},
        _zone_hours(started_at, now),
    )  # fmt: skip


def _zone_info(zone: str) -> ZoneInfo:
    """Return the rules of a zone from the pinned package; a system's copy may differ."""
    rules = resources.files("tzdata").joinpath("zoneinfo", *zone.split("/"))
    with rules.open("rb") as file:
        return ZoneInfo.from_file(file, key=zone)


def _zone_hours(started_at: datetime, now: datetime) -> list[tuple[object, ...]]:
    """Return (zone, UTC hour, local hour of day, is weekend there) for each home zone and hour."""
    hours = (now - started_at) // timedelta(hours=1) + 1
    rows: list[tuple[object, ...]] = []
    for zone in fleets.HOME_ZONES:
        zone_info = _zone_info(zone)
        for hour in range(hours):
            hour_start = started_at + timedelta(hours=hour)
            local = hour_start.replace(tzinfo=UTC).astimezone(zone_info)
            rows.append((zone, hour_start, local.hour, local.isoweekday() > 5))
    return rows


def _write_files(
    connection: duckdb.DuckDBPyConnection, landing: Path, *, now: datetime, days: int
) -> tuple[tuple[Path, ...], dict[str, int]]:
    paths: list[Path] = []
    rows_by_stream: dict[str, int] = {}
    for file in _landing_files(now, days):
        rows = write_landing_file(connection, file, landing)
        if rows:
            paths.append(landing / file.stream / file.name)
            rows_by_stream[file.stream] = rows_by_stream.get(file.stream, 0) + rows
    return tuple(paths), rows_by_stream


def _landing_files(now: datetime, days: int) -> list[LandingFile]:
    """Return the files of the sample; each `rows` is a query over the generated tables."""
    today = f"{now:%Y%m%d}"
    started_at = _started_at(now, days)
    last_hours_from = max(started_at, now - timedelta(hours=6))
    period = (last_hours_from - started_at) / len(_PERIOD_FORMATS)
    usage = "agent_usage_events"
    files = [
        LandingFile("customers", "customers.csv", _reference_rows("customers", now, days)),
        LandingFile("agents", "agents.ndjson", _reference_rows("agents", now, days)),
        LandingFile(
            "agent_types", "agent_types.parquet", _reference_rows("agent_types", now, days)
        ),
    ]
    for number, suffix in enumerate(_PERIOD_FORMATS):
        begin = started_at + number * period
        end = last_hours_from if number + 1 == len(_PERIOD_FORMATS) else begin + period
        name = f"usage-{number + 1:02}-{begin:%Y%m%d}.{suffix}"
        files.append(LandingFile(usage, name, _on_time_usage(begin, end)))
    last_hours = _on_time_usage(last_hours_from, now + timedelta(seconds=1))
    files += [
        LandingFile(usage, f"usage-{today}-last-hours.csv", last_hours),
        # The same bytes once more: what a retried upload leaves behind.
        LandingFile(usage, f"usage-{today}-last-hours-retry.csv", last_hours),
        LandingFile(
            usage,
            f"usage-{today}-late.ndjson.gz",
            "from usage where is_late union all by name from usage_expired",
        ),
        LandingFile(usage, f"usage-{today}-redelivered.parquet", "from usage_redelivered"),
        LandingFile(
            usage,
            f"usage-{today}-old-client.ndjson",
            "from usage_bad",
            last_line=f'{{"event_id":"cut-off-in-transit","customer_id":1001,"occurred_at":"{now}',
        ),
    ]
    for stream, table, suffixes in (
        ("audit_events", "audits", ("parquet", "ndjson.gz", "csv.gz")),
        ("feedback_events", "ratings", ("ndjson", "parquet", "csv")),
    ):
        for number, suffix in enumerate(suffixes):
            rows = f"from {table} where number % {len(suffixes)} = {number}"
            if number + 1 == len(suffixes):
                rows += f" union all by name from {table}_redelivered"
                rows += f" union all by name from {table}_bad"
            name = f"{stream.removesuffix('_events')}-{number + 1:02}-{today}.{suffix}"
            files.append(LandingFile(stream, name, rows))
    return files


def _on_time_usage(begin: datetime, end: datetime) -> str:
    return (
        f"from usage where not is_late and occurred_at >= timestamp '{begin}'"
        f" and occurred_at < timestamp '{end}'"
    )


def _reference_rows(stream: str, now: datetime, days: int) -> str:
    """Return the query of a reference stream's rows, all updated before the first event."""
    # The oldest events are two days older than a retention that may be longer than the sample.
    first_event = _started_at(now, max(days, 90)) - timedelta(days=3)
    known_from = f"timestamp '{first_event - timedelta(days=200)}'"
    renamed_at = f"timestamp '{first_event - timedelta(days=20)}'"
    if stream == "customers":
        return f"select *, {known_from} as updated_at from customers"
    if stream == "agents":
        return (
            f"select * replace (coalesce(former_name, agent_name) as agent_name),"
            f" {known_from} as updated_at from agents where is_listed"
            f" union all select *, {renamed_at} as updated_at from agents"
            f" where is_listed and former_name is not null"
        )
    return (
        f"select agent_types.*, coalesce(successor, model) as model, {known_from} as updated_at"
        " from agent_types inner join model_families"
        " on agent_types.family = model_families.family"
    )
