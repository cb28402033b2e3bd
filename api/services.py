"""What the routes work with; made once by the factory of the app."""

from dataclasses import dataclass

from fastapi import Request

from api.answers import Answers
from api.held import Held
from api.keys import KeyStore
from api.queries import Queries
from api.serving import Snapshots
from api.settings import ServingSettings
from api.throttle import Throttle, WrongKeys
from api.understood import UnderstoodQuestions


@dataclass(frozen=True)
class Services:
    """The parts that live as long as the app."""

    settings: ServingSettings
    keys: KeyStore
    snapshots: Snapshots
    queries: Queries
    answers: Answers
    held: Held
    understood: UnderstoodQuestions
    throttle: Throttle
    wrong_keys: WrongKeys
    version: str


def services_of(request: Request) -> Services:
    """The services of the app that handles this request."""
    services: Services = request.app.state.services
    return services
