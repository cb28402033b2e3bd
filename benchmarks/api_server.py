"""The server under test in a process of its own, with a route that does nothing and the peers'."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request
from fastapi.responses import Response

from api.app import create_app
from api.parameters import AuthenticatedCustomer, Period, period
from api.server.workers import serve
from api.settings import ServingSettings
from api.stats import agent_types, usage
from api.stats.responses import Answering, answering
from api.stats.shapes import FIRST_PAGE, SHAPES
from benchmarks.api_stores import Polars, Postgres, RowsOfStore, Sqlite, Store

PROGRAM = "from benchmarks.api_server import main; main()"
PEERS = "AGENTSTATS_BENCH_PEERS"
NOTHING = "/nothing"
NOTHING_AT_ONCE = "/nothing-at-once"

Asked = Annotated[Period, Depends(period(default_days=90))]
Answer = Callable[[Answering, Period, list[dict[str, Any]]], Response]

NO_COSTS: dict[str, Any] = {"cost_usd": None, "unpriced_tokens": 0}
"""What stands for the fields of money in the peers' answers: they price nothing."""

QUESTIONS: dict[str, tuple[str, str, Answer]] = {
    "summary": (
        "/api/stats/usage/summary?days=90",
        "usage_summary",
        lambda answer, asked, rows: answer.json(
            usage.UsageSummary(period_days=asked.days, **(NO_COSTS | rows[0]))
        ),
    ),
    "timeline": (
        "/api/stats/usage/timeline?days=90&tz=Asia/Kathmandu",
        "usage_timeline",
        lambda answer, _asked, rows: answer.json(
            usage.UsageTimeline(
                labels=[row["label"] for row in rows],
                messages=[row["messages"] for row in rows],
                tokens=[row["tokens"] for row in rows],
                cost_usd=[(NO_COSTS | row)["cost_usd"] for row in rows],
            )
        ),
    ),
    "by-agent": (
        "/api/stats/usage/by-agent?days=90",
        "usage_by_agent",
        lambda answer, _asked, rows: answer.json_list(
            usage.AGENTS, [usage.AgentUsage(**(NO_COSTS | row)) for row in rows]
        ),
    ),
    "comparison": (
        "/api/stats/agent-types/comparison?days=90",
        "agent_type_comparison",
        lambda answer, asked, rows: answer.json(agent_types.compared(asked.days, rows)),
    ),
}
"""Each question: how it is asked, the query that answers it, and what is made of the rows."""


def path_of(contestant: str, question: str) -> str:
    """Where a contestant answers a question."""
    path = QUESTIONS[question][0]
    return path if contestant == "agentstats" else path.replace("/api/stats", f"/api/{contestant}")


def app_with_peers(settings: ServingSettings, **_shared: Path) -> FastAPI:
    """The app, routes that do nothing, and one for each peer and question."""
    app = create_app(settings)

    def nothing() -> Response:
        return Response(b"{}", media_type="application/json")

    async def nothing_at_once() -> Response:
        return nothing()

    app.get(NOTHING, include_in_schema=False)(nothing)
    app.get(NOTHING_AT_ONCE, include_in_schema=False)(nothing_at_once)
    given = json.loads(os.environ[PEERS])
    if given:
        stores: dict[str, Store] = {
            "postgresql": Postgres(given["postgresql"]),
            "sqlite": Sqlite(Path(given["sqlite"])),
            "polars": Polars(Path(given["polars"])),
        }
        names = {"names_of_agents": [], "names_of_agent_types": [], "load_buckets": LOAD_BUCKETS}
        for peer, store in stores.items():
            for question in QUESTIONS:
                _add_route(app, peer, question, store, names)
    return app


LOAD_BUCKETS = [("low", 1, "1-2"), ("medium", 3, "3-5"), ("high", 6, "6+")]


def _add_route(app: FastAPI, peer: str, question: str, store: Store, names: dict[str, Any]) -> None:
    path = path_of(peer, question).partition("?")[0]
    _, query, respond = QUESTIONS[question]

    def answered(request: Request, customer_id: AuthenticatedCustomer, asked: Asked) -> Response:
        with answering(request, customer_id, asked) as answer:
            rows: Any = RowsOfStore(store, names, customer_id)
            engine = replace(answer.engine, rows=rows)
            return respond(answer, asked, SHAPES[query](engine, answer.window, FIRST_PAGE).rows)

    async def answered_at_once(
        request: Request, customer_id: AuthenticatedCustomer, asked: Asked
    ) -> Response:
        return answered(request, customer_id, asked)

    # Whoever asks another process must wait for it, and does so in a thread.
    waits = isinstance(store, Postgres)
    app.get(path, include_in_schema=False)(answered if waits else answered_at_once)


def main() -> None:
    """Serve with the settings of the environment."""
    serve(ServingSettings(_env_file=None), factory=app_with_peers)
