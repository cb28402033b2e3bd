"""The factory of the app. Importing this module makes nothing; `create_app` makes all of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles
from prometheus_client import CollectorRegistry

from api import errors, pages
from api.auth.callers import Authenticator
from api.auth.keys import KeyStore
from api.auth.rate_limit import MemoryRateLimiter, SharedRateLimiter, WrongKeys
from api.auth.tokens import tokens_of
from api.cache.answers import AnswerCache
from api.cache.customer_rows import RowCache
from api.cache.parsed_questions import ParsedQuestions
from api.middleware.cached_answers import CachedAnswers
from api.middleware.compression import Compression
from api.middleware.cross_origin import CrossOrigin
from api.middleware.envelope import Envelope, Measurements, request_log
from api.openapi import DocumentedApp, operation_id
from api.parameters import allowed_values
from api.queries.engine import Queries
from api.services import Services
from api.settings import ServingSettings
from api.snapshots import Snapshots
from api.stats import (
    account,
    agent_types,
    budgets,
    compliance,
    cost,
    data_quality,
    explain,
    feedback,
    forecast,
    latency,
    metrics,
    query,
    receipt,
    retention,
    timelines,
    usage,
)

DESCRIPTION = (
    "Read-only statistics of one customer's agents. The key in X-API-Key decides whose, or the "
    "platform's token in Authorization, where tokens are accepted. "
    "A day is a calendar date in the time zone `tz`; sums and counts of no data are 0, "
    "averages and rates of no data are null."
)


def create_app(
    settings: ServingSettings | None = None,
    *,
    log: Any = None,
    counts_folder: Path | None = None,
) -> FastAPI:
    """The API over the newest snapshot; without arguments it reads the environment.

    `counts_folder` is where several workers count together; by default each counts alone.
    `log` is a structlog logger for one line a request; by default JSON on standard error.
    """
    settings = settings if settings is not None else ServingSettings()
    answers = AnswerCache(settings.answer_cache_mb * 1_000_000)
    row_cache = RowCache(settings.rows_cache_mb * 1_000_000)

    def evict(snapshot_id: str) -> None:
        answers.turn_to(snapshot_id)
        row_cache.turn_to(snapshot_id)

    keys = KeyStore(settings.keys_path, clock=settings.clock)
    services = Services(
        settings=settings,
        keys=keys,
        authenticator=Authenticator(
            keys,
            (
                SharedRateLimiter(settings.rate_limit, counts_folder / "requests.db")
                if counts_folder
                else MemoryRateLimiter(settings.rate_limit)
            ),
            tokens_of(settings),
            settings.jwt_cookie,
        ),
        snapshots=Snapshots(settings, when_replaced=evict),
        queries=Queries(),
        answers=answers,
        row_cache=row_cache,
        parsed_questions=ParsedQuestions(),
        wrong_keys=WrongKeys(
            settings.wrong_keys_limit,
            # Of its own, so that a flood of wrong keys does not hold up the customers' file.
            path=counts_folder / "wrong_keys.db" if counts_folder else None,
        ),
        version=_installed_version(),
    )

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        services.snapshots.watch()
        yield
        services.snapshots.close()

    app = DocumentedApp(
        title="agentstats",
        version=services.version,
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,  # FastAPI's own pages load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=operation_id,
    )
    app.state.services = services
    errors.install(app, allowed_values)
    families = (
        usage,
        latency,
        cost,
        compliance,
        feedback,
        agent_types,
        data_quality,
        retention,
        account,
        query,
        metrics,
        explain,
        receipt,
        forecast,
        budgets,
        timelines,
    )
    for family in families:
        app.include_router(family.router)
    app.include_router(pages.router)
    registry = CollectorRegistry()
    app.mount("/docs/assets", StaticFiles(directory=pages.DOCS_FOLDER), name="docs")
    pages.add_metrics(app, registry)
    pages.add_dashboard(app, pages.DASHBOARD_FOLDER, settings)
    # The last one added is the outermost.
    app.add_middleware(CachedAnswers, services=services)
    app.add_middleware(Compression, answers=answers)
    app.add_middleware(
        Envelope,
        log=log if log is not None else request_log(),
        measurements=Measurements.in_registry(registry),
        cross_origin=CrossOrigin(settings.cors_allowed),
    )
    return app


def _installed_version() -> str:
    try:
        return version("agentstats")
    except PackageNotFoundError:  # run from a checkout that was never installed
        return "0"
