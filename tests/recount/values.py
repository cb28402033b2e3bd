"""One cell of a landing file at a time: what a written value means, or that it is invalid."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from importlib.resources import files
from uuid import UUID

LARGEST_ID = 2**63 - 1
LARGEST_COUNT = 10**12
LARGEST_COST = 10**9
LARGEST_PRICE = 10**6
LONGEST_IDENTITY = 128
LONGEST_TEXT = 256
LONGEST_RESPONSE_MS = 86_400_000
LARGEST_COST = 10**9
MOST_ATTRIBUTES = 64
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(9998, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
FARTHEST_OFFSET = timedelta(hours=18)

_ZONES = frozenset(files("tzdata").joinpath("zones").read_text().split())
_INTEGER = re.compile(r"[+-]?[0-9]+(\.0*)?", re.ASCII)
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
_TIMESTAMP = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})"
    r"(?:[T ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]+))?)?"
    r" ?([Zz]|[+-][0-9]{2}(?::?[0-9]{2})?)?)?"
)


_QUARTER_OF_DAY = re.compile(r"((?:[01][0-9]|2[0-3]):(?:00|15|30|45))(?::00(?:\.0+)?)?")
TOKEN_CLASSES = {
    *("cache_read_audio_input", "cache_read_image_input", "cache_read_input"),
    *("cache_write_1h_input", "cache_write_input", "audio_input", "image_input", "input"),
    *("reasoning_output", "audio_output", "image_output", "output"),
}


class Invalid(Exception):
    """The cell holds something that its column does not allow."""


class WrittenNumber(str):
    """A JSON number exactly as it was written, so that `1e3` and `1000` stay apart."""


class TwoOfAKey(ValueError):
    """A JSON object has a key twice, so which of the values was meant is unknown."""


@dataclass(frozen=True)
class Column:
    """One contract column: its name, whether it must be given, and how a cell is parsed."""

    name: str
    required: bool
    read: Callable[[object], object]

    @property
    def is_number(self) -> bool:
        texts = (identity, label, model, time_zone, provider, processing, token_class)
        times = (timestamp, day, whole_quarter_hour, quarter_of_day)
        return self.read not in (*texts, *times, boolean, counts_by_type, attributes)

    def parsed(self, cell: object) -> object:
        """The value; None where nothing is given. Raises `Invalid`."""
        is_nothing = is_blank(cell) or (is_nan(cell) and self.is_number)
        if is_nothing and not self.required and self.read is not model:
            return None
        return self.read(cell)


def loads(text: str) -> object:
    """Parse JSON and keep every number as the text it was written as.

    Raises `TwoOfAKey`, or another `ValueError` for what is no JSON.
    """

    def refuse(word: str) -> object:
        raise ValueError(f"{word} is not JSON")

    def once(pairs: list[tuple[str, object]]) -> dict[str, object]:
        if len({key for key, _ in pairs}) < len(pairs):
            raise TwoOfAKey("a key comes twice")
        return dict(pairs)

    return json.loads(
        text,
        parse_int=WrittenNumber,
        parse_float=WrittenNumber,
        parse_constant=refuse,
        object_pairs_hook=once,
    )


def text(cell: object) -> str:
    """The cell as text; a number keeps its writing, bytes are UTF-8, anything structured is
    invalid."""
    if isinstance(cell, bytes):
        try:
            return cell.decode()
        except UnicodeDecodeError:
            raise Invalid from None
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, str):
        if any("\ud800" <= character <= "\udfff" for character in cell):
            raise Invalid
        return str(cell)
    if isinstance(cell, (int, float, Decimal, UUID, date)):
        return str(cell)
    raise Invalid


def _plain(cell: object) -> object:
    """Bytes as the text that they are."""
    return text(cell) if isinstance(cell, bytes) else cell


def is_blank(cell: object) -> bool:
    """Whether it is a text of nothing but Unicode white space."""
    return (
        isinstance(cell, (str, bytes))
        and not isinstance(cell, WrittenNumber)
        and (cell.strip() == cell[:0] if isinstance(cell, str) else _is_blank_bytes(cell))
    )


def _is_blank_bytes(cell: bytes) -> bool:
    try:
        return not cell.decode().strip()
    except UnicodeDecodeError:
        return False


def is_nan(cell: object) -> bool:
    """Whether it is the number that is none, in binary or by its name."""
    if isinstance(cell, (float, Decimal)):
        return cell != cell
    if isinstance(cell, bytes):
        return cell.strip().lower() in (b"nan", b"+nan", b"-nan")
    return isinstance(cell, str) and cell.strip().lower() in ("nan", "+nan", "-nan")


def label(cell: object) -> str:
    """Text of at most 256 characters, trimmed."""
    written = text(cell).strip()
    if len(written) > LONGEST_TEXT:
        raise Invalid
    return written


def identity(cell: object) -> str:
    """Text of 1 to 128 characters."""
    written = text(cell)
    if not 1 <= len(written) <= LONGEST_IDENTITY:
        raise Invalid
    return written


def model(cell: object) -> str:
    """The model trimmed; blank means `unknown`."""
    return label(cell) or "unknown"


def time_zone(cell: object) -> str | None:
    """The zone's IANA name, trimmed; null where the pinned tzdata package has no such zone."""
    try:
        written = label(cell)
    except Invalid:
        return None
    return written if written in _ZONES else None


def provider(cell: object) -> str:
    """The provider trimmed, in lower case."""
    return label(cell).lower()


def processing(cell: object) -> str | None:
    """How it was processed, in lower case; None for the standard, whatever it is called."""
    written = label(cell).lower()
    return None if written in ("", "default", "auto", "standard") else written


def integer(cell: object) -> int:
    """A whole number written as `12` or `12.0`; no exponent, no fraction, no boolean."""
    cell = _plain(cell)
    if isinstance(cell, bool):
        raise Invalid
    if isinstance(cell, int):
        return cell
    if isinstance(cell, (float, Decimal)):
        if cell != cell or cell in (float("inf"), float("-inf")) or cell != int(cell):
            raise Invalid
        return int(cell)
    if isinstance(cell, str) and _INTEGER.fullmatch(cell.strip()):
        return _int(cell.strip().split(".")[0])
    raise Invalid


def _int(digits: str) -> int:
    # Python reads no number of a million digits; none that is longer than this is in any range.
    if len(digits) > 4000:
        raise Invalid
    return int(digits)


def between(least: int, most: int) -> Callable[[object], int]:
    """A reader of integers from `least` to `most`, both allowed."""

    def read(cell: object) -> int:
        value = integer(cell)
        if not least <= value <= most:
            raise Invalid
        return value

    return read


def number(cell: object) -> Fraction:
    """A finite number, exactly as it was written."""
    cell = _plain(cell)
    if isinstance(cell, bool):
        raise Invalid
    if isinstance(cell, int):
        return Fraction(cell)
    if isinstance(cell, (float, Decimal)):
        cell = str(cell)
    if isinstance(cell, str) and _NUMBER.fullmatch(cell.strip()) and len(cell) <= 4000:
        return Fraction(cell.strip())
    raise Invalid


def response_time_ms(cell: object) -> int:
    """Milliseconds from 0 to a day, rounded half up to a whole one after the range check."""
    value = number(cell)
    if not 0 <= value <= LONGEST_RESPONSE_MS:
        raise Invalid
    return int(value + Fraction(1, 2))


def cost_usd(cell: object) -> Decimal:
    """An amount from 0 to 10^9, rounded half away from zero to 12 decimals."""
    value = number(cell)
    if not 0 <= value <= LARGEST_COST:
        raise Invalid
    return Decimal(int(value * 10**12 + Fraction(1, 2))).scaleb(-12)


def price(cell: object) -> Decimal:
    """An amount from 0 to 10^6 with at most 6 decimals."""
    value = number(cell)
    if not 0 <= value <= LARGEST_PRICE or (value * 10**6).denominator != 1:
        raise Invalid
    return Decimal(int(value * 10**6)).scaleb(-6)


def token_class(cell: object) -> str:
    """One of the names, without white space around it."""
    word = label(cell)
    if word not in TOKEN_CLASSES:
        raise Invalid
    return word


def whole_quarter_hour(cell: object) -> datetime:
    """An instant at a whole quarter hour."""
    moment = timestamp(cell)
    if moment != moment.replace(minute=moment.minute // 15 * 15, second=0, microsecond=0):
        raise Invalid
    return moment


def quarter_of_day(cell: object) -> str:
    """A time of day at a whole quarter hour, as HH:MM."""
    match = _QUARTER_OF_DAY.fullmatch(text(_plain(cell)).strip())
    if match is None:
        raise Invalid
    return match[1]


def score(cell: object) -> Fraction:
    """A number from 0 to 1."""
    value = number(cell)
    if not 0 <= value <= 1:
        raise Invalid
    return value


def boolean(cell: object) -> bool:
    """`true` or `false`, in any case when it is text."""
    cell = _plain(cell)
    if isinstance(cell, bool):
        return cell
    if isinstance(cell, str) and cell.strip().lower() in ("true", "false"):
        return cell.strip().lower() == "true"
    raise Invalid


def _object(cell: object) -> dict[str, object] | None:
    """A JSON object, or one as text; None for `null`."""
    cell = _plain(cell)
    if isinstance(cell, str) and not isinstance(cell, WrittenNumber):
        try:
            cell = loads(cell)
        except ValueError:
            raise Invalid from None
        if cell is None:
            return None
    if not isinstance(cell, dict):
        raise Invalid
    return cell


def counts_by_type(cell: object) -> tuple[tuple[str, int], ...] | None:
    """(entity type, count) pairs with a count above 0, by name; null counts are ignored."""
    entries = _object(cell)
    if entries is None:
        return None
    read = between(0, LARGEST_COUNT)
    counted = {name: read(count) for name, count in entries.items() if count is not None}
    if sum(counted.values()) > LARGEST_COUNT:
        raise Invalid
    return tuple(sorted((name, count) for name, count in counted.items() if count > 0))


def attributes(cell: object) -> tuple[tuple[str, str], ...] | None:
    """(name, text) pairs by name; numbers and booleans as their JSON text, nulls left out."""
    entries = _object(cell)
    if entries is None:
        return None
    found = {}
    for name, value in entries.items():
        if value is None:
            continue
        if isinstance(value, bool):
            value = str(value).lower()
        elif isinstance(value, WrittenNumber):
            # As JSON writes it: 1.50 is 1.5.
            value = json.dumps(json.loads(value))
        elif isinstance(value, (int, float)):
            value = json.dumps(value)
        if not isinstance(value, str) or not 1 <= len(name) <= LONGEST_IDENTITY:
            raise Invalid
        if len(value) > LONGEST_TEXT:
            raise Invalid
        found[name] = str(value)
    if len(found) > MOST_ATTRIBUTES:
        raise Invalid
    return tuple(sorted(found.items()))


def timestamp(cell: object) -> datetime:
    """An aware UTC datetime; without an offset it is UTC; digits past microseconds are cut off."""
    moment = _moment(_plain(cell))
    if not EARLIEST <= moment <= LATEST:
        raise Invalid
    return moment


def _moment(cell: object) -> datetime:
    if isinstance(cell, datetime):
        return cell.astimezone(UTC) if cell.tzinfo else cell.replace(tzinfo=UTC)
    if isinstance(cell, date):
        return datetime(cell.year, cell.month, cell.day, tzinfo=UTC)
    if not isinstance(cell, str) or isinstance(cell, WrittenNumber):
        raise Invalid
    match = _TIMESTAMP.fullmatch(cell.strip())
    if match is None:
        raise Invalid
    year, month, day, hour, minute, second, fraction, offset = match.groups()
    micros = int((fraction or "")[:6].ljust(6, "0"))
    try:
        zone = UTC if offset in (None, "Z", "z") else timezone(_offset(offset))
        moment = datetime(
            int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0),
            micros, tzinfo=zone,
        )  # fmt: skip
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise Invalid from None


def _offset(written: str) -> timedelta:
    digits = written[1:].replace(":", "").ljust(4, "0")
    if int(digits[2:]) > 59:
        raise Invalid
    distance = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    if distance > FARTHEST_OFFSET:
        raise Invalid
    return -distance if written[0] == "-" else distance


def day(cell: object) -> date:
    """A date; of a time, its date in UTC."""
    return timestamp(cell).date()


positive_id = between(1, LARGEST_ID)
token_count = between(0, LARGEST_COUNT)
request_count = between(1, LARGEST_COUNT)
any_integer = between(-LARGEST_ID - 1, LARGEST_ID)


def untrusted_total(cell: object) -> int:
    """The total that was given; -1, which is the sum of no counts, for what is no number."""
    try:
        return any_integer(cell)
    except Invalid:
        return -1


STREAMS: dict[str, tuple[Column, ...]] = {
    "legal_holds": (
        Column("customer_id", True, positive_id),
        Column("hold_from", True, day),
        Column("released", False, boolean),
        Column("updated_at", False, timestamp),
    ),
    "tiers": (
        Column("tier", True, label),
        Column("retention_days", False, any_integer),
        Column("default_retention_days", False, any_integer),
        Column("max_retention_days", False, any_integer),
        Column("daily_token_budget", False, token_count),
        Column("requests_per_minute", False, between(1, LARGEST_COUNT)),
        Column("max_running_agents", False, token_count),
        Column("agent_hour_usd", False, cost_usd),
        Column("updated_at", False, timestamp),
    ),
    "customers": (
        Column("customer_id", True, positive_id),
        Column("customer_name", False, label),
        Column("tier", True, label),
        Column("retention_days", False, any_integer),
        Column("created_at", False, timestamp),
        Column("time_zone", False, time_zone),
        Column("updated_at", False, timestamp),
    ),
    "agents": (
        Column("agent_id", True, positive_id),
        Column("customer_id", True, positive_id),
        Column("agent_type_id", True, positive_id),
        Column("agent_name", False, label),
        Column("updated_at", False, timestamp),
    ),
    "agent_types": (
        Column("agent_type_id", True, positive_id),
        Column("customer_id", True, positive_id),
        Column("agent_type_name", False, label),
        Column("model", False, label),
        Column("updated_at", False, timestamp),
    ),
    "prices": (
        Column("customer_id", False, positive_id),
        Column("provider", False, provider),
        Column("model", True, label),
        Column("token_class", True, token_class),
        Column("processing", False, processing),
        Column("context_over_tokens", False, token_count),
        Column("usd_per_million", False, price),
        Column("valid_from", False, whole_quarter_hour),
        Column("valid_to", False, whole_quarter_hour),
        Column("utc_from", False, quarter_of_day),
        Column("utc_to", False, quarter_of_day),
        Column("updated_at", False, timestamp),
    ),
    "model_aliases": (
        Column("model", True, label),
        Column("provider", False, provider),
        Column("priced_as", False, label),
        Column("updated_at", False, timestamp),
    ),
    "agent_usage_events": (
        Column("event_id", True, identity),
        Column("customer_id", True, positive_id),
        Column("agent_id", True, positive_id),
        Column("agent_type_id", True, positive_id),
        Column("model_used", False, model),
        Column("input_tokens", True, token_count),
        Column("output_tokens", True, token_count),
        Column("total_tokens", False, untrusted_total),
        Column("response_time_ms", False, response_time_ms),
        Column("cache_read_input_tokens", False, token_count),
        Column("cache_write_input_tokens", False, token_count),
        Column("cache_write_1h_input_tokens", False, token_count),
        Column("audio_input_tokens", False, token_count),
        Column("image_input_tokens", False, token_count),
        Column("cache_read_audio_input_tokens", False, token_count),
        Column("cache_read_image_input_tokens", False, token_count),
        Column("reasoning_output_tokens", False, token_count),
        Column("audio_output_tokens", False, token_count),
        Column("image_output_tokens", False, token_count),
        Column("input_includes_cache", False, boolean),
        Column("model_requests", False, request_count),
        Column("provider", False, provider),
        Column("processing", False, processing),
        Column("reported_cost_usd", False, cost_usd),
        Column("error_type", False, label),
        Column("time_to_first_token_ms", False, response_time_ms),
        Column("tool_calls", False, token_count),
        Column("session_id", False, identity),
        Column("end_user_id", False, identity),
        Column("attributes", False, attributes),
        Column("occurred_at", True, timestamp),
        Column("received_at", False, timestamp),
        Column("deleted", False, boolean),
    ),
    "audit_events": (
        Column("audit_id", True, identity),
        Column("customer_id", True, positive_id),
        Column("agent_id", True, positive_id),
        Column("agent_type_id", True, positive_id),
        Column("event_id", False, identity),
        Column("model_used", False, label),
        Column("toxicity_score", False, score),
        Column("is_toxic", False, boolean),
        Column("pii_redactions", False, counts_by_type),
        Column("occurred_at", True, timestamp),
        Column("received_at", False, timestamp),
        Column("deleted", False, boolean),
    ),
    "feedback_events": (
        Column("feedback_id", True, identity),
        Column("customer_id", True, positive_id),
        Column("agent_type_id", True, positive_id),
        Column("agent_id", False, positive_id),
        Column("event_id", False, identity),
        Column("model_used", False, model),
        Column("rating", True, between(1, 5)),
        Column("running_instances", False, between(0, LARGEST_ID)),
        Column("occurred_at", True, timestamp),
        Column("received_at", False, timestamp),
        Column("deleted", False, boolean),
    ),
}
"""The columns of each stream in the contract's order; reference streams come first."""

REFERENCE_STREAMS = (
    *("legal_holds", "tiers", "customers", "agents", "agent_types"),
    *("prices", "model_aliases"),
)
