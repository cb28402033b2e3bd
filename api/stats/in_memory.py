"""The answers of `queries/sql`, from cached rows: the same rows, no planning.

One function for each query, under its name. What each column means is said there, and a test
compares the two for every query in random windows; the ratios are those of `metrics.sql` in both.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

from api.cache.customer_rows import CustomerRows
from api.cache.series import Measures, Sums, regrouped
from api.errors import MOST_ROWS
from api.queries.formulas import Ratio, metric
from api.snapshots import Row
from api.windows import Window

LOAD_BUCKETS = ("low", "medium", "high")


class Usage(NamedTuple):
    """Sums of the usage marts, as api.queries.engine.USAGE has them."""

    message_count: int = 0
    total_tokens: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    response_time_ms_sum: int = 0
    response_time_count: int = 0
    timed_output_tokens: int = 0

    @property
    def avg_response_time_ms(self) -> Ratio:
        return metric("avg_response_time_ms", self.response_time_ms_sum, self.response_time_count)

    @property
    def tokens_per_second(self) -> Ratio:
        return metric("tokens_per_second", self.timed_output_tokens, self.response_time_ms_sum)

    @property
    def tokens_and_time(self) -> Row:
        return {
            "total_tokens": self.total_tokens,
            "total_input_tokens": self.input_tokens,
            "total_output_tokens": self.output_tokens,
            "avg_response_time_ms": self.avg_response_time_ms,
        }


class Scans(NamedTuple):
    """Sums of the compliance marts, as api.queries.engine.COMPLIANCE has them."""

    scan_count: int = 0
    scanned_messages: int = 0
    toxic_messages: int = 0
    messages_with_pii: int = 0
    pii_redactions: int = 0


class Ratings(NamedTuple):
    """Sums of the feedback marts, as api.queries.engine.RATINGS has them."""

    rating_count: int = 0
    rating_sum: int = 0
    rating_1_count: int = 0
    rating_2_count: int = 0
    rating_3_count: int = 0
    rating_4_count: int = 0
    rating_5_count: int = 0

    @property
    def average(self) -> Ratio:
        return metric("average_rating", self.rating_sum, self.rating_count)


def _by_type(sums: Sums) -> dict[int, Measures]:
    """By agent type, the first value of the group, without those that count nothing."""
    return {group[0]: sums for group, sums in regrouped(sums, 1).items() if sums[0] > 0}


def _most_tokens_first(sums: Sums) -> list[tuple[Any, Usage]]:
    """Usage by the only value of the group, where there is a message."""
    used = [(group[0], Usage._make(measures)) for group, measures in sums.items() if measures[0]]
    return sorted(used, key=lambda each: (-each[1].total_tokens, each[0]))


def _greatest(found: list[Row], measure: str) -> list[Row]:
    """The agent types with most of a measure."""
    greatest = sorted(found, key=lambda row: (-row[measure], row["agent_type_id"]))[:MOST_ROWS]
    for row in greatest:
        row["rows_in_all"] = len(found)
    return greatest


def _name(name: str | None, kind: str, number: int) -> str:
    return f"{kind} {number}" if name is None else name


def usage_summary(rows: CustomerRows, window: Window) -> list[Row]:
    """One row: what was used in all."""
    usage = Usage(*rows.sums("usage", window).get((), ()))
    active = sum(measures[0] > 0 for measures in rows.sums("messages_of_agents", window).values())
    return [
        {
            "total_messages": usage.message_count,
            "active_agents": active,
            **usage.tokens_and_time,
            "response_time_ms_sum": usage.response_time_ms_sum,
            "response_time_count": usage.response_time_count,
        }
    ]


def usage_by_agent(rows: CustomerRows, window: Window) -> list[Row]:
    """A row for each agent with a message."""
    names = dict(rows.rows("names_of_agents"))
    used = _most_tokens_first(rows.sums("usage_of_agents", window))
    return [
        {
            "agent_id": agent_id,
            "agent_name": _name(names.get(agent_id), "Agent", agent_id),
            "message_count": usage.message_count,
            **usage.tokens_and_time,
            "rows_in_all": len(used),
        }
        for agent_id, usage in used[:MOST_ROWS]
    ]


def usage_by_model(rows: CustomerRows, window: Window) -> list[Row]:
    """A row for each model with a message."""
    used = _most_tokens_first(rows.sums("usage_of_models", window))
    return [
        {
            "model": model,
            "message_count": usage.message_count,
            **usage.tokens_and_time,
            "tokens_per_second": usage.tokens_per_second,
            "rows_in_all": len(used),
        }
        for model, usage in used[:MOST_ROWS]
    ]


def usage_timeline(rows: CustomerRows, window: Window) -> list[Row]:
    """A row for each date, whether it is a UTC date or not."""
    of_days = rows.sums_of_days("usage", window, measures=2)
    return [
        {"label": label, "messages": messages, "tokens": tokens}
        for label, (messages, tokens) in zip(window.labels, of_days, strict=True)
    ]


def compliance_summary(rows: CustomerRows, window: Window) -> list[Row]:
    """One row: scans and redactions in all."""
    messages = Usage(*rows.sums("usage", window).get((), ())).message_count
    scans = Scans(*regrouped(rows.sums("compliance", window), 0).get((), ()))
    of_types: Counter[str] = Counter()
    for (_, entity_type), (count,) in rows.sums("redactions", window).items():
        of_types[entity_type] += count
    redactions = sorted((-count, entity_type) for entity_type, count in of_types.items() if count)
    return [
        {
            "total_messages": messages,
            "toxic_messages": scans.toxic_messages,
            "toxic_rate_percent": metric("toxic_rate_percent", scans.toxic_messages, messages),
            "pii_redactions_total": scans.pii_redactions,
            "entity_types": [entity_type for _, entity_type in redactions[:MOST_ROWS]],
            "redactions": [-count for count, _ in redactions[:MOST_ROWS]],
            "rows_in_all": len(redactions),
            "messages_with_pii": scans.messages_with_pii,
            "pii_rate_percent": metric("pii_rate_percent", scans.messages_with_pii, messages),
            "scanned_messages": scans.scanned_messages,
        }
    ]


def compliance_by_agent_type(rows: CustomerRows, window: Window) -> list[Row]:
    """A row for each agent type with a message or a scan."""
    used = _by_type(rows.sums("usage_of_agent_types", window))
    scanned = _by_type(rows.sums("compliance", window))
    names = {type_id: name for type_id, name, _ in rows.rows("names_of_agent_types")}
    found = []
    for type_id in used.keys() | scanned.keys():
        messages = Usage(*used.get(type_id, ())).message_count
        scans = Scans(*scanned.get(type_id, ()))
        found.append(
            {
                "agent_type_id": type_id,
                "agent_type_name": _name(names.get(type_id), "Agent type", type_id),
                "total_messages": messages,
                "toxic_messages": scans.toxic_messages,
                "toxic_rate_percent": metric("toxic_rate_percent", scans.toxic_messages, messages),
                "pii_redactions_total": scans.pii_redactions,
                "pii_per_message": metric("pii_per_message", scans.pii_redactions, messages),
                "scanned_messages": scans.scanned_messages,
            }
        )
    return _greatest(found, "total_messages")


def feedback_summary(rows: CustomerRows, window: Window) -> list[Row]:
    """One row: ratings in all."""
    ratings = Ratings(*regrouped(rows.sums("ratings", window), 0).get((), ()))
    return [
        {
            "total_feedback": ratings.rating_count,
            "average_rating": ratings.average,
            "rating_sum": ratings.rating_sum,
            **{f"rating_{stars}_count": ratings[stars + 1] for stars in range(1, 6)},
        }
    ]


def feedback_by_agent_type(rows: CustomerRows, window: Window) -> list[Row]:
    """A row for each agent type with a rating."""
    names = {type_id: name for type_id, name, _ in rows.rows("names_of_agent_types")}
    ranges = {bucket: instances for bucket, _, instances in rows.rows("load_buckets")}
    sums = rows.sums("ratings", window)
    found = []
    for type_id, measures in _by_type(sums).items():
        ratings = Ratings._make(measures)
        row: Row = {
            "agent_type_id": type_id,
            "agent_type_name": _name(names.get(type_id), "Agent type", type_id),
            "total_feedback": ratings.rating_count,
            "average_rating": ratings.average,
            **_ratings_by_load(rows, sums, type_id),
        }
        for bucket in LOAD_BUCKETS:
            in_bucket = Ratings(*sums.get((type_id, bucket), ()))
            row[f"{bucket}_instances_range"] = ranges[bucket]
            row[f"{bucket}_avg_rating"] = metric(
                "avg_rating", in_bucket.rating_sum, in_bucket.rating_count
            )
            row[f"{bucket}_count"] = in_bucket.rating_count
        found.append(row)
    return _greatest(found, "total_feedback")


def _ratings_by_load(rows: CustomerRows, sums: Sums, type_id: int) -> Row:
    """What rating_degrades_at_load is decided from."""
    least = {bucket: instances for bucket, instances, _ in rows.rows("load_buckets")}
    row: Row = {f"{bucket}_min_instances": least[bucket] for bucket in LOAD_BUCKETS[1:]}
    for bucket in LOAD_BUCKETS:
        in_bucket = Ratings(*sums.get((type_id, bucket), ()))
        row[f"{bucket}_rating_counts"] = list(in_bucket[2:])
    return row


def agent_type_comparison(rows: CustomerRows, window: Window) -> list[Row]:
    """A row for each agent type with a message, a scan or a rating."""
    usage_of_models = {
        group: sums
        for group, sums in rows.sums("usage_of_agent_types", window).items()
        if sums[0] > 0
    }
    ratings_of_loads = rows.sums("ratings", window)
    used = _by_type(usage_of_models)
    scanned = _by_type(rows.sums("compliance", window))
    rated = _by_type(ratings_of_loads)
    known = {type_id: (name, model) for type_id, name, model in rows.rows("names_of_agent_types")}
    most_used: dict[int, tuple[int, str]] = {}
    for (type_id, model), measures in usage_of_models.items():
        candidate = (-measures[0], model)
        most_used[type_id] = min(most_used.get(type_id, candidate), candidate)
    found = []
    for type_id in used.keys() | scanned.keys() | rated.keys():
        usage = Usage(*used.get(type_id, ()))
        scans = Scans(*scanned.get(type_id, ()))
        ratings = Ratings(*rated.get(type_id, ()))
        messages = usage.message_count
        name, own_model = known.get(type_id, (None, None))
        row = {
            "agent_type_id": type_id,
            "name": _name(name, "Agent type", type_id),
            "model": most_used[type_id][1] if type_id in most_used else own_model,
            "total_messages": messages,
            "total_tokens": usage.total_tokens,
            "avg_response_time_ms": usage.avg_response_time_ms,
            "tokens_per_second": usage.tokens_per_second,
            "avg_tokens_per_message": metric(
                "avg_tokens_per_message", usage.total_tokens, messages
            ),
            "toxic_rate_percent": metric("toxic_rate_percent", scans.toxic_messages, messages),
            "pii_redactions_per_message": metric(
                "pii_redactions_per_message", scans.pii_redactions, messages
            ),
            "feedback_count": ratings.rating_count,
            "average_rating": ratings.average,
            **_ratings_by_load(rows, ratings_of_loads, type_id),
        }
        if type_id not in rated:
            row |= {f"{bucket}_rating_counts": None for bucket in LOAD_BUCKETS}
        found.append(row)
    return _greatest(found, "total_messages")


ACCOUNT = (
    "customer_name",
    "tier",
    "retention_days",
    "daily_token_budget",
    "data_from",
    "first_event_at",
    "newest_event_at",
)


def account(rows: CustomerRows, _window: Window) -> list[Row]:
    """One row: what is known of the customer."""
    return [dict(zip(ACCOUNT, row, strict=True)) for row in rows.rows("account")]


ANSWERS: dict[str, Callable[[CustomerRows, Window], list[Row]]] = {
    "account": account,
    "usage_summary": usage_summary,
    "usage_by_agent": usage_by_agent,
    "usage_by_model": usage_by_model,
    "usage_timeline_of_utc_days": usage_timeline,
    "usage_timeline_of_local_days": usage_timeline,
    "compliance_summary": compliance_summary,
    "compliance_by_agent_type": compliance_by_agent_type,
    "feedback_summary": feedback_summary,
    "feedback_by_agent_type": feedback_by_agent_type,
    "agent_type_comparison": agent_type_comparison,
}
"""Queries that can be answered from memory, by name."""
