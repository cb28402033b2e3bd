"""Messages, tokens and response times."""

from collections.abc import Sequence

from api.metrics.declared import Metric, declared
from api.questions.buckets import Granularity
from api.questions.engine import Engine, value_of
from api.questions.question import Figures, Question
from api.snapshots import Row
from api.stats.shapes.rows import (
    COSTS,
    USAGE,
    Page,
    Rows,
    by,
    by_date,
    listed,
    metric_of,
    metrics_of,
    named_by,
)
from api.windows import Window

TOKENS_AND_TIME = (
    "total_tokens",
    "total_input_tokens",
    "total_output_tokens",
    "avg_response_time_ms",
)


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


def usage_summary(engine: Engine, window: Window, _page: Page) -> Rows:
    """One row: what was used in all."""
    answer = engine.answer(
        Question(
            window,
            metrics=(declared().metrics["active_agents"],),
            measures=(*USAGE, *COSTS),
            order_by="message_count",
            with_totals=False,
        )
    )
    figures = answer.cells[()][0]
    row = {
        "total_messages": figures["message_count"],
        "active_agents": figures["active_agents"],
        **metrics_of(figures, TOKENS_AND_TIME),
        "response_time_ms_sum": figures["response_time_ms_sum"],
        "response_time_count": figures["response_time_count"],
        **metrics_of(figures, COSTS),
        "cost_units": None if metric_of(figures, "cost_usd") is None else figures["cost_usd"],
    }
    return Rows([row], 1)


def usage_by_agent(engine: Engine, window: Window, page: Page) -> Rows:
    """A row for each agent with a message or a failed attempt, most tokens first."""
    return _usage_by(engine, window, page, "agent_id", TOKENS_AND_TIME)


def usage_by_agent_type(engine: Engine, window: Window, page: Page) -> Rows:
    """A row for each agent type with a message or a failed attempt, most tokens first."""
    return _usage_by(engine, window, page, "agent_type_id", TOKENS_AND_TIME)


def usage_by_model(engine: Engine, window: Window, page: Page) -> Rows:
    """A row for each model with a message or a failed attempt, most tokens first."""
    return _usage_by(engine, window, page, "model", (*TOKENS_AND_TIME, "tokens_per_second"))


def usage_timeline(engine: Engine, window: Window, _page: Page) -> Rows:
    """A row for each date."""
    return by_date(
        engine,
        window,
        ("message_count", "total_tokens", *COSTS),
        lambda figures: {
            "messages": figures["message_count"],
            "tokens": figures["total_tokens"],
            "cost_usd": metric_of(figures, "cost_usd"),
        },
    )


def usage_latency_by_agent(engine: Engine, window: Window, page: Page) -> Rows:
    """A row for each agent with a message, most response times first."""
    return _latency_by(engine, window, page, "agent_id")


def usage_latency_by_agent_type(engine: Engine, window: Window, page: Page) -> Rows:
    """A row for each agent type with a message, most response times first."""
    return _latency_by(engine, window, page, "agent_type_id")


def usage_latency_by_model(engine: Engine, window: Window, page: Page) -> Rows:
    """A row for each model with a message, most response times first."""
    return _latency_by(engine, window, page, "model")


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


def _usage_by(
    engine: Engine, window: Window, page: Page, dimension: str, metrics: Sequence[str]
) -> Rows:
    """A row for each value of a dimension with a usage event, most tokens first."""
    answer = by(engine, window, page, dimension, (*USAGE, *COSTS), "total_tokens")
    named = named_by(engine, dimension, answer.groups)
    return listed(
        answer,
        lambda group, figures: {
            **named(group[0]),
            "message_count": figures["message_count"],
            **metrics_of(figures, (*metrics, *COSTS)),
        },
    )


def _latency_by(engine: Engine, window: Window, page: Page, dimension: str) -> Rows:
    """A row for each value of a dimension with a message, most response times first."""
    answer = engine.answer(
        Question(
            window,
            metrics=tuple(LATENCY.values()),
            measures=("response_time_count", "message_count"),
            group_by=(dimension,),
            order_by="response_time_count",
            limit=page.limit,
            offset=page.offset,
            counted_by=("message_count",),
            with_totals=False,
        )
    )
    named = named_by(engine, dimension, answer.groups)
    return listed(answer, lambda group, figures: {**named(group[0]), **_response_times(figures)})


def _response_times(figures: Figures) -> Row:
    found: Row = {"count": figures["response_time_count"]}
    return found | {field: value_of(metric, figures) for field, metric in LATENCY.items()}
