"""Toxic messages and redactions."""

from api.questions.engine import Engine
from api.stats.shapes.rows import (
    COMPLIANCE,
    FIRST_PAGE,
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


def compliance_summary(engine: Engine, window: Window, _page: Page) -> Rows:
    """One row: scans and redactions in all."""
    figures = sums_of(engine, window, ("message_count", *COMPLIANCE))
    by_type = by(engine, window, FIRST_PAGE, "entity_type", ("pii_redactions",), "pii_redactions")
    redactions = {group[0]: by_type.cells[group][0]["pii_redactions"] for group in by_type.groups}
    row = {
        "total_messages": figures["message_count"],
        "toxic_messages": figures["toxic_messages"],
        "toxic_rate_percent": metric_of(figures, "toxic_rate_percent"),
        "pii_redactions_total": figures["pii_redactions"],
        "entity_types": list(redactions),
        "redactions": list(redactions.values()),
        "rows_in_all": by_type.group_count,
        "messages_with_pii": figures["messages_with_pii"],
        "pii_rate_percent": metric_of(figures, "pii_rate_percent"),
        "scanned_messages": figures["scanned_messages"],
    }
    return Rows([row], 1)


def compliance_by_agent_type(engine: Engine, window: Window, page: Page) -> Rows:
    """A row for each agent type with a message or a scan, most messages first."""
    measures = ("message_count", *COMPLIANCE)
    counted_by = ("message_count", "scan_count")
    answer = by(engine, window, page, "agent_type_id", measures, "message_count", counted_by)
    named = named_by(engine, "agent_type_id", answer.groups)
    return listed(
        answer,
        lambda group, figures: {
            **named(group[0]),
            "total_messages": figures["message_count"],
            "toxic_messages": figures["toxic_messages"],
            "toxic_rate_percent": metric_of(figures, "toxic_rate_percent"),
            "pii_redactions_total": figures["pii_redactions"],
            "pii_per_message": metric_of(figures, "pii_per_message"),
            "scanned_messages": figures["scanned_messages"],
        },
    )


def compliance_timeline(engine: Engine, window: Window, _page: Page) -> Rows:
    """A row for each date."""
    return by_date(
        engine,
        window,
        ("message_count", *COMPLIANCE),
        lambda figures: {
            "messages": figures["message_count"],
            "scanned_messages": figures["scanned_messages"],
            **metrics_of(
                figures,
                ("toxic_messages", "toxic_rate_percent", "pii_redactions", "messages_with_pii"),
            ),
        },
    )
