"""What the routes work with; made once by the factory of the app."""

from dataclasses import dataclass

from fastapi import Request

from api.auth.keys import KeyStore
from api.auth.rate_limit import RateLimiter, WrongKeys
from api.cache.answers import AnswerCache
from api.cache.customer_rows import RowCache
from api.cache.parsed_questions import ParsedQuestions
from api.queries.engine import Queries
from api.settings import ServingSettings
from api.snapshots import Snapshots


@dataclass(frozen=True)
class Services:
    """The parts that live as long as the app."""

    settings: ServingSettings
    keys: KeyStore
    snapshots: Snapshots
    queries: Queries
    answers: AnswerCache
    row_cache: RowCache
    parsed_questions: ParsedQuestions
    rate_limiter: RateLimiter
    wrong_keys: WrongKeys
    version: str


def services_of(request: Request) -> Services:
    """The services of the app that handles this request."""
    services: Services = request.app.state.services
    return services
