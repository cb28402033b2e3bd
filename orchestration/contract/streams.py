"""What a row of each landing stream must look like: the contract as data.

`dbt_project/models/staging/_staging__sources.yml` documents the same columns for analysts; a test
holds the two together.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum

# An event of more tokens, or a scan of more redactions, than this is a fault of the sender. No
# sum of a mart then leaves 64 bits, unless millions of such rows are of one customer and date:
# docs/decisions/0018-sums-of-64-bits-in-marts.md.
MAX_COUNT = 10**12
MAX_ID_LENGTH = 128
# Of names, models and every other text.
MAX_TEXT_LENGTH = 256
MAX_UNKNOWN_COLUMNS = 1000
MAX_ATTRIBUTES = 64
# Of what a sender says that one row cost, in US dollars.
MAX_COST_USD = 10**9
# Of a million tokens, in US dollars.
MAX_PRICE_USD = 10**6
# The greatest number of a customer, agent or agent type: a signed 64-bit integer.
MAX_KEY = 2**63 - 1
MAX_RESPONSE_TIME_MS = 86_400_000
MAX_RETENTION_DAYS = 2557

# The column by which a row withdraws an event, instead of bringing a version of it.
DELETED = "deleted"

# What is counted as odd in rows of events that are not rejected: a column of the counts each.
ANOMALIES = ("total_mismatches", "conflicting_duplicates", "received_in_future")


class Kind(Enum):
    """What the text of a column may say; `checks` has the SQL of each."""

    KEY = "positive 64-bit integer"
    IDENTITY = "string of 1 to 128 characters"
    LABEL = "string of at most 256 characters, trimmed"
    MODEL = "string of at most 256 characters, trimmed; blank becomes 'unknown'"
    ZONE = "IANA time zone of the pinned tzdata package; another is taken as null, and counted"
    PROVIDER = "string of at most 256 characters, trimmed, in lower case"
    PROCESSING = (
        "string of at most 256 characters, trimmed, in lower case; "
        "blank, 'default' and 'auto' become 'standard'"
    )
    COUNT = "integer from 0 to 10^12"
    REQUESTS = "integer from 1 to 10^12"
    COST = "number from 0 to 10^9; rounded half away from zero to 12 decimals"
    PRICE = "number from 0 to 10^6 with at most 6 decimals"
    TOKEN_CLASS = "one of the token classes"
    INTEGER = "64-bit integer"
    UNTRUSTED_TOTAL = "integer; only compared with the sum of its parts"
    MILLISECONDS = "number from 0 to 86,400,000; rounded half up to whole milliseconds"
    SHARE = "number from 0 to 1"
    FLAG = "boolean"
    STARS = "integer from 1 to 5"
    INSTANCES = "integer, 0 or more; 0 means unknown"
    ENTITY_COUNTS = "object of entity type to integer count"
    ATTRIBUTES = "object of at most 64 names to strings, numbers or booleans"
    INSTANT = "ISO 8601 time; UTC where it has no offset"
    DATE = "ISO 8601 date; of a time, its date in UTC"
    QUARTER_HOUR = "ISO 8601 time that is a whole quarter hour; UTC where it has no offset"
    QUARTER_OF_DAY = "time of day, HH:MM, that is a whole quarter hour of UTC"


@dataclass(frozen=True)
class Column:
    """One column of a landing stream. `required` columns may be neither absent nor null; one that
    is `required_with` others where one of these is above 0."""

    name: str
    kind: Kind
    required: bool = False
    required_with: tuple[str, ...] = ()


@dataclass(frozen=True)
class Stream:
    """A landing stream: its columns in contract order, and what makes a row of it itself.

    `identity` names the columns that, together, identify an event (or a reference row). Events
    have an `occurred_at` and are partitioned by its UTC date; reference rows are not. An optional
    stream is read from a source database only where a setting names a table for it.
    """

    name: str
    identity: tuple[str, ...]
    columns: tuple[Column, ...]
    is_optional: bool = False

    @property
    def is_reference(self) -> bool:
        return all(column.name != "occurred_at" for column in self.columns)

    @property
    def is_of_customers(self) -> bool:
        """Whether each row is one customer's, and goes with it; others are the operator's own."""
        return any(column.name == "customer_id" for column in self.columns)

    @property
    def required(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns if column.required)

    @property
    def of_withdrawals(self) -> tuple[str, ...]:
        """What a row that withdraws an event says: whatever else it holds is neither judged nor
        kept. Nothing where rows of the stream withdraw none."""
        if all(column.name != DELETED for column in self.columns):
            return ()
        return (*self.identity, "occurred_at", "received_at", DELETED)

    def required_beside(self, found: Collection[str]) -> tuple[str, ...]:
        """Columns without which a file that has those found is not read: where rows may withdraw
        events, each row has to show whether it lacks what withdrawals need not have."""
        if DELETED in self.of_withdrawals and DELETED in found:
            return tuple(name for name in self.required if name in self.of_withdrawals)
        return self.required

    @property
    def version_column(self) -> str:
        """The column that decides which of two versions of one identity is the newer."""
        return "updated_at" if self.is_reference else "received_at"

    @property
    def lake_columns(self) -> tuple[tuple[str, str], ...]:
        """(name, DuckDB type) of each column stored in the lake, in order."""
        return tuple(
            ("is_total_mismatch", "boolean")
            if column.kind is Kind.UNTRUSTED_TOTAL
            else (column.name, LAKE_TYPES[column.kind])
            for column in self.columns
        )


LAKE_TYPES = {
    Kind.KEY: "bigint",
    Kind.IDENTITY: "varchar",
    Kind.LABEL: "varchar",
    Kind.MODEL: "varchar",
    Kind.ZONE: "varchar",
    Kind.PROVIDER: "varchar",
    Kind.PROCESSING: "varchar",
    Kind.COUNT: "bigint",
    Kind.REQUESTS: "bigint",
    Kind.COST: "decimal(38,12)",
    Kind.PRICE: "decimal(18,6)",
    Kind.TOKEN_CLASS: "varchar",
    Kind.INTEGER: "bigint",
    Kind.MILLISECONDS: "bigint",
    Kind.SHARE: "double",
    Kind.FLAG: "boolean",
    Kind.STARS: "bigint",
    Kind.INSTANCES: "bigint",
    Kind.ENTITY_COUNTS: "map(varchar, bigint)",
    Kind.ATTRIBUTES: "map(varchar, varchar)",
    Kind.INSTANT: "timestamp",
    Kind.DATE: "date",
    Kind.QUARTER_HOUR: "timestamp",
    Kind.QUARTER_OF_DAY: "varchar",
}


TIERS = Stream(
    "tiers",
    ("tier",),
    (
        Column("tier", Kind.LABEL, required=True),
        # As the days of a customer: any number lands, so that a wrong one is found and named where
        # the days are reckoned, and the row does not leave the days of before to delete by.
        Column("retention_days", Kind.INTEGER),
        Column("default_retention_days", Kind.INTEGER),
        Column("max_retention_days", Kind.INTEGER),
        Column("daily_token_budget", Kind.COUNT),
        Column("requests_per_minute", Kind.REQUESTS),
        Column("max_running_agents", Kind.COUNT),
        Column("agent_hour_usd", Kind.COST),
        Column("updated_at", Kind.INSTANT),
    ),
    is_optional=True,
)
# What a million tokens cost: models of the operator's own, contracts with customers, corrections of
# the built-in list. Without a price the row takes its price back.
PRICES = Stream(
    "prices",
    (
        "customer_id",
        "provider",
        "model",
        "token_class",
        "processing",
        "context_over_tokens",
        "valid_from",
        "utc_from",
        "utc_to",
    ),
    (
        Column("customer_id", Kind.KEY),
        Column("provider", Kind.PROVIDER),
        Column("model", Kind.LABEL, required=True),
        Column("token_class", Kind.TOKEN_CLASS, required=True),
        Column("processing", Kind.PROCESSING),
        Column("context_over_tokens", Kind.COUNT),
        Column("usd_per_million", Kind.PRICE),
        Column("valid_from", Kind.QUARTER_HOUR),
        Column("valid_to", Kind.QUARTER_HOUR),
        Column("utc_from", Kind.QUARTER_OF_DAY),
        Column("utc_to", Kind.QUARTER_OF_DAY),
        Column("updated_at", Kind.INSTANT),
    ),
    is_optional=True,
)

# By which name of the price list a model is priced.
MODEL_ALIASES = Stream(
    "model_aliases",
    ("model", "provider"),
    (
        Column("model", Kind.LABEL, required=True),
        Column("provider", Kind.PROVIDER),
        Column("priced_as", Kind.LABEL),
        Column("updated_at", Kind.INSTANT),
    ),
    is_optional=True,
)

# What a text column says where nothing is said, as SQL.
NOTHING_SAID = {Kind.MODEL: "'unknown'", Kind.PROCESSING: "'standard'"}


LEGAL_HOLDS = Stream(
    "legal_holds",
    # One hold at most, which its newest row describes: a row that ends it need not know which of
    # several it ends, and none is left over that no row ends.
    ("customer_id",),
    (
        Column("customer_id", Kind.KEY, required=True),
        Column("hold_from", Kind.DATE, required=True),
        Column("released", Kind.FLAG),
        Column("updated_at", Kind.INSTANT),
    ),
    is_optional=True,
)

# The token classes, which do not overlap: `token_classes` in dbt_project/macros has what each is.
TOKEN_CLASSES = (
    "cache_read_audio_input",
    "cache_read_image_input",
    "cache_read_input",
    "cache_write_1h_input",
    "cache_write_input",
    "audio_input",
    "image_input",
    "input",
    "reasoning_output",
    "audio_output",
    "image_output",
    "output",
)


CUSTOMERS = Stream(
    "customers",
    ("customer_id",),
    (
        Column("customer_id", Kind.KEY, required=True),
        Column("customer_name", Kind.LABEL),
        # Any tier and any number of days lands: an invalid policy must reach the retention job,
        # which refuses to delete anything while there is one, rather than vanish here.
        Column("tier", Kind.LABEL, required=True),
        Column("retention_days", Kind.INTEGER),
        Column("created_at", Kind.INSTANT),
        Column("time_zone", Kind.ZONE),
        Column("updated_at", Kind.INSTANT),
    ),
)

AGENT_TYPES = Stream(
    "agent_types",
    ("customer_id", "agent_type_id"),
    (
        Column("agent_type_id", Kind.KEY, required=True),
        Column("customer_id", Kind.KEY, required=True),
        Column("agent_type_name", Kind.LABEL),
        Column("model", Kind.LABEL),
        Column("updated_at", Kind.INSTANT),
    ),
)

AGENTS = Stream(
    "agents",
    ("customer_id", "agent_id"),
    (
        Column("agent_id", Kind.KEY, required=True),
        Column("customer_id", Kind.KEY, required=True),
        Column("agent_type_id", Kind.KEY, required=True),
        Column("agent_name", Kind.LABEL),
        Column("updated_at", Kind.INSTANT),
    ),
)

# Parts of the input that a prompt cache has to do with. Whether `input_tokens` holds them differs
# by provider, so it must be said.
CACHE_PARTS = (
    "cache_read_input_tokens",
    "cache_write_input_tokens",
    "cache_write_1h_input_tokens",
    "cache_read_audio_input_tokens",
    "cache_read_image_input_tokens",
)

AGENT_USAGE_EVENTS = Stream(
    "agent_usage_events",
    ("customer_id", "event_id"),
    (
        Column("event_id", Kind.IDENTITY, required=True),
        Column("customer_id", Kind.KEY, required=True),
        Column("agent_id", Kind.KEY, required=True),
        Column("agent_type_id", Kind.KEY, required=True),
        Column("model_used", Kind.MODEL),
        Column("input_tokens", Kind.COUNT, required=True),
        Column("output_tokens", Kind.COUNT, required=True),
        Column("total_tokens", Kind.UNTRUSTED_TOTAL),
        Column("response_time_ms", Kind.MILLISECONDS),
        Column("cache_read_input_tokens", Kind.COUNT),
        Column("cache_write_input_tokens", Kind.COUNT),
        Column("cache_write_1h_input_tokens", Kind.COUNT),
        Column("audio_input_tokens", Kind.COUNT),
        Column("image_input_tokens", Kind.COUNT),
        Column("cache_read_audio_input_tokens", Kind.COUNT),
        Column("cache_read_image_input_tokens", Kind.COUNT),
        Column("reasoning_output_tokens", Kind.COUNT),
        Column("audio_output_tokens", Kind.COUNT),
        Column("image_output_tokens", Kind.COUNT),
        Column("input_includes_cache", Kind.FLAG, required_with=CACHE_PARTS),
        Column("model_requests", Kind.REQUESTS),
        Column("provider", Kind.PROVIDER),
        Column("processing", Kind.PROCESSING),
        Column("reported_cost_usd", Kind.COST),
        Column("error_type", Kind.LABEL),
        Column("time_to_first_token_ms", Kind.MILLISECONDS),
        Column("tool_calls", Kind.COUNT),
        Column("session_id", Kind.IDENTITY),
        Column("end_user_id", Kind.IDENTITY),
        Column("attributes", Kind.ATTRIBUTES),
        Column("occurred_at", Kind.INSTANT, required=True),
        Column("received_at", Kind.INSTANT),
        Column(DELETED, Kind.FLAG),
    ),
)

AUDIT_EVENTS = Stream(
    "audit_events",
    ("customer_id", "audit_id"),
    (
        Column("audit_id", Kind.IDENTITY, required=True),
        Column("customer_id", Kind.KEY, required=True),
        Column("agent_id", Kind.KEY, required=True),
        Column("agent_type_id", Kind.KEY, required=True),
        Column("event_id", Kind.IDENTITY),
        Column("model_used", Kind.LABEL),
        Column("toxicity_score", Kind.SHARE),
        Column("is_toxic", Kind.FLAG),
        Column("pii_redactions", Kind.ENTITY_COUNTS),
        Column("occurred_at", Kind.INSTANT, required=True),
        Column("received_at", Kind.INSTANT),
        Column(DELETED, Kind.FLAG),
    ),
)

FEEDBACK_EVENTS = Stream(
    "feedback_events",
    ("customer_id", "feedback_id"),
    (
        Column("feedback_id", Kind.IDENTITY, required=True),
        Column("customer_id", Kind.KEY, required=True),
        Column("agent_type_id", Kind.KEY, required=True),
        Column("agent_id", Kind.KEY),
        Column("event_id", Kind.IDENTITY),
        Column("model_used", Kind.MODEL),
        Column("rating", Kind.STARS, required=True),
        Column("running_instances", Kind.INSTANCES),
        Column("occurred_at", Kind.INSTANT, required=True),
        Column("received_at", Kind.INSTANT),
        Column(DELETED, Kind.FLAG),
    ),
)

# Reference streams come first: the retention that an event is checked against is in them.
REFERENCE_STREAMS = (TIERS, LEGAL_HOLDS, CUSTOMERS, AGENT_TYPES, AGENTS, PRICES, MODEL_ALIASES)
EVENT_STREAMS = (AGENT_USAGE_EVENTS, AUDIT_EVENTS, FEEDBACK_EVENTS)
STREAMS = REFERENCE_STREAMS + EVENT_STREAMS
STREAMS_BY_NAME = {stream.name: stream for stream in STREAMS}
