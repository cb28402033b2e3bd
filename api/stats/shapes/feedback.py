"""Ratings, also by load, and agent types side by side."""

from collections.abc import Callable, Sequence

from api.errors import MOST_ROWS
from api.questions.engine import Engine
from api.questions.question import Figures, Group, Question
from api.snapshots import Row
from api.stats.shapes.rows import (
    COMPLIANCE,
    RATINGS,
    USAGE,
    Page,
    Rows,
    by,
    by_date,
    listed,
    metric_of,
    metrics_of,
    named_by,
    sums_of,
)
from api.windows import Window

LOAD_BUCKETS = ("low", "medium", "high")


STARS = tuple(f"rating_{stars}_count" for stars in range(1, 6))


def feedback_summary(engine: Engine, window: Window, _page: Page) -> Rows:
    """One row: ratings in all."""
    figures = sums_of(engine, window, RATINGS)
    row = {
        "total_feedback": figures["rating_count"],
        "average_rating": metric_of(figures, "average_rating"),
        "rating_sum": figures["rating_sum"],
        **{name: figures[name] for name in STARS},
    }
    return Rows([row], 1)


def feedback_by_agent_type(engine: Engine, window: Window, page: Page) -> Rows:
    """A row for each agent type with a rating, most ratings first."""
    answer = by(engine, window, page, "agent_type_id", RATINGS, "rating_count")
    named = named_by(engine, "agent_type_id", answer.groups)
    by_load = _ratings_by_load(engine, window, answer.groups)
    compared = _compared_loads(engine, by_load)
    ranges = {bucket: instances for bucket, _, instances in engine.reference("load_buckets")}

    def row(group: Group, figures: Figures) -> Row:
        found: Row = {
            **named(group[0]),
            "total_feedback": figures["rating_count"],
            "average_rating": metric_of(figures, "average_rating"),
        }
        for bucket in LOAD_BUCKETS:
            of_load = by_load[group[0], bucket]
            found[f"{bucket}_instances_range"] = ranges[bucket]
            found[f"{bucket}_avg_rating"] = metric_of(of_load, "average_rating")
            found[f"{bucket}_count"] = of_load["rating_count"]
        return found | compared(group[0])

    return listed(answer, row)


def feedback_timeline(engine: Engine, window: Window, _page: Page) -> Rows:
    """A row for each date."""
    return by_date(
        engine,
        window,
        ("rating_count", "rating_sum"),
        lambda figures: metrics_of(figures, ("ratings", "average_rating")),
    )


def agent_type_comparison(engine: Engine, window: Window, page: Page) -> Rows:
    """A row for each agent type with a message, a scan or a rating, most messages first."""
    measures = (*USAGE, *COMPLIANCE, *RATINGS)
    counted_by = ("message_count", "scan_count", "rating_count")
    answer = by(engine, window, page, "agent_type_id", measures, "message_count", counted_by)
    ids = [group[0] for group in answer.groups]
    types = {
        number: (name, model)
        for number, name, model in engine.reference_of("names_of_agent_types", ids)
    }
    compared = _compared_loads(engine, _ratings_by_load(engine, window, answer.groups))
    most_used = _most_used_models(engine, window)

    def row(group: Group, figures: Figures) -> Row:
        name, own_model = types.get(group[0], (None, None))
        found = {
            "agent_type_id": group[0],
            "name": f"Agent type {group[0]}" if name is None else name,
            "model": most_used.get(group[0], own_model),
            "total_messages": figures["message_count"],
            "total_tokens": figures["total_tokens"],
            "avg_response_time_ms": metric_of(figures, "avg_response_time_ms"),
            "tokens_per_second": metric_of(figures, "tokens_per_second"),
            "avg_tokens_per_message": metric_of(figures, "avg_tokens_per_message"),
            "toxic_rate_percent": metric_of(figures, "toxic_rate_percent"),
            "pii_redactions_per_message": metric_of(figures, "pii_per_message"),
            "feedback_count": figures["rating_count"],
            "average_rating": metric_of(figures, "average_rating"),
        }
        return found | compared(group[0])

    return listed(answer, row)


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
    engine: Engine, by_load: dict[tuple[int, str], Figures]
) -> Callable[[int], Row]:
    """What rating_degrades_at_load is decided from, by agent type."""
    least = {bucket: instances for bucket, instances, _ in engine.reference("load_buckets")}
    of_every_type = {f"{bucket}_min_instances": least[bucket] for bucket in LOAD_BUCKETS[1:]}

    def compared(agent_type_id: int) -> Row:
        row: Row = dict(of_every_type)
        for bucket in LOAD_BUCKETS:
            of_load = by_load[agent_type_id, bucket]
            row[f"{bucket}_rating_counts"] = [of_load[name] for name in STARS]
        return row

    return compared


def _most_used_models(engine: Engine, window: Window) -> dict[int, str]:
    """The model of most messages of each agent type; of equal ones the first by name."""
    asked = Question(
        window,
        measures=("message_count",),
        group_by=("agent_type_id", "model"),
        most_rows=1_000 * MOST_ROWS,
        with_totals=False,
    )
    by_model = engine.cells_in_memory(asked)
    if by_model is None and engine.agent_ids is not None:
        by_model = engine.answer(asked).cells
    if by_model is None:
        return dict(engine.queried("most_used_models", window))
    found: dict[int, tuple[int, str]] = {}
    for (number, model), buckets in by_model.items():
        messages = int(buckets[0]["message_count"] or 0)
        if messages:
            candidate = (-messages, model)
            found[number] = min(found.get(number, candidate), candidate)
    return {number: model for number, (_, model) in found.items()}
