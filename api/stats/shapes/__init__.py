"""The guide's answers, and those like them, as shapes over the engine's figures.

Each function gives the rows of one answer. What a figure is comes from the declared metrics; here
is only which figures of which groups are in which field, and in which order.
"""

from collections.abc import Callable

from api.questions.engine import Engine
from api.stats.shapes import compliance, feedback, usage
from api.stats.shapes.rows import FIRST_PAGE, Page, Rows
from api.windows import Window

__all__ = ["FIRST_PAGE", "SHAPES", "Page", "Rows"]


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
        usage.usage_summary,
        usage.usage_by_agent,
        usage.usage_by_agent_type,
        usage.usage_by_model,
        usage.usage_timeline,
        usage.usage_latency_by_agent,
        usage.usage_latency_by_agent_type,
        usage.usage_latency_by_model,
        usage.usage_latency_by_day,
        compliance.compliance_summary,
        compliance.compliance_by_agent_type,
        compliance.compliance_timeline,
        feedback.feedback_summary,
        feedback.feedback_by_agent_type,
        feedback.feedback_timeline,
        feedback.agent_type_comparison,
    )
}
"""The answers that are made of figures, by name."""
