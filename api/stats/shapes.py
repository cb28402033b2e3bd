"""The guide's answers, and those like them, as shapes over the engine's figures.

Each function gives the rows of one answer. What a figure is comes from the declared metrics; here
is only which figures of which groups are in which field, and in which order.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from api.errors import MOST_ROWS
from api.metrics.declared import Metric, declared
from api.questions.buckets import Granularity
from api.questions.engine import Engine, value_of
from api.questions.question import Answer, Figures, Group, Question
from api.snapshots import Row
from api.windows import Window

LOAD_BUCKETS = ("low", "medium", "high")
USAGE = declared().families["usage"].measures
COMPLIANCE = declared().families["compliance"].measures
RATINGS = declared().families["feedback"].measures
STARS = tuple(f"rating_{stars}_count" for stars in range(1, 6))
TOKENS_AND_TIME = {
    "total_tokens": "total_tokens",
    "total_input_tokens": "total_input_tokens",
    "total_output_tokens": "total_output_tokens",
    "avg_response_time_ms": "avg_response_time_ms",
}
LATENCY = {
    "p50": declared().metrics["response_time_p50"],
    "p90": declared().metrics["response_time_p90"],
    "p95": declared().metrics["response_time_p95"],
    "p99": declared().metrics["response_time_p99"],
    "max": Metric(
        name="response_time_max",
        unit="ms",
        description="Greatest response time, within 1 %.",
        kind="percentile",
        numerator="response_time_buckets",
        percent=100,
    ),
}


@dataclass(frozen=True)
class Page:
    """Which groups of a list are asked for: the greatest, or some after them."""

    limit: int | None = None
    offset: int = 0


FIRST_PAGE = Page()


@dataclass(frozen=True)
class Rows:
    """The rows of an answer, and how many there are of them in all."""

    rows: list[Row]
    in_all: int


def usage_summary(engine: Engine, window: Window, _page: Page) -> Rows:
    """One row: what was used in all."""
    answer = engine.answer(
        Question(
            window,
            metrics=(declared().metrics["active_agents"],),
            measures=USAGE,
            order_by="message_count",
            with_totals=False,
        )
    )
    figures = answer.cells[()][0]
    row = {
        "total_messages": figures["message_count"],
        "active_agents": figures["active_agents"],
        **_metrics(figures, TOKENS_AND_TIME),
        "response_time_ms_sum": figures["response_time_ms_sum"],
        "response_time_count": figures["response_time_count"],
    }
    return Rows([row], 1)


def usage_by_agent(engine: Engine, window: Window, page: Page) -> Rows:
    """A row for each agent with a message, most tokens first."""
    answer = _by(engine, window, page, "agent_id", USAGE, "total_tokens")
    names = engine.names("names_of_agents", [group[0] for group in answer.groups])
    return _listed(
        answer,
        lambda group, figures: {
            "agent_id": group[0],
            "agent_name": _named(names, "Agent", group[0]),
            "message_count": figures["message_count"],
            **_metrics(figures, TOKENS_AND_TIME),
        },
    )


def usage_by_agent_type(engine: Engine, window: Window, page: Page) -> Rows:
    """A row for each agent type with a message, most tokens first."""
    answer = _by(engine, window, page, "agent_type_id", USAGE, "total_tokens")
    names = engine.names("names_of_agent_types", [group[0] for group in answer.groups])
    return _listed(
        answer,
        lambda group, figures: {
            "agent_type_id": group[0],
            "agent_type_name": _named(names, "Agent type", group[0]),
            "message_count": figures["message_count"],
            **_metrics(figures, TOKENS_AND_TIME),
        },
    )


def usage_by_model(engine: Engine, window: Window, page: Page) -> Rows:
    """A row for each model with a message, most tokens first."""
    answer = _by(engine, window, page, "model", USAGE, "total_tokens")
    return _listed(
        answer,
        lambda group, figures: {
            "model": group[0],
            "message_count": figures["message_count"],
            **_metrics(figures, TOKENS_AND_TIME | {"tokens_per_second": "tokens_per_second"}),
        },
    )


def usage_timeline(engine: Engine, window: Window, _page: Page) -> Rows:
    """A row for each date."""
    return _by_date(
        engine,
        window,
        ("message_count", "total_tokens"),
        lambda figures: {"messages": figures["message_count"], "tokens": figures["total_tokens"]},
    )


def compliance_timeline(engine: Engine, window: Window, _page: Page) -> Rows:
    """A row for each date."""
    return _by_date(
        engine,
        window,
        ("message_count", *COMPLIANCE),
        lambda figures: {
            "messages": figures["message_count"],
            "scanned_messages": figures["scanned_messages"],
            **_metrics(
                figures,
                {
                    "toxic_messages": "toxic_messages",
                    "toxic_rate_percent": "toxic_rate_percent",
                    "pii_redactions": "pii_redactions",
                    "messages_with_pii": "messages_with_pii",
                },
            ),
        },
    )


def feedback_timeline(engine: Engine, window: Window, _page: Page) -> Rows:
    """A row for each date."""
    return _by_date(
        engine,
        window,
        ("rating_count", "rating_sum"),
        lambda figures: _metrics(
            figures, {"ratings": "ratings", "average_rating": "average_rating"}
        ),
    )


def compliance_summary(engine: Engine, window: Window, _page: Page) -> Rows:
    """One row: scans and redactions in all."""
    figures = _sums(engine, window, ("message_count", *COMPLIANCE))
    by_type = _by(engine, window, FIRST_PAGE, "entity_type", ("pii_redactions",), "pii_redactions")
    redactions = {group[0]: by_type.cells[group][0]["pii_redactions"] for group in by_type.groups}
    row = {
        "total_messages": figures["message_count"],
        "toxic_messages": figures["toxic_messages"],
        "toxic_rate_percent": _metric(figures, "toxic_rate_percent"),
        "pii_redactions_total": figures["pii_redactions"],
        "entity_types": list(redactions),
        "redactions": list(redactions.values()),
        "rows_in_all": by_type.group_count,
        "messages_with_pii": figures["messages_with_pii"],
        "pii_rate_percent": _metric(figures, "pii_rate_percent"),
        "scanned_messages": figures["scanned_messages"],
    }
    return Rows([row], 1)


def compliance_by_agent_type(engine: Engine, window: Window, page: Page) -> Rows:
    """A row for each agent type with a message or a scan, most messages first."""
    measures = ("message_count", *COMPLIANCE)
    answer = _by(engine, window, page, "agent_type_id", measures, "message_count")
    names = engine.names("names_of_agent_types", [group[0] for group in answer.groups])
    return _listed(
        answer,
        lambda group, figures: {
            "agent_type_id": group[0],
            "agent_type_name": _named(names, "Agent type", group[0]),
            "total_messages": figures["message_count"],
            "toxic_messages": figures["toxic_messages"],
            "toxic_rate_percent": _metric(figures, "toxic_rate_percent"),
            "pii_redactions_total": figures["pii_redactions"],
            "pii_per_message": _metric(figures, "pii_per_message"),
            "scanned_messages": figures["scanned_messages"],
        },
    )


def feedback_summary(engine: Engine, window: Window, _page: Page) -> Rows:
    """One row: ratings in all."""
    figures = _sums(engine, window, RATINGS)
    row = {
        "total_feedback": figures["rating_count"],
        "average_rating": _metric(figures, "average_rating"),
        "rating_sum": figures["rating_sum"],
        **{name: figures[name] for name in STARS},
    }
    return Rows([row], 1)


def feedback_by_agent_type(engine: Engine, window: Window, page: Page) -> Rows:
    """A row for each agent type with a rating, most ratings first."""
    answer = _by(engine, window, page, "agent_type_id", RATINGS, "rating_count")
    names = engine.names("names_of_agent_types", [group[0] for group in answer.groups])
    by_load = _ratings_by_load(engine, window, answer.groups)
    ranges = {bucket: instances for bucket, _, instances in engine.reference("load_buckets")}

    def row(group: Group, figures: Figures) -> Row:
        found: Row = {
            "agent_type_id": group[0],
            "agent_type_name": _named(names, "Agent type", group[0]),
            "total_feedback": figures["rating_count"],
            "average_rating": _metric(figures, "average_rating"),
        }
        for bucket in LOAD_BUCKETS:
            of_load = by_load[group[0], bucket]
            found[f"{bucket}_instances_range"] = ranges[bucket]
            found[f"{bucket}_avg_rating"] = _metric(of_load, "average_rating")
            found[f"{bucket}_count"] = of_load["rating_count"]
        return found | _compared_loads(engine, by_load, group[0])

    return _listed(answer, row)


def agent_type_comparison(engine: Engine, window: Window, page: Page) -> Rows:
    """A row for each agent type with a message, a scan or a rating, most messages first."""
    measures = (*USAGE, *COMPLIANCE, *RATINGS)
    answer = _by(engine, window, page, "agent_type_id", measures, "message_count")
    ids = [group[0] for group in answer.groups]
    types = {number: (name, model) for number, name, model in _types_of(engine, ids)}
    by_load = _ratings_by_load(engine, window, answer.groups)
    most_used = _most_used_models(engine, window)

    def row(group: Group, figures: Figures) -> Row:
        name, own_model = types.get(group[0], (None, None))
        found = {
            "agent_type_id": group[0],
            "name": f"Agent type {group[0]}" if name is None else name,
            "model": most_used.get(group[0], own_model),
            "total_messages": figures["message_count"],
            "total_tokens": figures["total_tokens"],
            "avg_response_time_ms": _metric(figures, "avg_response_time_ms"),
            "tokens_per_second": _metric(figures, "tokens_per_second"),
            "avg_tokens_per_message": _metric(figures, "avg_tokens_per_message"),
            "toxic_rate_percent": _metric(figures, "toxic_rate_percent"),
            "pii_redactions_per_message": _metric(figures, "pii_per_message"),
            "feedback_count": figures["rating_count"],
            "average_rating": _metric(figures, "average_rating"),
        }
        return found | _compared_loads(engine, by_load, group[0])

    return _listed(answer, row)


def usage_latency_by_agent(engine: Engine, window: Window, page: Page) -> Rows:
    """A row for each agent with a message, most response times first."""
    answer = _latency(engine, window, page, "agent_id")
    names = engine.names("names_of_agents", [group[0] for group in answer.groups])
    return _listed(
        answer,
        lambda group, figures: {
            "agent_id": group[0],
            "agent_name": _named(names, "Agent", group[0]),
            **_response_times(figures),
        },
    )


def usage_latency_by_agent_type(engine: Engine, window: Window, page: Page) -> Rows:
    """A row for each agent type with a message, most response times first."""
    answer = _latency(engine, window, page, "agent_type_id")
    names = engine.names("names_of_agent_types", [group[0] for group in answer.groups])
    return _listed(
        answer,
        lambda group, figures: {
            "agent_type_id": group[0],
            "agent_type_name": _named(names, "Agent type", group[0]),
            **_response_times(figures),
        },
    )


def usage_latency_by_model(engine: Engine, window: Window, page: Page) -> Rows:
    """A row for each model with a message, most response times first."""
    answer = _latency(engine, window, page, "model")
    return _listed(answer, lambda group, figures: {"model": group[0], **_response_times(figures)})


def usage_latency_by_day(engine: Engine, window: Window, _page: Page) -> Rows:
    """A row for each date."""
    answer = engine.answer(
        Question(
            window,
            metrics=tuple(LATENCY.values()),
            measures=("response_time_count",),
            granularity=Granularity.day,
            order_by="response_time_count",
            with_totals=False,
        )
    )
    cells = answer.cells[()]
    rows = [
        {"date": label, **_response_times(cells[bucket])}
        for bucket, label in enumerate(answer.labels)
    ]
    return Rows(rows, len(rows))


ACCOUNT = (
    "customer_name",
    "tier",
    "retention_days",
    "daily_token_budget",
    "data_from",
    "first_event_at",
    "newest_event_at",
)


def account(engine: Engine, _window: Window, _page: Page) -> Rows:
    """One row: what is known of the customer."""
    rows = [dict(zip(ACCOUNT, row, strict=True)) for row in engine.reference("account")]
    return Rows(rows, len(rows))


Shape = Callable[[Engine, Window, Page], Rows]
SHAPES: dict[str, Shape] = {
    shape.__name__: shape
    for shape in (
        account,
        usage_summary,
        usage_by_agent,
        usage_by_agent_type,
        usage_by_model,
        usage_timeline,
        usage_latency_by_agent,
        usage_latency_by_agent_type,
        usage_latency_by_model,
        usage_latency_by_day,
        compliance_summary,
        compliance_by_agent_type,
        compliance_timeline,
        feedback_summary,
        feedback_by_agent_type,
        feedback_timeline,
        agent_type_comparison,
    )
}
"""The answers that are made of figures, by name."""


def _sums(engine: Engine, window: Window, measures: tuple[str, ...]) -> Figures:
    """Sums over the window."""
    answer = engine.answer(Question(window, measures=measures, with_totals=False))
    return answer.cells[()][0]


def _by(
    engine: Engine,
    window: Window,
    page: Page,
    dimension: str,
    measures: tuple[str, ...],
    order_by: str,
) -> Answer:
    """Sums by one dimension, the greatest first."""
    return engine.answer(
        Question(
            window,
            measures=measures,
            group_by=(dimension,),
            order_by=order_by,
            limit=page.limit,
            offset=page.offset,
            with_totals=False,
        )
    )


def _latency(engine: Engine, window: Window, page: Page, dimension: str) -> Answer:
    """Response times by one dimension, the most first."""
    return engine.answer(
        Question(
            window,
            metrics=tuple(LATENCY.values()),
            measures=("response_time_count",),
            group_by=(dimension,),
            order_by="response_time_count",
            limit=page.limit,
            offset=page.offset,
            with_totals=False,
        )
    )


def _by_date(
    engine: Engine,
    window: Window,
    measures: tuple[str, ...],
    fields: Callable[[Figures], Row],
) -> Rows:
    answer = engine.answer(
        Question(window, measures=measures, granularity=Granularity.day, with_totals=False)
    )
    cells = answer.cells[()]
    rows = [{"label": label, **fields(cells[day])} for day, label in enumerate(answer.labels)]
    return Rows(rows, len(rows))


def _listed(answer: Answer, row: Callable[[Group, Figures], Row]) -> Rows:
    rows = [row(group, answer.cells[group][0]) for group in answer.groups]
    return Rows(rows, answer.group_count)


def _response_times(figures: Figures) -> Row:
    found: Row = {"count": figures["response_time_count"]}
    return found | {field: value_of(metric, figures) for field, metric in LATENCY.items()}


def _metric(figures: Figures, name: str) -> Any:
    return value_of(declared().metrics[name], figures)


def _metrics(figures: Figures, fields: dict[str, str]) -> Row:
    return {field: _metric(figures, name) for field, name in fields.items()}


def _named(names: dict[Any, Any], kind: str, number: int) -> str:
    name: str | None = names.get(number)
    return f"{kind} {number}" if name is None else name


def _types_of(engine: Engine, ids: Sequence[int]) -> Sequence[tuple[Any, ...]]:
    return engine.reference_of("names_of_agent_types", ids)


def _ratings_by_load(
    engine: Engine, window: Window, groups: Sequence[Group]
) -> dict[tuple[int, str], Figures]:
    """Ratings of these agent types in each load bucket."""
    ids = tuple(group[0] for group in groups)
    answer = engine.answer(
        Question(
            window,
            measures=RATINGS,
            group_by=("agent_type_id", "load_bucket"),
            filters={"agent_type_id": ids},
            most_rows=(len(LOAD_BUCKETS) + 1) * MOST_ROWS,
            with_totals=False,
        )
    )
    return {
        (number, bucket): answer.cells.get((number, bucket), {}).get(0, answer.nothing)
        for number in ids
        for bucket in LOAD_BUCKETS
    }


def _compared_loads(
    engine: Engine, by_load: dict[tuple[int, str], Figures], agent_type_id: int
) -> Row:
    """What rating_degrades_at_load is decided from."""
    least = {bucket: instances for bucket, instances, _ in engine.reference("load_buckets")}
    row: Row = {f"{bucket}_min_instances": least[bucket] for bucket in LOAD_BUCKETS[1:]}
    for bucket in LOAD_BUCKETS:
        of_load = by_load[agent_type_id, bucket]
        row[f"{bucket}_rating_counts"] = [of_load[name] for name in STARS]
    return row


def _most_used_models(engine: Engine, window: Window) -> dict[int, str]:
    """The model of most messages of each agent type; of equal ones the first by name."""
    by_model = engine.cells_in_memory(
        Question(window, measures=("message_count",), group_by=("agent_type_id", "model"))
    )
    if by_model is None:
        return dict(engine.queried("most_used_models", window))
    found: dict[int, tuple[int, str]] = {}
    for (number, model), buckets in by_model.items():
        messages = int(buckets[0]["message_count"] or 0)
        if messages:
            candidate = (-messages, model)
            found[number] = min(found.get(number, candidate), candidate)
    return {number: model for number, (_, model) in found.items()}
