"""What the routes work with; made once by the factory of the app."""

from dataclasses import dataclass

from fastapi import Request

from api.auth.callers import Authenticator
from api.auth.keys import KeyStore
from api.auth.rate_limit import WrongKeys
from api.cache.answers import AnswerCache
from api.cache.customer_rows import RowCache
from api.cache.parsed_questions import ParsedQuestions
from api.queries.engine import Queries
from api.settings import ServingSettings
from api.snapshots import Snapshot, Snapshots
from api.windows import zone_names

DEFAULT_ZONE = "UTC"


@dataclass(frozen=True)
class Services:
    """The parts that live as long as the app."""

    settings: ServingSettings
    keys: KeyStore
    authenticator: Authenticator
    snapshots: Snapshots
    queries: Queries
    answers: AnswerCache
    row_cache: RowCache
    parsed_questions: ParsedQuestions
    wrong_keys: WrongKeys
    version: str


def own_time_zone(snapshot: Snapshot, customer_id: int) -> str | None:
    """The time zone that was delivered of the customer; None if none was that there is."""
    own = snapshot.time_zones.get(customer_id)
    return own if own in zone_names() else None


def time_zone_in(snapshot: Snapshot | None, customer_id: int) -> str:
    """The zone of a question that names none: the customer's own, else UTC."""
    own = own_time_zone(snapshot, customer_id) if snapshot is not None else None
    return own or DEFAULT_ZONE


def services_of(request: Request) -> Services:
    """The services of the app that handles this request."""
    services: Services = request.app.state.services
    return services
